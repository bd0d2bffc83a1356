"""One device family, one pure file: bytes and time in; samples, noise, bytes to send and notices out."""
