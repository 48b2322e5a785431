"""Locks on numbered places, such as the shards of a store or the GPUs of a machine: one process at a time has each.

A place is RECORD bytes of a lock file. Its holder locks these bytes and writes its name into them, so that the next
process can say who the holder is. The kernel releases the lock when the holder dies, and network file systems that
support locks pass it on. (These are Linux's "open file description" locks. POSIX locks are lost when the process closes
any other file of that path, and flock has no ranges.)
"""

import fcntl
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

RECORD = 128  # bytes: a process number and the name of a host
POLL = 0.05  # seconds between two attempts


class InUse(Exception):
    """Another process, `holder`, has place number `place`."""

    def __init__(self, place: int, holder: str) -> None:
        super().__init__(f"place {place} is that of {holder}")
        self.place, self.holder = place, holder


@contextmanager
def hold(path: Path, places: range, timeout: float = 0.0) -> Iterator[None]:
    """Hold all these neighbouring places of the lock file `path` until the block ends, or none of them.

    Raises InUse for the first place that another process has and does not release within `timeout` seconds.
    """
    if not places:
        yield  # to lock no bytes would mean to lock all
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        _take(file, places, time.monotonic() + timeout)
        os.pwrite(file, _name() * len(places), places.start * RECORD)
        yield
    finally:
        os.close(file)


def _name() -> bytes:
    return f"process {os.getpid()} on {socket.gethostname()[:64]}".encode().ljust(RECORD, b"\0")


def _take(file: int, places: range, until: float) -> None:
    request = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, places.start * RECORD, len(places) * RECORD, 0)
    while True:
        with suppress(BlockingIOError, PermissionError):  # from the kernel, or from some file systems
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, request)
            return
        kind, _, begin, _, _ = struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_OFD_GETLK, request))
        if kind != fcntl.F_UNLCK and time.monotonic() >= until:  # else it was released just now
            place = max(places.start, begin // RECORD)
            holder = os.pread(file, RECORD, place * RECORD).rstrip(b"\0").decode(errors="replace")
            raise InUse(place, holder or "another process")
        time.sleep(POLL)
