"""Rows of an array that ves.shards wrote, in any order and by a few threads: as fast as a memory map, but checked."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache

import numpy as np
from jaxtyping import Int64, UInt8

from ves.open_shard import Shard, read_rows

OPEN_SHARDS = 192  # files kept open, with two handles each where rows are large; a process may have 1024
GROUP = 32  # rows whose files are open at once in a thread, beside those kept
THREADS = 4  # more do not copy faster, and fewer do not fill the queue of a cold disk
PART = 2**20  # bytes for each thread at least: reading less, it costs more than it brings, but to a cold disk


@lru_cache(1)
def _pool(_process: int) -> ThreadPoolExecutor:
    """Threads of this process: those of another do not live on in its fork."""
    return ThreadPoolExecutor(THREADS, thread_name_prefix="ves-read")


class ShardRows:
    """Reader of rows, `slots` of them in the shard that open_shard(number) opens. Threads and forks may share it."""

    def __init__(self, open_shard: Callable[[int], Shard], slots: int, *, check: bool) -> None:
        self.slots, self.check = slots, check
        self._shard = lru_cache(OPEN_SHARDS)(open_shard)  # one that it drops is closed when its last reader is done

    def read(self, rows: Int64[np.ndarray, " n"], out: UInt8[np.ndarray, "n row_bytes"]) -> None:
        """Fill `out` with these rows. Raises BadStore for the first, in the order of the array, that is not right."""
        order = np.argsort(rows, kind="stable")  # shard by shard, forwards
        cores = len(os.sched_getaffinity(0))
        parts = np.array_split(order, max(1, min(THREADS, cores, out.nbytes // PART, len(rows))))
        if len(parts) == 1:
            self._read(rows, order, out)
            return
        others = [_pool(os.getpid()).submit(self._read, rows, part, out) for part in parts[1:]]
        try:
            self._read(rows, parts[0], out)
        finally:
            wait(others)  # whatever happened: nobody writes to `out` once this has returned
        for other in others:
            other.result()

    def _read(self, rows: Int64[np.ndarray, " n"], places: np.ndarray, out: UInt8[np.ndarray, "n row_bytes"]) -> None:
        """Fill these places of `out`, a few at a time, so that few files are open at once."""
        for start in range(0, len(places), GROUP):
            part = places[start : start + GROUP]
            chosen = rows[part]
            shards = [self._shard(shard) for shard in (chosen // self.slots).tolist()]
            read_rows(shards, chosen.tolist(), [out[place] for place in part.tolist()], check=self.check)
