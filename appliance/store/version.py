"""The two integers every process compares before it touches the store (decision 13). Without sqlite-utils: that is for `tram init`."""

SCHEMA = 3
"""The schema this code needs and `tram init` makes."""
MIN_READER = 1
"""Code that knows a lower schema than this may not open the file."""
