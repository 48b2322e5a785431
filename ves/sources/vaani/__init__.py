"""Project Vaani on the hub: what it holds, what of it is taken, and its shards."""
