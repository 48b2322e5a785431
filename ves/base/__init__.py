"""What any Python project of this size needs from its machine: files that appear whole, locks, cores, signals.

By module: files (atomic, lock, read_json, write_json), parquet, checksums (sha256 of files and weights), locks,
progress, signals, cpu, gpus, precision, hashing (chances by hash), apportion, ids, markdown, lazy.
"""
