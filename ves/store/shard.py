"""Reading one open shard of an array (ves.store.shard_format has its layout) without zarr.

`Shard` reads rows of features, one at a time; `AudioFile` reads chunks of samples.
"""

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Int16

from ves.store.shard_format import CRC, HEADER, MISSING, BadStore, crc32c, intact_crcs, with_crc

Unpack = Callable[[memoryview], bytes]  # decompresses a row


@lru_cache(4)
def _full(slots: int, row_bytes: int) -> tuple[bytes, list[int]]:
    """The index of a full shard, as write_shard makes it, and where its rows begin."""
    size = row_bytes + CRC
    index = np.full((slots, 2), size, "<u8")
    index[:, 0] = HEADER + np.arange(slots) * size
    return with_crc(index.tobytes()), index[:, 0].tolist()


class Shard:
    """An open shard whose first row is row number `first` of the array; with `unpack`, its rows are compressed.

    Its header and index are read and checked once. After that a row is one system call, which uses no file position, so
    threads and forked processes may share the shard. It reads the file that it opened, even after that was replaced.
    """

    def __init__(
        self, path: Path, first: int, slots: int, row_bytes: int, head: bytes, unpack: Unpack | None = None
    ) -> None:
        """Raises BadStore if it is missing, its index is damaged, or its header is not `head`, as in another store."""
        self.path, self.first, self.row_bytes, self.unpack = path, first, row_bytes, unpack
        self.lengths: list[int] = []  # of the compressed rows, with their checksums
        try:
            self.file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise self.bad(first, "the shard of this row is missing") from None
        except OSError as error:
            raise self.bad(first, f"the shard cannot be opened ({error.strerror})") from error
        try:
            self.begins, stored = self._read_index(slots), os.pread(self.file, HEADER, 0)
        except OSError as error:  # the disk fails, or it is a folder
            raise self.bad(first, f"the shard cannot be read ({error.strerror})") from error
        if stored != head:
            what = "the header is that of another store or place (unless attributes or ids are)"
            raise self.bad(first, what)

    def __del__(self) -> None:
        if hasattr(self, "file"):  # opening may have failed
            os.close(self.file)

    def bad(self, row: int, what: str) -> BadStore:
        """The error to raise for a row."""
        return BadStore(
            f"{self.path}: row {row}: {what}; run again the stage that writes it, which repairs what is damaged"
        )

    def _read_index(self, slots: int) -> list[int]:
        """Where the row of each slot begins; -1 for an empty slot.

        Raises BadStore if the index is damaged or points outside the rows.
        """
        end = os.fstat(self.file).st_size - (slots * 16 + CRC)
        if end < HEADER:
            raise self.bad(self.first, "the shard is shorter than its header and index")
        raw = os.pread(self.file, slots * 16 + CRC, end)
        chunk = self.row_bytes + CRC
        known, known_begins = _full(slots, self.row_bytes)
        if raw == known and end == HEADER + slots * chunk and not self.unpack:
            return known_begins  # nearly every shard: 1,133 of them open in a fifth of the time and share one list
        if len(raw) != slots * 16 + CRC or with_crc(raw[:-CRC]) != raw:
            raise self.bad(self.first, "the shard's index has a wrong checksum")
        begins, lengths = np.frombuffer(raw[:-CRC], "<u8").reshape(slots, 2).T
        present = begins != MISSING
        outside = (begins < HEADER) | (begins > end) | (lengths > end - np.minimum(begins, end)) | (lengths < CRC)
        if (present & outside).any() or (not self.unpack and (lengths[present] != chunk).any()):
            raise self.bad(self.first, f"the shard has no rows of {self.row_bytes} bytes")
        self.lengths = lengths.tolist() if self.unpack else []
        return [int(begin) if there else -1 for begin, there in zip(begins, present, strict=True)]

    def begin(self, row: int) -> int:
        """Where a row begins in the file. Raises BadStore if the shard lacks it."""
        if (begin := self.begins[row - self.first]) < 0:
            raise self.bad(row, "the shard lacks it")
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
        except OSError as error:  # the disk fails
            raise self.bad(row, f"cannot be read ({error.strerror})") from error
        return True

    def _from_cache(self, row: int, out: np.ndarray, check: bool) -> bool:
        try:
            return self._plain(row, out, check, os.RWF_NOWAIT)
        except OSError:  # the page cache lacks it, or else the next read, which waits, raises the same
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
        except (RuntimeError, ValueError) as error:  # from the codecs
            raise self.bad(row, f"cannot be decompressed ({error})") from error
        if len(content) != self.row_bytes:
            raise self.bad(row, f"{len(content)} bytes, not {self.row_bytes}")
        np.copyto(out, np.frombuffer(content, np.uint8))


class AudioFile:
    """One open file of samples. The index at its end, which is read and checked once, says where its chunks are.

    A read uses no file position, so threads and forked processes may share the file.
    """

    def __init__(self, path: Path, chunk: int, per_file: int, head: bytes) -> None:
        """`chunk` is in samples, `per_file` in chunks. Raises BadStore if the file is missing or damaged, or if its
        header is not `head`, as in another group."""
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
            stored = os.pread(self.file, HEADER, 0)
        except OSError as error:  # the disk fails, or it is a folder
            raise self._bad(f"cannot be read ({error.strerror})") from error
        if len(raw) != size or crc32c(raw[:-CRC]) != int.from_bytes(raw[-CRC:], "little"):
            raise self._bad("the index is damaged")
        if stored != head:
            raise self._bad("the header is that of another group or place (unless clips or attributes are)")
        self.index = np.frombuffer(raw[:-CRC], "<u8").reshape(-1, 2)

    def __del__(self) -> None:
        if hasattr(self, "file"):  # opening may have failed
            os.close(self.file)

    def _bad(self, what: str) -> BadStore:
        return BadStore(f"{self.path}: {what}; ingest this shard again")

    def read(self, start: int, stop: int, *, check: bool) -> Int16[np.ndarray, " n"]:
        """Samples start..stop, by one read of their chunks, each of which is checked if `check`."""
        first, behind, size = start // self.chunk, -(-stop // self.chunk), self.chunk * 2 + CRC
        chunks = self.index[first:behind]
        if (chunks[:, 1] != size).any():
            raise self._bad("a chunk is missing")
        if (np.diff(chunks[:, 0].astype(np.int64)) != size).any():
            raise BadStore(f"{self.path}: chunks are not back to back; this store was not written by ves.store.audio")
        rows = np.empty((len(chunks), size), np.uint8)
        try:
            length = os.preadv(self.file, [rows], int(chunks[0, 0]))
        except OSError as error:  # the disk fails
            raise self._bad(f"cannot be read ({error.strerror})") from error
        if length != rows.nbytes:
            raise self._bad("cut off")
        if check and crc32c(rows) != intact_crcs(size - CRC, len(self.index))[len(rows)]:
            raise self._bad("a checksum does not match, so samples are damaged")
        samples = np.ascontiguousarray(rows[:, :-CRC])
        return samples.view("<i2").reshape(-1)[start - first * self.chunk : stop - first * self.chunk]
