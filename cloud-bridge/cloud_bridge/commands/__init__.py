"""The commands of `tram-bridge`, by what they are about; `cloud_bridge.cli` joins them into one command line."""
