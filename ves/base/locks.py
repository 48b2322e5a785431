"""Numbered places of which one process at a time has each: the shards of a store, the GPUs of a machine.

A place is RECORD bytes of a lock file. Who has it has locked these bytes and written its name into them, so that who
comes second can be told who is first. The kernel lets go of the lock when its holder dies, and network file systems
that know locks pass it on. (Locks of Linux' "open file descriptions": those of POSIX are lost when the process
closes any other file of that path, and flock knows no ranges.)
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


class Taken(Exception):
    """Another process has place number `place`; `holder` says which."""

    def __init__(self, place: int, holder: str) -> None:
        super().__init__(f"place {place} is that of {holder}")
        self.place, self.holder = place, holder


@contextmanager
def held(path: Path, places: range, patience: float = 0.0) -> Iterator[None]:
    """Have all these places (neighbours) of the lock file `path` until the block ends, or none.

    Raises Taken for the first that another has and does not let go of within `patience` seconds.
    """
    if not places:
        yield  # a lock of no bytes would be one of all
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        _take(file, places, time.monotonic() + patience)
        os.pwrite(file, _name() * len(places), places.start * RECORD)
        yield
    finally:
        os.close(file)


def _name() -> bytes:
    return f"process {os.getpid()} on {socket.gethostname()[:64]}".encode().ljust(RECORD, b"\0")


def _take(file: int, places: range, until: float) -> None:
    asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, places.start * RECORD, len(places) * RECORD, 0)
    while True:
        with suppress(BlockingIOError, PermissionError):  # as the kernel, and as some file systems say it
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, asked)
            return
        kind, _, begin, _, _ = struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_OFD_GETLK, asked))
        if kind != fcntl.F_UNLCK and time.monotonic() >= until:  # else it has just let go
            place = max(places.start, begin // RECORD)
            holder = os.pread(file, RECORD, place * RECORD).rstrip(b"\0").decode(errors="replace")
            raise Taken(place, holder or "another process")
        time.sleep(POLL)
