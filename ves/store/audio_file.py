"""One file of samples of the audio store (ves.store.audio): chunks of it, found without zarr and checked."""

import os
from pathlib import Path

import numpy as np
from jaxtyping import Int16

from ves.store.shard_format import CRC, HEADER, BadStore, crc32c, sound


class AudioFile:
    """One open file of samples; chunks of it are found by the index at its end, which is read once and checked.

    A read moves no file position, so that threads and forked processes may share it.
    """

    def __init__(self, path: Path, chunk: int, per_file: int, head: bytes) -> None:
        """`chunk` is in samples, `per_file` in chunks. Raises BadStore when the file is missing or damaged, or does not
        begin with `head`: of another group."""
        self.path, self.chunk = path, chunk
        try:
            self.file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise self._bad("missing") from None
        except OSError as error:
            raise self._bad(f"cannot be opened ({error.strerror})") from error
        size = per_file * 16 + CRC
        try:
            raw = os.pread(self.file, size, max(os.fstat(self.file).st_size - size, 0))
            found = os.pread(self.file, HEADER, 0)
        except OSError as error:  # of the disk, or of a folder in its place
            raise self._bad(f"cannot be read ({error.strerror})") from error
        if len(raw) != size or crc32c(raw[:-CRC]) != int.from_bytes(raw[-CRC:], "little"):
            raise self._bad("the index is damaged")
        if found != head:
            raise self._bad("of another group or place, by its header (or clips or attributes of its group are)")
        self.index = np.frombuffer(raw[:-CRC], "<u8").reshape(-1, 2)

    def __del__(self) -> None:
        if hasattr(self, "file"):  # opening may have failed
            os.close(self.file)

    def _bad(self, what: str) -> BadStore:
        return BadStore(f"{self.path}: {what}; ingest this shard again")

    def read(self, start: int, stop: int, *, check: bool) -> Int16[np.ndarray, " n"]:
        """Samples start..stop: one read of the chunks that hold them, each checked if `check`."""
        first, behind, size = start // self.chunk, -(-stop // self.chunk), self.chunk * 2 + CRC
        chunks = self.index[first:behind]
        if (chunks[:, 1] != size).any():
            raise self._bad("a chunk is not there")
        if (np.diff(chunks[:, 0].astype(np.int64)) != size).any():
            raise BadStore(f"{self.path}: chunks are not back to back; this store was not written by ves.store.audio")
        rows = np.empty((len(chunks), size), np.uint8)
        try:
            length = os.preadv(self.file, [rows], int(chunks[0, 0]))
        except OSError as error:  # of the disk
            raise self._bad(f"cannot be read ({error.strerror})") from error
        if length != rows.nbytes:
            raise self._bad("cut off")
        if check and crc32c(rows) != sound(size - CRC, len(self.index))[len(rows)]:
            raise self._bad("a checksum does not match, samples are damaged")
        samples = np.ascontiguousarray(rows[:, :-CRC])
        return samples.view("<i2").reshape(-1)[start - first * self.chunk : stop - first * self.chunk]
