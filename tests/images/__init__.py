"""The declared layers of the card image, and what they build."""
