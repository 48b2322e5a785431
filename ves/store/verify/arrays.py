"""Verifying the files of a Zarr v3 array.

Zarr reads a missing chunk as the fill value, so to know whether a store is complete one has to look at its files. This
module uses none of our readers, so that a bug in them cannot hide a fault. Arrays are chunked along their first
dimension only, as all arrays of VeS are.
"""

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import zarr

from ves.base import files
from ves.base.files import same
from ves.store.shard_format import CRC, HEADER, MAGIC, MISSING, crc32c

ITEM_BYTES = {"bool": 1, "uint8": 1, "bfloat16": 2, "float16": 2, "int16": 2, "int32": 4, "float32": 4, "int64": 8}

FOREIGN = "its header is that of another store, other rows or other attributes"
STRAY = "has no row of this array; delete it"

Look = Callable[[int, bytes], str | None]  # takes first row and bytes of a chunk; returns what is wrong with them


@dataclass(frozen=True)
class Fault:
    """A fault of a store: the file, what is wrong, and the rows (first to last) if it concerns rows."""

    file: Path
    what: str
    first: int | None = None
    last: int | None = None

    def __str__(self) -> str:
        if self.first is None:
            return f"{self.file}: {self.what}"
        rows = f"row {self.first}" if self.first == self.last else f"rows {self.first}-{self.last}"
        return f"{self.file}: {rows}: {self.what}"


def merge_neighbours(faults: Iterable[Fault]) -> list[Fault]:
    """The same faults; those of neighbouring rows become one."""
    out: list[Fault] = []
    for fault in faults:
        before = out[-1] if out else None
        follows = before is not None and before.last is not None and fault.first == before.last + 1
        if before and follows and (before.file, before.what) == (fault.file, fault.what):
            out[-1] = replace(before, last=fault.last)
        else:
            out.append(fault)
    return out


def read_document(path: Path, ends: Sequence[str] = ("\n",)) -> tuple[dict[str, Any] | None, list[Fault]]:
    """The object in a JSON file, or None if it is missing or damaged; and the faults of the file.

    It must be indented as by VeS and zarr: a byte too few or too many is damage as well. `ends` are the texts allowed
    after the last bracket: VeS writes a new line there, and zarr nothing.
    """
    try:
        text = path.read_bytes().decode()
        content = json.loads(text)
    except FileNotFoundError:
        return None, [Fault(path, "missing")]
    except OSError as error:
        return None, [Fault(path, f"cannot be read ({error.strerror})")]
    except (ValueError, RecursionError) as error:
        return None, [Fault(path, f"damaged: not valid JSON ({error})")]
    canonical = (json.dumps(content, indent=2, ensure_ascii=escaped) for escaped in (False, True))
    if not any(text == document + end for document in canonical for end in ends):
        return None, [Fault(path, "damaged: not laid out as it was written")]
    if not isinstance(content, dict):
        return None, [Fault(path, "damaged: not a JSON object")]
    return content, []


def unlike(path: Path, document: dict[str, Any], expected: dict[str, Any]) -> list[Fault]:
    """The fault of a zarr.json that differs from the expected one."""
    keys = document.keys() | expected.keys()
    wrong = sorted(key for key in keys if not same(document.get(key), expected.get(key)))
    return [Fault(path, f"not laid out as VeS writes it: {', '.join(wrong)}")] if wrong else []


@dataclass(frozen=True)
class StoredArray:
    """One array: its folder, and its zarr.json.

    `chunk_rows` is the number of rows in a file. `inner_rows` is the number of rows with one checksum, and `codecs` are
    those of such a chunk.
    """

    folder: Path
    metadata: dict[str, Any]

    @cached_property
    def shape(self) -> list[int]:
        return self.metadata["shape"]

    @cached_property
    def chunk_rows(self) -> int:
        return self.metadata["chunk_grid"]["configuration"]["chunk_shape"][0]

    @cached_property
    def _sharding(self) -> dict[str, Any] | None:
        (codec, *_) = self.metadata["codecs"]
        return codec["configuration"] if codec["name"] == "sharding_indexed" else None

    @property
    def sharded(self) -> bool:
        return self._sharding is not None

    @cached_property
    def inner_rows(self) -> int:
        return self._sharding["chunk_shape"][0] if self._sharding else self.chunk_rows

    @cached_property
    def codecs(self) -> list[dict[str, Any]]:
        return self._sharding["codecs"] if self._sharding else self.metadata["codecs"]

    @cached_property
    def raw(self) -> bool:
        """Whether a chunk is just the bytes of its numbers and a checksum."""
        return [codec["name"] for codec in self.codecs] == ["bytes", "crc32c"]

    @cached_property
    def row_bytes(self) -> int:
        return ITEM_BYTES[self.metadata["data_type"]] * math.prod(self.shape[1:])

    @cached_property
    def files(self) -> list[Path]:
        """Its files in the order of their rows, whether they exist or not."""
        count = -(-self.shape[0] // self.chunk_rows)
        return [self.folder.joinpath("c", str(number), *["0"] * (len(self.shape) - 1)) for number in range(count)]

    def strays(self) -> list[Fault]:
        """Whatever lies in its folder and is neither its zarr.json, nor a file of its rows, nor a folder above one.

        The leftovers of a killed writer (ves.base.files) do not count, since the next writer removes them. Nor do files
        that NFS keeps while somebody still reads them.
        """
        known = {self.folder / "zarr.json", *self.files}
        on_the_way = {folder for file in known for folder in file.parents}

        def look(folder: Path) -> Iterator[Path]:
            for path in sorted(folder.iterdir()):
                if path in on_the_way and path.is_dir():
                    yield from look(path)
                elif path not in known and files.written_by(path) not in known and not path.name.startswith(".nfs"):
                    yield path

        return [Fault(path, STRAY) for path in look(self.folder)]

    def check_file(self, number: int, look: Look, head: bytes | None) -> list[Fault]:
        """The faults of one of its files; `look` judges the content, chunk by chunk and in order.

        The file must begin with `head`. b"" means that there is no header, and None that its header
        (ves.store.shard_format) is not known.
        """
        file, first = self.files[number], number * self.chunk_rows
        last = min(first + self.chunk_rows, self.shape[0]) - 1
        try:
            with open(file, "rb") as handle:
                stored = handle.read(HEADER if head is None else len(head))
                places, what = self._places(handle, last + 1 - first, len(stored))
                if what:
                    return [Fault(file, what, first, last)]
                wrong = [self._check_chunk(handle, first + at, *place, look) for at, place in places]
        except FileNotFoundError:
            return [Fault(file, "missing", first, last)]
        except OSError as error:
            return [Fault(file, f"cannot be read ({error.strerror})", first, last)]
        beginning = [] if _expected(stored, head) else [Fault(file, FOREIGN, first, last)]
        ends = [min(first + at + self.inner_rows - 1, last) for at, _ in places]
        starts = [first + at for at, _ in places]
        return beginning + [Fault(file, what, *rows) for what, *rows in zip(wrong, starts, ends, strict=True) if what]

    def _places(self, handle: BinaryIO, rows: int, begin: int) -> tuple[list[tuple[int, tuple[int, int]]], str | None]:
        """Row in the file, begin and length of each chunk, by the index; or what is wrong with the index.

        The first chunk must begin at `begin`.
        """
        size = os.fstat(handle.fileno()).st_size
        if self._sharding is None:
            return [(0, (begin, size - begin))], None
        slots, used = self.chunk_rows // self.inner_rows, -(-rows // self.inner_rows)
        end = size - slots * 16 - CRC
        if end < 0:
            return [], "shorter than its index"
        handle.seek(end)
        stored = handle.read()
        if not _intact(stored):
            return [], "its index has a wrong checksum"
        index = np.frombuffer(stored[:-CRC], "<u8").reshape(slots, 2)
        absent = np.flatnonzero((index[:used] == MISSING).any(axis=1))
        if absent.size:
            return [], f"{absent.size} of {used} chunks are missing, the first at row {absent[0] * self.inner_rows}"
        if (index[used:] != MISSING).any():
            return [], "has chunks beyond the rows of the array"
        begins, lengths = index[:used].T
        order = np.argsort(begins, kind="stable")
        stops = begin + np.cumsum(lengths[order])
        if stops[-1] != end or (begins[order] != stops - lengths[order]).any():
            return [], "its chunks do not fill it one after another: it is cut off, or belongs to another array"
        rows_at = range(0, used * self.inner_rows, self.inner_rows)
        return list(zip(rows_at, zip(begins.tolist(), lengths.tolist(), strict=True), strict=True)), None

    def _check_chunk(self, handle: BinaryIO, row: int, begin: int, length: int, look: Look) -> str | None:
        handle.seek(begin)
        stored = handle.read(length)
        if not _intact(stored):
            return "wrong checksum"
        expected = self.inner_rows * self.row_bytes
        if self.raw and length != expected + CRC:
            return f"{length - CRC} bytes, not {expected}"
        if self.raw:
            return look(row, stored[:-CRC])
        try:
            content = np.asarray(self._by_zarr[row : row + self.inner_rows]).tobytes()
        except (ValueError, RuntimeError, OSError) as error:  # from the codecs
            return f"cannot be decompressed ({error})"
        return look(row, content)

    @cached_property
    def _by_zarr(self) -> zarr.Array:
        """The array as zarr reads it, for compressed chunks."""
        return zarr.open_array(self.folder, mode="r")


def _intact(stored: bytes) -> bool:
    return len(stored) >= CRC and crc32c(memoryview(stored)[:-CRC]) == int.from_bytes(stored[-CRC:], "little")


def _expected(stored: bytes, head: bytes | None) -> bool:
    return stored.startswith(MAGIC) if head is None else stored == head
