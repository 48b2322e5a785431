"""Your own pairs: files that are paired by tables, packed into shards."""
