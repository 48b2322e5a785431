"""From shards to clips, manifest and splits: the same for every source."""
