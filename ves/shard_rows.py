"""Rows of an array that ves.shards wrote, in any order, each checked; large ones as fast as from a memory map.

Rows that the page cache holds are copied through a map of the shards (ves.shard_map). What tells that it does is the
read of each row's checksum, by a system call that does not wait for the disk: if that succeeds, the file still has the
row. The others are read by system calls, a few threads of them, since a cold disk is fast only when much is asked of
it at once.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache, partial
from itertools import repeat

import numpy as np
from jaxtyping import Int64, UInt8

from ves.open_shard import Shard
from ves.shard_map import ShardMap
from ves.shards import CRC, crc32c, shard_bytes

OPEN_SHARDS = 192  # files kept open; a process may have 1024
GROUP = 32  # rows whose files are open at once, in each thread, beside those kept
CACHE = 2**21  # bytes copied before their checksums are computed: most of them are still in the cache of a core
THREADS = 4  # more do not copy faster, and fewer do not fill the queue of a cold disk
PART = 2**21  # bytes for each thread at least: copying less, it costs more than it brings


@lru_cache(1)
def _pool(_process: int) -> ThreadPoolExecutor:
    """Threads of this process: those of another do not live on in its fork."""
    return ThreadPoolExecutor(THREADS, thread_name_prefix="ves-read")


def _together(function: Callable[[Sequence[slice]], list[slice]], groups: Sequence[slice], threads: int) -> list[slice]:
    """function(groups), by this thread and others, each with its share of them; what they say, joined."""
    size = -(-len(groups) // max(threads, 1)) or 1
    shares = [groups[start : start + size] for start in range(0, len(groups), size)] or [groups]
    others = [_pool(os.getpid()).submit(function, share) for share in shares[1:]]
    try:
        said = function(shares[0])
    finally:
        wait(others)  # whatever happened: nobody writes to the caller's memory once this has returned
    return said + [group for other in others for group in other.result()]


class ShardRows:
    """Reader of rows of `row_bytes`, `slots` of them in each of `shards` that open_shard(number) opens.

    Threads and forks may share it.
    """

    def __init__(
        self, open_shard: Callable[[int], Shard], shards: int, slots: int, row_bytes: int, *, check: bool
    ) -> None:
        self.slots, self.row_bytes, self.check = slots, row_bytes, check
        self._open_shard = open_shard
        self._shard = lru_cache(OPEN_SHARDS)(self._opened)  # one that it drops is closed when its last reader is done
        try:
            self._map: ShardMap | None = ShardMap(max(shards, 1), shard_bytes(slots, row_bytes))
        except OSError:  # no room for it in the address space: system calls will do
            self._map = None

    def _opened(self, number: int) -> tuple[Shard, int]:
        """A shard, and where it begins in the map (-1: nowhere)."""
        shard = self._open_shard(number)
        mapped = self._map is not None and shard.unpack is None and self._map.lay(number, shard.file)
        return shard, number * self._map.step if mapped and self._map else -1

    def read(self, rows: Int64[np.ndarray, " n"], out: UInt8[np.ndarray, "n row_bytes"]) -> None:
        """Fill `out` with these rows. Raises BadStore for one that is not right."""
        step = max(1, min(GROUP, CACHE // self.row_bytes))
        groups = [slice(start, start + step) for start in range(0, len(rows), step)]

        def fill(part: Sequence[slice], function: Callable[[list[int], np.ndarray], bool]) -> list[slice]:
            return [group for group in part if not function(rows[group].tolist(), out[group])]

        threads = min(THREADS, len(os.sched_getaffinity(0)), out.nbytes // PART)
        cold = _together(partial(fill, function=self._copied), groups, threads)
        _together(partial(fill, function=self._read), cold, THREADS)

    def _copied(self, rows: list[int], out: UInt8[np.ndarray, "n row_bytes"]) -> bool:
        """Fill `out` through the map; False where it, or the page cache, does not hold all of these rows.

        The loops are `map`s: the interpreter's share of small rows is felt.
        """
        opened = [self._shard(row // self.slots) for row in rows]
        begins = [shard.begin(row) for (shard, _), row in zip(opened, rows, strict=True)]
        if self._map is None or min(place for _, place in opened) < 0:
            return False
        stored = np.empty((len(rows), CRC), np.uint8)
        ends = [begin + self.row_bytes for begin in begins]
        files = [shard.file for shard, _ in opened]
        try:
            lengths = list(map(os.preadv, files, zip(stored, strict=True), ends, repeat(os.RWF_NOWAIT)))
        except OSError:  # not in the page cache, or a file system that cannot tell
            return False
        if lengths != [CRC] * len(rows):  # a file that was cut off
            return False
        self._map.copy([place + begin for (_, place), begin in zip(opened, begins, strict=True)], out)
        if self.check and (sums := list(map(crc32c, out))) != (expected := stored.view("<u4")[:, 0].tolist()):
            wrong = [one == two for one, two in zip(sums, expected, strict=True)].index(False)
            raise opened[wrong][0].bad(rows[wrong], "wrong checksum")
        return True

    def _read(self, rows: list[int], out: UInt8[np.ndarray, "n row_bytes"]) -> bool:
        """Fill `out` by system calls."""
        for row, target in zip(rows, out, strict=True):
            self._shard(row // self.slots)[0].read(row, target, check=self.check)
        return True
