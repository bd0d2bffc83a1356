"""Drivers, settling, simulators, ports."""
