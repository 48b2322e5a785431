"""Rows of an array that ves.store.shard_format wrote, in any order, each read by one system call and checked.

`preadv` copies a row straight to where it is wanted, and its checksum is computed while it is still in the cache of the
core. Rows that the page cache holds are read by this thread, and by a few more if there is much to copy. The others are
read by several threads, since a disk is fast only when it has many requests at once. (A memory map of all shards took
as long as this, and a file that was cut off behind it killed the process: benchmarks/results/plain_rows.md.)
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache, partial

import numpy as np
from jaxtyping import Int64, UInt8

from ves.store.shard import Shard

OPEN_SHARDS = 192  # files kept open; a process may have 1024
THREADS = 4  # more do not copy faster, and fewer do not keep a cold disk busy
PART = 2**22  # bytes for each thread at least: to copy less, a thread costs more than it brings


@lru_cache(1)
def _pool(_process: int) -> ThreadPoolExecutor:
    """Threads of this process: those of its parent do not live on in a fork."""
    return ThreadPoolExecutor(THREADS, "ves-read")


def _together(read: Callable[[Iterator[int]], list[int]], places: Iterable[int], threads: int) -> list[int]:
    """What read(places) returns in this thread and in others, joined; each place goes to the first thread that is free.

    It returns, or raises what a thread has raised, when all are done: nothing is written to the caller's memory after
    that. A thread that the machine is too busy to start is not waited for.
    """
    shared = iter(places)
    futures = [_pool(os.getpid()).submit(read, shared) for _ in range(threads - 1)]
    try:
        left = read(shared)
    finally:
        started = [future for future in futures if not future.cancel()]
        wait(started)
    return left + [place for future in started for place in future.result()]


class ShardRows:
    """Reader of rows of `row_bytes` from shards of `slots` rows each, which open_shard(number) opens.

    Threads and forked processes may share it.
    """

    def __init__(self, open_shard: Callable[[int], Shard], slots: int, row_bytes: int, *, check: bool) -> None:
        self.slots, self.row_bytes, self.check = slots, row_bytes, check
        self._shard = lru_cache(OPEN_SHARDS)(open_shard)  # one that it drops is closed when its last reader is done

    def read(self, rows: Int64[np.ndarray, " n"], out: UInt8[np.ndarray, "n row_bytes"]) -> None:
        """Fill `out` with these rows. Raises BadStore for a row that is missing, damaged or cannot be read."""
        numbers = rows.tolist()

        def some(cached: bool, places: Iterator[int]) -> list[int]:
            """Read the rows at these places; returns the places of rows that the page cache lacks."""
            left = []
            for place in places:
                row = numbers[place]
                if not self._shard(row // self.slots).read(row, out[place], check=self.check, cached=cached):
                    left.append(place)
            return left

        threads = max(1, min(THREADS, len(os.sched_getaffinity(0)), out.nbytes // PART))
        if left := _together(partial(some, True), range(len(numbers)), threads):
            _together(partial(some, False), left, min(THREADS, len(left)))
