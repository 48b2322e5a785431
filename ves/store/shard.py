"""One open shard of an array (ves.store.shard_format has its layout): rows of it, each read and checked by itself.

`Shard` reads rows of features, `AudioFile` chunks of samples; both without zarr.
"""

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Int16

from ves.store.shard_format import CRC, HEADER, MISSING, BadStore, crc32c, sound, with_crc

Unpack = Callable[[memoryview], bytes]  # what a compressed row was


@lru_cache(4)
def _full(slots: int, row_bytes: int) -> tuple[bytes, list[int]]:
    """The index of a shard that is full, as write_shard makes it, and where its rows begin."""
    size = row_bytes + CRC
    index = np.full((slots, 2), size, "<u8")
    index[:, 0] = HEADER + np.arange(slots) * size
    return with_crc(index.tobytes()), index[:, 0].tolist()


class Shard:
    """An open shard, whose first row is row number `first` of the array; with `unpack`, one of compressed rows.

    Its header and index are read and checked once; after that a row is one system call that asks for no file position,
    so that threads and forked processes may share it. It reads the file it opened, even when that is replaced.
    """

    def __init__(
        self, path: Path, first: int, slots: int, row_bytes: int, head: bytes, unpack: Unpack | None = None
    ) -> None:
        """Raises BadStore when it is missing, its index is damaged, or its header is not `head`: of another store."""
        self.path, self.first, self.row_bytes, self.unpack = path, first, row_bytes, unpack
        self.lengths: list[int] = []  # of the compressed rows, with their checksums
        try:
            self.file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise self.bad(first, "the shard of this row is missing") from None
        except OSError as error:
            raise self.bad(first, f"the shard cannot be opened ({error.strerror})") from error
        try:
            self.begins, found = self._read_index(slots), os.pread(self.file, HEADER, 0)
        except OSError as error:  # of the disk, or of a folder in its place
            raise self.bad(first, f"the shard cannot be read ({error.strerror})") from error
        if found != head:
            raise self.bad(first, "the shard is of another store or place, by its header (or attributes or ids are)")

    def __del__(self) -> None:
        if hasattr(self, "file"):  # opening may have failed
            os.close(self.file)

    def bad(self, row: int, what: str) -> BadStore:
        """The error to raise for a row."""
        return BadStore(
            f"{self.path}: row {row}: {what}; run the stage that writes it again, it repairs what is damaged"
        )

    def _read_index(self, slots: int) -> list[int]:
        """Where each slot's row begins (-1: it has none).

        Raises BadStore for an index that is damaged or points beyond the rows.
        """
        end = os.fstat(self.file).st_size - (slots * 16 + CRC)
        if end < HEADER:
            raise self.bad(self.first, "the shard is shorter than its header and index")
        raw = os.pread(self.file, slots * 16 + CRC, end)
        chunk = self.row_bytes + CRC
        known, known_begins = _full(slots, self.row_bytes)
        if raw == known and end == HEADER + slots * chunk and not self.unpack:
            return known_begins  # nearly every shard: 1,133 of them open in a fifth of the time, and share one list
        if len(raw) != slots * 16 + CRC or with_crc(raw[:-CRC]) != raw:
            raise self.bad(self.first, "the shard's index has a wrong checksum")
        begins, lengths = np.frombuffer(raw[:-CRC], "<u8").reshape(slots, 2).T
        present = begins != MISSING
        outside = (begins < HEADER) | (begins > end) | (lengths > end - np.minimum(begins, end)) | (lengths < CRC)
        if (present & outside).any() or (not self.unpack and (lengths[present] != chunk).any()):
            raise self.bad(self.first, f"the shard does not hold rows of {self.row_bytes} bytes")
        self.lengths = lengths.tolist() if self.unpack else []
        return [int(begin) if there else -1 for begin, there in zip(begins, present, strict=True)]

    def begin(self, row: int) -> int:
        """Where a row begins in the file. Raises BadStore when the shard does not hold it."""
        if (begin := self.begins[row - self.first]) < 0:
            raise self.bad(row, "the shard does not hold it")
        return begin

    def read(self, row: int, out: np.ndarray, *, check: bool = True, cached: bool = False) -> bool:
        """Fill `out`, uint8 [row bytes], with a row.

        With `cached`, the disk is not waited for: False if the page cache lacks any of the row, if the file system
        cannot tell, or if the row is compressed. Otherwise True. Raises BadStore that names the shard and the row if it
        is missing, cut off, cannot be read or, with `check`, has a wrong checksum.
        """
        if cached:
            return not self.unpack and self._from_cache(row, out, check)
        try:
            if self.unpack:
                self._compressed(row, out, check)
            elif not self._plain(row, out, check):
                raise self.bad(row, "the shard ends within it")
        except OSError as error:  # of the disk
            raise self.bad(row, f"cannot be read ({error.strerror})") from error
        return True

    def _from_cache(self, row: int, out: np.ndarray, check: bool) -> bool:
        try:
            return self._plain(row, out, check, os.RWF_NOWAIT)
        except OSError:  # what that means is said by the next read, which waits for the disk
            return False

    def _plain(self, row: int, out: np.ndarray, check: bool, flags: int = 0) -> bool:
        """Whether all of the row was read."""
        stored = bytearray(CRC)
        if os.preadv(self.file, [out, stored], self.begin(row), flags) != self.row_bytes + CRC:
            return False
        if check and crc32c(out) != int.from_bytes(stored, "little"):
            raise self.bad(row, "wrong checksum")
        return True

    def _compressed(self, row: int, out: np.ndarray, check: bool) -> None:
        """Read a compressed row."""
        assert self.unpack is not None
        begin, stored = self.begin(row), memoryview(bytearray(self.lengths[row - self.first]))
        if os.preadv(self.file, [stored], begin) != len(stored):
            raise self.bad(row, "the shard ends within it")
        if check and crc32c(stored[:-CRC]) != int.from_bytes(stored[-CRC:], "little"):
            raise self.bad(row, "wrong checksum")
        try:
            content = self.unpack(stored[:-CRC])
        except (RuntimeError, ValueError) as error:  # as the codecs say it
            raise self.bad(row, f"cannot be unpacked ({error})") from error
        if len(content) != self.row_bytes:
            raise self.bad(row, f"{len(content)} bytes, not {self.row_bytes}")
        np.copyto(out, np.frombuffer(content, np.uint8))


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
