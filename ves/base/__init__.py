"""What any Python project of this size needs from its machine: files that appear whole, locks, cores, signals."""
