"""One shard of a Zarr v3 array whose inner chunks are whole rows: written in one piece, read row by row.

The file is what codec `sharding_indexed` writes with inner codecs bytes(little) + crc32c and its index at the end:
rows back to back, each its raw bytes and their CRC32C (4 bytes, little-endian); then for each slot of the shard the
place and length of its row (two u64, all ones where there is none); then the CRC32C of that index. Rows are `bytes`
here; what they mean is the store's business (ves.store).
"""

import os
from pathlib import Path
from typing import Any

import crc32c
import numpy as np

from ves import files

MISSING = 2**64 - 1
CRC = 4  # bytes


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


class Shard:
    """An open shard, whose first row is row number `first` of the array.

    Its index is read and checked once; after that a row is one system call that moves no file position, so that threads
    and forked processes may share it. It goes on reading the file it opened, even when that is replaced.
    """

    def __init__(self, path: Path, first: int, slots: int, row_bytes: int) -> None:
        self.path, self.first, self.row_bytes = path, first, row_bytes
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise self._bad(first, "the shard of this row is missing") from None
        self._begins = self._read_index(slots)

    def __del__(self) -> None:
        if hasattr(self, "_file"):  # opening may have failed
            os.close(self._file)

    def _bad(self, row: int, what: str) -> BadStore:
        return BadStore(
            f"{self.path}: row {row}: {what}; run the stage that writes it again, it repairs what is damaged"
        )

    def _read_index(self, slots: int) -> list[int]:
        """Where each slot's row begins. Raises BadStore for an index that is damaged or points beyond the rows."""
        end = os.fstat(self._file).st_size - (slots * 16 + CRC)
        if end < 0:
            raise self._bad(self.first, "the shard is shorter than its index")
        raw = os.pread(self._file, slots * 16 + CRC, end)
        if len(raw) != slots * 16 + CRC or with_crc(raw[:-CRC]) != raw:
            raise self._bad(self.first, "the shard's index has a wrong checksum")
        begins, lengths = np.frombuffer(raw[:-CRC], "<u8").reshape(slots, 2).T
        held = begins != MISSING
        chunk = self.row_bytes + CRC
        if (lengths[held] != chunk).any() or (begins[held] > max(end - chunk, 0)).any():
            raise self._bad(self.first, f"the shard does not hold rows of {self.row_bytes} bytes")
        return begins.tolist()

    def read(self, row: int, out: np.ndarray) -> None:
        """Fill `out`, uint8 [row bytes], with a row. Raises BadStore when it is missing or its checksum is wrong."""
        begin = self._begins[row - self.first]
        if begin == MISSING:
            raise self._bad(row, "the shard does not hold it")
        stored = bytearray(CRC)
        if os.preadv(self._file, [out, stored], begin) != self.row_bytes + CRC:
            raise self._bad(row, "the shard ends within it")
        if crc32c.crc32c(out) != int.from_bytes(stored, "little"):
            raise self._bad(row, "wrong checksum")
