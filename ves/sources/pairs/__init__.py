"""Pairs of your own: files that tables pair, packed into shards."""
