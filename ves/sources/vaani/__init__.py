"""Project Vaani on the hub: its contents, the choice of clips, and its shards."""
