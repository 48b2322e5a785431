"""The shards of one array side by side in memory: rows are copied from there without a system call.

Address space for all shards is reserved at once and costs nothing; a file is laid into it when it is first opened, and
stays there, whatever becomes of its name. Copies are numpy's: torch's `index_select` over the map is faster (2.0 us
instead of 2.8 for 38 kB), but it uses OpenMP, which hangs in a process that was forked from one that has used it.
"""

import ctypes
import math
import mmap
import os
from collections.abc import Sequence
from threading import Lock

import numpy as np

STEP = 2**21  # bytes: shards begin at whole huge pages
MAP_FIXED, MAP_NORESERVE = 0x10, 0x4000  # of Linux; Python's mmap does not name them

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]


class ShardMap:
    """Room for shards of at most `size` bytes each. Threads and forked processes may share it.

    Pages of a file that has been cut off, or that the disk fails to give, kill the process that touches them: whoever
    copies must know first that they are there (ves.shard_rows asks the page cache).
    """

    def __init__(self, shards: int, size: int) -> None:
        """Raises OSError where there is no room for them (a limit on the address space)."""
        self.step = math.ceil(size / STEP) * STEP
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE
        self._room = mmap.mmap(-1, shards * self.step, flags=flags, prot=0)  # freed with all that lies in it
        self._bytes = np.frombuffer(self._room, np.uint8)
        self._begin = self._bytes.ctypes.data
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

    def copy(self, begins: Sequence[int], out: np.ndarray) -> None:
        """Fill `out`, uint8 [n, bytes], with what begins at these places of the map."""
        width = out.shape[1]
        for begin, target in zip(begins, out, strict=True):
            np.copyto(target, self._bytes[begin : begin + width])
