"""Whether what is on disk is what it says: every file, every checksum, every content."""
