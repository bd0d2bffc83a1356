"""Trạm: the box that stands in the health station."""

__version__ = "0.1.0"
