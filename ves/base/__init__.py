"""What any Python project of this size needs from its machine: files that appear whole, locks, cores, signals.

By module: files (atomic, lock, read_json, write_json), parquet, locks, progress, signals, cpu, gpus, hashing,
apportion, ids, lazy.
"""
