"""Rows of an array that ves.store.shard_format wrote, in any order, each checked; large ones as fast as from a memory
map.

Rows that the page cache holds are copied through a map of the shards (ves.store.shard_map), block by block: into memory
that stays in the cache of a core, where their checksums are computed at once, and from there to where they are asked
for. Before a block is copied, its files are asked whether they still are as long as they were: to touch what one that
was cut off lacks would kill the process. (It does where that happens between the question and the copy, some tenths of
a millisecond; and where a disk fails under a page that is not in the cache any more.) What the page cache does not hold
is read by system calls, a few threads of them, since a cold disk is fast only when much is asked of it at once. It is
asked of every row; but of small ones, for which that costs as much as half of their copy, only of a few in most reads,
as long as all were there when all were asked for.
"""

import os
from collections import deque
from collections.abc import Callable
from functools import lru_cache, partial
from itertools import repeat
from queue import SimpleQueue
from threading import Lock, Thread

import numpy as np
from jaxtyping import Int64, UInt8

from ves.store.shard import Shard
from ves.store.shard_format import CRC, BadStore, crc32c, sound
from ves.store.shard_map import ShardMap

OPEN_SHARDS = 192  # files kept open; a process may have 1024
GROUP = 64  # rows whose files are open at once, in each thread, beside those kept
BLOCK = 2**21  # bytes copied before their checksums are computed: they are still in the cache
SMALL = 2**22  # bytes of a read whose files are asked at once: while threads wake up, each question disturbs them
LATE = 2**17  # bytes that a thread copies while another one wakes up
LARGE = 2**17  # bytes of a row that is copied by itself, straight to where it is asked for
SAMPLE = 2  # small rows by which a read tells whether the page cache has them
TRUSTED = 15  # times as many rows may be read so as were asked for, and all there, in the last read that asked for all
THREADS = 4  # more do not copy faster, and fewer do not fill the queue of a cold disk
PART = 2**20  # bytes for each thread at least: copying less, it costs more than it brings


@lru_cache(1)
def _jobs(_process: int) -> SimpleQueue[Callable[[], None]]:
    """Where threads of this process wait for work: those of another do not live on in its fork.

    Not by an executor: two threads copied 92 rows of 38 kB in 276 us by one, in 221 when they waited for a lock.
    """
    jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def serve() -> None:
        while True:
            jobs.get()()

    for number in range(THREADS):
        Thread(target=serve, name=f"ves-read-{number}", daemon=True).start()
    return jobs


def _together[T](function: Callable[[T], bool], stretches: list[deque[T]]) -> list[T]:
    """Of all these items, each given to function, those of which it says False.

    Each stretch is a thread's, the first this one's; who is done takes from the end of the longest. One that wakes up
    when nothing is left is not waited for.
    """
    said: list[T] = []
    failed: list[BaseException] = []

    def work(own: deque[T]) -> None:
        while longest := max(stretches, key=len):
            try:
                item = own.popleft() if own else longest.pop()
            except IndexError:  # another thread was faster
                continue
            if not function(item):
                said.append(item)

    def help_out(own: deque[T], turn: Lock) -> None:
        if turn.acquire(blocking=False):
            try:
                work(own)
            except BaseException as error:  # raised below, by the thread that has asked
                failed.append(error)
            finally:
                turn.release()

    turns = [Lock() for _ in stretches[1:]]
    for own, turn in zip(stretches[1:], turns, strict=True):
        _jobs(os.getpid()).put(partial(help_out, own, turn))
    try:
        work(stretches[0])
    finally:
        for turn in turns:  # nobody writes to the caller's memory after this, unless Ctrl-C ends this wait
            turn.acquire()
    if failed:
        raise failed[0]
    return said


def _shared[T](items: list[T], threads: int) -> list[deque[T]]:
    """Items in a stretch for each thread: two that are the first to write to one huge page would both clear it."""
    size = -(-len(items) // threads) or 1
    return [deque(items[start : start + size]) for start in range(0, len(items), size)] or [deque()]


class ShardRows:
    """Reader of rows of `row_bytes`, `slots` of them in each of `shards` that open_shard(number) opens.

    Threads and forks may share it.
    """

    def __init__(
        self, open_shard: Callable[[int], Shard], shards: int, slots: int, row_bytes: int, *, check: bool
    ) -> None:
        self.slots, self.row_bytes, self.check = slots, row_bytes, check
        self._most = max(1, min(GROUP, BLOCK // (row_bytes + CRC)))  # rows in a block
        self._spare: list[UInt8[np.ndarray, "most pitch"]] = []  # memory for blocks that nobody uses at the moment
        self._sound = sound(row_bytes, self._most)
        self._trusted = 0  # rows to come for which a few of a read stand; threads may miscount them, at no harm
        self._open_shard = open_shard
        self._shard = lru_cache(OPEN_SHARDS)(self._opened)  # one that it drops is closed when its last reader is done
        try:
            self._map: ShardMap | None = ShardMap(max(shards, 1), slots, row_bytes)
        except (OSError, OverflowError):  # no room for it in the address space: system calls will do
            self._map = None

    def _opened(self, number: int) -> tuple[Shard, int]:
        """A shard, and how many of its rows are in the map."""
        shard = self._open_shard(number)
        laid = self._map is not None and shard.in_place and self._map.lay(number, shard.file)
        return shard, shard.in_place if laid else 0

    def read(self, rows: Int64[np.ndarray, " n"], out: UInt8[np.ndarray, "n row_bytes"]) -> None:
        """Fill `out` with these rows. Raises BadStore for one that is not right."""
        threads = max(1, min(THREADS, len(os.sched_getaffinity(0)), out.nbytes // PART))
        warm = self._trusted > 0 and self._cached(rows[:: len(rows) // SAMPLE + 1])
        there = warm and out.nbytes <= SMALL and self._unchanged(rows)

        def copied(block: slice) -> bool:
            asked = rows[block]
            ask = self._unchanged if warm else self._cached
            return (there or ask(asked)) and self._copy(asked, out[block])

        def read(place: int) -> bool:
            row = int(rows[place])
            self._shard(row // self.slots)[0].read(row, out[place], check=self.check)
            return True

        size = min(self._most, len(rows) // threads + LATE // self.row_bytes + 1)
        blocks = [slice(begin, begin + size) for begin in range(0, len(rows), size)]
        left = _together(copied, _shared(blocks, threads))
        if warm:
            self._trusted -= len(rows)
        else:
            self._trusted = TRUSTED * len(rows) if not left and self.row_bytes <= LARGE else 0
        if left:
            places = [place for block in left for place in range(block.start, min(block.stop, len(rows)))]
            _together(read, _shared(places, THREADS))

    def _unchanged(self, rows: Int64[np.ndarray, " n"]) -> bool:
        """Whether these rows are in the map, and their files as long as they were."""
        numbers = rows // self.slots
        for number in set(numbers.tolist()):
            shard, laid = self._shard(number)
            if not laid or os.lseek(shard.file, 0, os.SEEK_END) != shard.size:  # a third of the time of fstat
                return False
            if laid < self.slots and rows[numbers == number].max() >= shard.first + laid:
                return False
        return True

    def _cached(self, rows: Int64[np.ndarray, " n"]) -> bool:
        """Whether these rows are in the map and, as far as their checksums tell, in the page cache."""
        asked = rows.tolist()
        opened = [self._shard(row // self.slots) for row in asked]
        if any(row >= shard.first + laid for row, (shard, laid) in zip(asked, opened, strict=True)):
            return False
        ends = [shard.begin(row) + self.row_bytes for row, (shard, _) in zip(asked, opened, strict=True)]
        files, stored = [shard.file for shard, _ in opened], [bytearray(CRC)]
        try:
            lengths = list(map(os.preadv, files, repeat(stored), ends, repeat(os.RWF_NOWAIT)))
        except OSError:  # not in the page cache, or a file system that cannot tell
            return False
        return lengths == [CRC] * len(asked)  # else a file was cut off

    def _copy(self, rows: Int64[np.ndarray, " n"], out: UInt8[np.ndarray, "n row_bytes"]) -> bool:
        """Fill `out` through the map."""
        assert self._map is not None
        if self.row_bytes > LARGE:
            for row, stored, target in zip(rows.tolist(), self._map.rows(rows), out, strict=True):
                np.copyto(target, stored[:-CRC])
                if self.check and crc32c(stored[-CRC:], crc32c(target)) != self._sound[1]:
                    raise self._bad(row)
            return True
        try:
            memory = self._spare.pop()
        except IndexError:
            memory = np.empty((self._most, self.row_bytes + CRC), np.uint8)
        block = memory[: len(rows)]
        self._map.copy(rows, block)
        if self.check and crc32c(block) != self._sound[len(rows)]:
            raise self._bad(
                next(row for row, one in zip(rows.tolist(), block, strict=True) if crc32c(one) != self._sound[1])
            )
        np.copyto(out, block[:, :-CRC])
        self._spare.append(memory)
        return True

    def _bad(self, row: int) -> BadStore:
        return self._shard(row // self.slots)[0].bad(row, "wrong checksum")
