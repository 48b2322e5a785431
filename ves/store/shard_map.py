"""The shards of one array side by side in memory: any rows of it are copied from there by one call of numpy.

Address space for all shards is reserved at once and costs nothing; a file is laid into it when it is first opened, and
stays there, whatever becomes of its name. Shards begin a whole number of rows apart, and of pages, so that the rows of
all of them, each with its checksum, are one contiguous array: only of such does numpy's `take` copy rows to where it is
told, in one loop in C that lets other threads work. (torch's `index_select` would do as well, but it uses OpenMP, which
hangs in a process that was forked from one that has used it.)
"""

import ctypes
import math
import mmap
import os
from threading import Lock

import numpy as np
from jaxtyping import Int64, UInt8

from ves.store.shard_format import CRC, HEADER, shard_bytes

PAGE = mmap.PAGESIZE
MAP_FIXED, MAP_NORESERVE = 0x10, 0x4000  # of Linux; Python's mmap does not name them

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]


class ShardMap:
    """Room for shards of `slots` rows of `row_bytes`. Threads and forked processes may share it.

    Pages of a file that has been cut off, or that the disk fails to give, kill the process that touches them: whoever
    copies must know first that they are there (ves.store.rows asks).
    """

    def __init__(self, shards: int, slots: int, row_bytes: int) -> None:
        """Raises OSError where there is no room for them (a limit on the address space)."""
        pitch = row_bytes + CRC
        unit = math.lcm(PAGE, pitch)
        self.step = math.ceil(shard_bytes(slots, row_bytes) / unit) * unit
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE
        self._room = mmap.mmap(-1, shards * self.step, flags=flags, prot=0)  # freed with all that lies in it
        self._begin = np.frombuffer(self._room, np.uint8).ctypes.data
        self._rows = np.ndarray(((shards * self.step - HEADER) // pitch, pitch), np.uint8, self._room, HEADER)
        self._slots, self._apart = slots, self.step // pitch
        self._file_at: dict[int, tuple[int, int] | None] = {}
        self._locks: dict[int, Lock] = {}  # of each process: in a fork, that of the other may be held for ever

    def lay(self, number: int, file: int) -> bool:
        """Whether this open file now is where shard `number` belongs.

        False where another one lies there, since the store was written anew, and where the system does not map it.
        """
        found = os.fstat(file)
        identity = (found.st_dev, found.st_ino)  # of no other file, as long as this one is mapped
        with self._locks.setdefault(os.getpid(), Lock()):
            if number not in self._file_at:
                laid = found.st_size <= self.step and self._map(number, file, found.st_size)
                self._file_at[number] = identity if laid else None
            return self._file_at[number] == identity

    def _map(self, number: int, file: int, size: int) -> bool:
        at = self._begin + number * self.step
        return _libc.mmap(at, size, mmap.PROT_READ, mmap.MAP_SHARED | MAP_FIXED, file, 0) == at

    def _index(self, rows: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        numbers, slots = np.divmod(rows, self._slots)
        return numbers * self._apart + slots

    def copy(self, rows: Int64[np.ndarray, " n"], out: UInt8[np.ndarray, "n pitch"]) -> None:
        """Fill `out` with these rows and their checksums."""
        self._rows.take(self._index(rows), 0, out, "clip")  # without it, they are copied twice

    def rows(self, rows: Int64[np.ndarray, " n"]) -> list[UInt8[np.ndarray, " pitch"]]:
        """These rows and their checksums, where they are."""
        return [self._rows[place] for place in self._index(rows).tolist()]
