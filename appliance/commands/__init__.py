"""The commands of `tram`, a module for each part of the box; `appliance.cli` says which is loaded for which word."""
