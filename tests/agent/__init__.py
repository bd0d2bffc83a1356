"""The box's own processes."""
