"""The wire between box and bridge: what is said, in which words, and how it becomes bytes. No I/O, no clock."""
