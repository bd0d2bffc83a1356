"""Tests mirror the packages; `house` holds what is true of the whole tree."""
