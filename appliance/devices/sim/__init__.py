"""The other side of each protocol: devices that do not exist, with the faults that real ones have."""
