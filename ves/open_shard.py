"""One open shard of an array (ves.shards has its layout): rows of it, each read and checked by itself."""

import mmap
import os
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import crc32c
import numpy as np

from ves.shards import CRC, HEADER, MISSING, BadStore, with_crc

LARGE = 128 * 1024  # bytes of a row above which one system call more is nothing, and a faster copy is much
CACHE = 512 * 1024  # bytes read before their checksums are computed: they fit into the L2 cache of a core

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

    Its header and index are read and checked once; after that a row is one system call that moves no file position, so
    that threads and forked processes may share it. It goes on reading the file it opened, even when that is replaced.
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
        known, begins = _full(slots, self.row_bytes)
        if raw == known and end == HEADER + slots * chunk and not self.unpack:
            return begins  # nearly every shard: 1,133 of them open in a fifth of the time, and share one list
        if len(raw) != slots * 16 + CRC or with_crc(raw[:-CRC]) != raw:
            raise self.bad(self.first, "the shard's index has a wrong checksum")
        begins, lengths = np.frombuffer(raw[:-CRC], "<u8").reshape(slots, 2).T
        held = begins != MISSING
        outside = (begins < HEADER) | (begins > end) | (lengths > end - np.minimum(begins, end)) | (lengths < CRC)
        if (held & outside).any() or (not self.unpack and (lengths[held] != chunk).any()):
            raise self.bad(self.first, f"the shard does not hold rows of {self.row_bytes} bytes")
        self.lengths = lengths.tolist() if self.unpack else []
        return [int(begin) if there else -1 for begin, there in zip(begins, held, strict=True)]

    def read(self, row: int, out: np.ndarray) -> None:
        """Fill `out`, uint8 [row bytes], with a row. Raises BadStore when it is missing or its checksum is wrong."""
        read_rows([self], [row], [out], check=True)

    def copy(self, row: int, out: np.ndarray, *, check: bool) -> None:
        """As `read`, for large rows: through a memory map where the page cache holds them, which is twice as fast.

        The checksum is read by a system call that does not wait for the disk. If that succeeds the file still has the
        row, and its pages are there: a map alone would kill the process where a file has been cut off or a disk fails.
        """
        begin, stored = self.begins[row - self.first], bytearray(CRC)
        if begin < 0:
            raise self.bad(row, "the shard does not hold it")
        try:
            cached = os.preadv(self.file, [stored], begin + self.row_bytes, os.RWF_NOWAIT) == CRC
        except OSError:  # not in the page cache, or a file system that cannot tell
            cached = False
        if cached:
            np.copyto(out, self._mapped[begin : begin + self.row_bytes])
        elif os.preadv(self.file, [out, stored], begin) != self.row_bytes + CRC:
            raise self.bad(row, "the shard ends within it")
        if check and crc32c.crc32c(out) != int.from_bytes(stored, "little"):
            raise self.bad(row, "wrong checksum")

    def unpacked(self, row: int, out: np.ndarray, *, check: bool) -> None:
        """As `copy`, for compressed rows."""
        assert self.unpack is not None
        place = row - self.first
        if self.begins[place] < 0:
            raise self.bad(row, "the shard does not hold it")
        stored = memoryview(bytearray(self.lengths[place]))
        if os.preadv(self.file, [stored], self.begins[place]) != len(stored):
            raise self.bad(row, "the shard ends within it")
        if check and crc32c.crc32c(stored[:-CRC]) != int.from_bytes(stored[-CRC:], "little"):
            raise self.bad(row, "wrong checksum")
        try:
            content = self.unpack(stored[:-CRC])
        except (RuntimeError, ValueError) as error:  # as the codecs say it
            raise self.bad(row, f"cannot be unpacked ({error})") from error
        if len(content) != self.row_bytes:
            raise self.bad(row, f"{len(content)} bytes, not {self.row_bytes}")
        np.copyto(out, np.frombuffer(content, np.uint8))

    @cached_property
    def _mapped(self) -> np.ndarray:
        """The whole file, uint8."""
        return np.frombuffer(mmap.mmap(self.file, 0, prot=mmap.PROT_READ), np.uint8)


def read_rows(shards: Sequence[Shard], rows: Sequence[int], out: Sequence[np.ndarray], *, check: bool) -> None:
    """Fill out[i], uint8 [row bytes], with row rows[i], which shards[i] holds.

    Raises BadStore that names the shard and the row for one that is missing, cut off, cannot be read or, if `check`,
    has a wrong checksum. The loops over small rows are `map`s: the interpreter's share of them is felt.
    """
    if shards[0].unpack or len(out[0]) >= LARGE:
        _read_each(shards, rows, out, check)
        return
    begins = [shard.begins[row - shard.first] for shard, row in zip(shards, rows, strict=True)]
    if (least := min(begins)) < 0:
        place = begins.index(least)
        raise shards[place].bad(rows[place], "the shard does not hold it")
    stored = np.empty((len(rows), CRC), np.uint8)
    buffers = list(zip(out, stored, strict=True) if check else zip(out, strict=True))
    handles = [shard.file for shard in shards]
    whole, block = len(out[0]) + CRC * check, max(1, CACHE // len(out[0]))
    lengths: list[int] = []
    sums: list[int] = []
    try:
        for start in range(0, len(rows), block):  # a block is still in a core's cache when its checksums are computed
            part = slice(start, start + block)
            lengths += map(os.preadv, handles[part], buffers[part], begins[part])
            if check:
                sums += map(crc32c.crc32c, out[part])
    except OSError as error:  # of the disk
        place = min(len(lengths), len(rows) - 1)
        raise shards[place].bad(rows[place], f"cannot be read ({error.strerror})") from error
    if lengths.count(whole) != len(rows):
        place = [length == whole for length in lengths].index(False)
        raise shards[place].bad(rows[place], "the shard ends within it")
    if check and sums != (expected := stored.view("<u4")[:, 0].tolist()):
        place = [one == two for one, two in zip(sums, expected, strict=True)].index(False)
        raise shards[place].bad(rows[place], "wrong checksum")


def _read_each(shards: Sequence[Shard], rows: Sequence[int], out: Sequence[np.ndarray], check: bool) -> None:
    """read_rows for rows that are large or compressed."""
    for shard, row, target in zip(shards, rows, out, strict=True):
        try:
            (shard.unpacked if shard.unpack else shard.copy)(row, target, check=check)
        except OSError as error:  # of the disk
            raise shard.bad(row, f"cannot be read ({error.strerror})") from error
