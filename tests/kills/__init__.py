"""SIGKILL at random moments: what was promised is there, once."""
