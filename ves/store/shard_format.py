"""One shard of a Zarr v3 array whose inner chunks are whole rows: its layout, and writing it in one piece.

The codec `sharding_indexed` can read the file, with the index at its end. It begins with a header of ours, which
identifies the array and the rows. Rows follow back to back, each with its CRC32C (4 bytes, little-endian); in some
arrays they are compressed. Then the index has the place and length of the row in each slot (two u64, all ones if there
is none), and the CRC32C of the index ends the file. Zarr finds rows by the index, so it skips the header. Rows are
`bytes` here; ves.store.features_layout and ves.store.audio know what they mean, and ves.store.shard reads them.
"""

import hashlib
from collections.abc import Buffer, Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import awscrt.checksums
import numpy as np

from ves.base import files

crc32c = cast(Callable[..., int], awscrt.checksums.crc32c)  # of contiguous bytes, and of those before

MISSING = 2**64 - 1
CRC = 4  # bytes
MAGIC = b"VeS: rows of a Zarr v3 array\n".ljust(32, b"\0")
HEADER = len(MAGIC) + hashlib.sha256().digest_size  # bytes
BUFFER = 2**20  # bytes written at once


class BadStore(RuntimeError):
    """A store is incomplete or damaged; the message names the file and the row, and says what to do."""


def header(*identity: bytes) -> bytes:
    """The first bytes of a shard: MAGIC, and the sha256 of what identifies its rows among all shards of all stores."""
    return MAGIC + hashlib.sha256(b"".join(identity)).digest()


def sharding(chunk: list[int], compression: list[dict[str, Any]]) -> dict[str, Any]:
    """The codec of these shards for inner chunks of that shape, as in zarr.json."""
    crc, little = {"name": "crc32c"}, {"name": "bytes", "configuration": {"endian": "little"}}
    codecs = [little, *compression, crc]
    settings = {"chunk_shape": chunk, "codecs": codecs, "index_codecs": [little, crc], "index_location": "end"}
    return {"name": "sharding_indexed", "configuration": settings}


def metadata(
    data_type: str,
    shape: list[int],
    chunk_rows: int,
    fill: bool | int | float | str,
    codecs: list[dict[str, Any]],
    names: list[str],
) -> dict[str, Any]:
    """zarr.json, as zarr writes it, of an array that is chunked along its first dimension only."""
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
    """`content` and its CRC32C, as Zarr's codec `crc32c` writes it."""
    return content + crc32c(content).to_bytes(CRC, "little")


@lru_cache(8)
def intact_crcs(row_bytes: int, rows: int) -> list[int]:
    """The CRC32C of 0, 1, 2, ... intact rows back to back, each with its own CRC32C: it does not depend on the rows."""
    row, sums = with_crc(bytes(row_bytes)), [0]
    for _ in range(rows):
        sums.append(crc32c(row, sums[-1]))
    return sums


def without_crc(content: bytes, path: Path) -> bytes:
    """The inverse of with_crc. Raises BadStore that names the file if the checksum does not match."""
    if len(content) < CRC or with_crc(content[:-CRC]) != content:
        raise BadStore(
            f"{path}: damaged (wrong checksum); run again the stage that writes it, which repairs what is damaged"
        )
    return content[:-CRC]


def write_shard(path: Path, rows: Iterable[Buffer], slots: int, head: bytes) -> None:
    """Write 1 to `slots` rows as one shard, which appears whole and on disk, or not at all."""
    index = np.full((slots, 2), MISSING, "<u8")
    count, end = 0, len(head)
    with files.atomic(path) as partial, open(partial, "wb", buffering=BUFFER) as handle:
        handle.write(head)
        for row in rows:
            if count == slots:
                raise ValueError(f"{path}: more than {slots} rows for a shard of {slots}")
            handle.write(row)
            handle.write(crc32c(row).to_bytes(CRC, "little"))
            index[count] = end, memoryview(row).nbytes + CRC
            count, end = count + 1, end + memoryview(row).nbytes + CRC
        if not count:
            raise ValueError(f"{path}: 0 rows for a shard of {slots}")
        handle.write(with_crc(index.tobytes()))
