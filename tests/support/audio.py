"""Audio stores of random samples."""

from pathlib import Path

import numpy as np

from ves.store.audio import seal, write_group

SHARDS = ("audio/A/x", "audio/B/y")


def write_audio(store: Path, seed: int = 0, lengths: tuple[int, ...] = (50, 0, 130, 7)) -> Path:
    rng = np.random.default_rng(seed)
    for shard in SHARDS:
        clips = [rng.integers(-32768, 32768, n, dtype=np.int16) for n in lengths]
        write_group(store / shard, clips, [rng.bytes(16).hex() for _ in clips])
    seal(store, list(SHARDS))
    return store
