"""Measurements of speed, bytes and memory, as ratios against a baseline in the same run (`tram bench NAME`)."""
