"""One shard of a Zarr v3 array whose inner chunks are whole rows: written in one piece, read row by row.

The file is what codec `sharding_indexed` writes with inner codecs bytes(little) + crc32c and its index at the end:
rows back to back, each its raw bytes and their CRC32C (4 bytes, little-endian); then for each slot of the shard the
place and length of its row (two u64, all ones where there is none); then the CRC32C of that index. Rows are `bytes`
here; what they mean is the store's business (ves.store).
"""

import mmap
import os
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import crc32c
import numpy as np

from ves import files

MISSING = 2**64 - 1
CRC = 4  # bytes
LARGE = 128 * 1024  # bytes of a row above which one system call more is nothing, and a faster copy is much
CACHE = 512 * 1024  # bytes read before their checksums are computed: they fit into the L2 cache of a core


class BadStore(RuntimeError):
    """A store that is incomplete or damaged: the message names the file and the row, and says what to do."""


def sharding(chunk: list[int]) -> dict[str, Any]:
    """The codec that this module reads and writes, for inner chunks of that shape, as zarr.json spells it."""
    crc, little = {"name": "crc32c"}, {"name": "bytes", "configuration": {"endian": "little"}}
    settings = {"chunk_shape": chunk, "codecs": [little, crc], "index_codecs": [little, crc], "index_location": "end"}
    return {"name": "sharding_indexed", "configuration": settings}


def metadata(
    data_type: str, shape: list[int], chunk_rows: int, fill: int | str, codecs: list[dict[str, Any]], names: list[str]
) -> dict[str, Any]:
    """zarr.json of an array cut along its first dimension only, as zarr writes it."""
    return {
        "shape": shape,
        "data_type": data_type,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [chunk_rows, *shape[1:]]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill,
        "codecs": codecs,
        "attributes": {},
        "dimension_names": names,
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }


def with_crc(content: bytes) -> bytes:
    """`content` and its CRC32C, as Zarr's codec of that name writes it."""
    return content + crc32c.crc32c(content).to_bytes(CRC, "little")


def without_crc(content: bytes, path: Path) -> bytes:
    """The inverse. Raises BadStore that names the file when the checksum does not match."""
    if len(content) < CRC or with_crc(content[:-CRC]) != content:
        raise BadStore(
            f"{path}: damaged (wrong checksum); run the stage that writes it again, it repairs what is damaged"
        )
    return content[:-CRC]


def write_shard(path: Path, rows: np.ndarray, slots: int) -> None:
    """Write rows uint8 [n, row bytes], n <= slots, as one shard. It appears whole and on disk, or not at all."""
    count, size = rows.shape
    if not 0 < count <= slots:
        raise ValueError(f"{path}: {count} rows for a shard of {slots}")
    chunks = np.empty((count, size + CRC), np.uint8)
    chunks[:, :size] = rows
    sums = [crc32c.crc32c(chunk[:size]) for chunk in chunks]
    chunks[:, size:] = np.array(sums, "<u4")[:, None].view(np.uint8)
    index = np.full((slots, 2), MISSING, "<u8")
    index[:count, 0] = np.arange(count) * (size + CRC)
    index[:count, 1] = size + CRC
    with files.atomic(path) as partial, open(partial, "wb") as handle:
        handle.write(chunks.data)
        handle.write(with_crc(index.tobytes()))


@lru_cache(4)
def _full(slots: int, row_bytes: int) -> tuple[bytes, list[int]]:
    """The index of a shard that is full, as write_shard makes it, and where its rows begin."""
    size = row_bytes + CRC
    index = np.full((slots, 2), size, "<u8")
    index[:, 0] = np.arange(slots) * size
    return with_crc(index.tobytes()), index[:, 0].tolist()


class Shard:
    """An open shard, whose first row is row number `first` of the array.

    Its index is read and checked once; after that a row is one system call that moves no file position, so that threads
    and forked processes may share it. It goes on reading the file it opened, even when that is replaced.
    """

    def __init__(self, path: Path, first: int, slots: int, row_bytes: int) -> None:
        self.path, self.first, self.row_bytes = path, first, row_bytes
        try:
            self.file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise self.bad(first, "the shard of this row is missing") from None
        self.begins = self._read_index(slots)

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
        if end < 0:
            raise self.bad(self.first, "the shard is shorter than its index")
        raw = os.pread(self.file, slots * 16 + CRC, end)
        chunk = self.row_bytes + CRC
        known, begins = _full(slots, self.row_bytes)
        if raw == known and end == slots * chunk:
            return begins  # nearly every shard: 1,133 of them open in a fifth of the time, and share one list
        if len(raw) != slots * 16 + CRC or with_crc(raw[:-CRC]) != raw:
            raise self.bad(self.first, "the shard's index has a wrong checksum")
        begins, lengths = np.frombuffer(raw[:-CRC], "<u8").reshape(slots, 2).T
        held = begins != MISSING
        if (lengths[held] != chunk).any() or (begins[held] > max(end - chunk, 0)).any():
            raise self.bad(self.first, f"the shard does not hold rows of {self.row_bytes} bytes")
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

    @cached_property
    def _mapped(self) -> np.ndarray:
        """The whole file, uint8."""
        return np.frombuffer(mmap.mmap(self.file, 0, prot=mmap.PROT_READ), np.uint8)


def read_rows(shards: Sequence[Shard], rows: Sequence[int], out: Sequence[np.ndarray], *, check: bool) -> None:
    """Fill out[i], uint8 [row bytes], with row rows[i], which shards[i] holds.

    Raises BadStore that names the shard and the row for one that is missing, cut off, cannot be read or, if `check`,
    has a wrong checksum. The loops over small rows are `map`s: the interpreter's share of them is felt.
    """
    if len(out[0]) >= LARGE:
        _copy_rows(shards, rows, out, check)
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


def _copy_rows(shards: Sequence[Shard], rows: Sequence[int], out: Sequence[np.ndarray], check: bool) -> None:
    """read_rows for large rows."""
    for shard, row, target in zip(shards, rows, out, strict=True):
        try:
            shard.copy(row, target, check=check)
        except OSError as error:  # of the disk
            raise shard.bad(row, f"cannot be read ({error.strerror})") from error
