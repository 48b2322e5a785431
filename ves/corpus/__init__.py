"""From shards to clips, manifest and splits: the same for every source.

By module, in the order of the workflow: ingest (a shard, decoded and checked), manifest (who is in, who is out), splits
(who trains, who is held out).
"""
