"""The station's store on real files."""
