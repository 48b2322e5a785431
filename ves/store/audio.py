"""The samples of every accepted clip, as plain Zarr v3 with a group per source shard; and a reader as fast as the disk.

    <store>/<shard>/samples    int16 [total]   clips back to back; chunks of 1 s with CRC32C, uncompressed, sharded
                    offset     int64 [clips]   where each begins
                    length     int32 [clips]   and how many samples it has
                    clip_id    uint8 [clips, 16]
                    attributes rate, clips, samples, sha256 (of all samples, little-endian), complete

Each file of samples begins with a header (ves.store.shard_format) that says which group it belongs to, and its number
there.

One job writes a group into a temporary folder and renames it, so the group is whole or absent. Zarr's own reader takes
1.1 ms for a clip of 5 s; `AudioStore` looks up the chunks in the index at the end of the file and reads them together.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from jaxtyping import Int16, Int32, Int64, UInt8
from zarr.codecs import Crc32cCodec

from ves.base.files import atomic, write_json
from ves.media.audio import RATE
from ves.store.shard import AudioFile
from ves.store.shard_format import HEADER, BadStore, header, write_shard

CHUNK = RATE  # samples in a chunk
SHARD = 1024 * CHUNK  # samples in a file of the store: 32 MB
COLUMNS = ("offset", "length", "clip_id")  # arrays with one value per clip
MOST = 2**32  # samples in a file: if there were more, the number itself is damaged
OPEN_FILES = 128  # files kept open; a process may have 1024, and the feature store keeps some too


def write_group(path: Path, clips: Iterable[Int16[np.ndarray, " _"]], clip_ids: list[str]) -> str:
    """Write one group atomically and return the sha256 of its samples. One file of the store is in memory at a time.

    `clip_ids` (hexadecimal, 16 bytes each) is read after the last clip, so the generator of the clips may fill it.
    """
    digest, lengths = hashlib.sha256(), []
    with atomic(path) as temporary:
        group = zarr.open_group(temporary, mode="w")
        samples = group.create_array(
            "samples", shape=(0,), dtype="int16", chunks=(CHUNK,), shards=(SHARD,), filters=None,
            compressors=[Crc32cCodec()], config={"write_empty_chunks": True},  # an absent chunk would read as silence
        )  # fmt: skip
        for number, chunks in enumerate(_files(clips, lengths, digest)):
            # not by zarr, whose pipeline takes as long for a chunk of 32 kB as all the rest of ingest
            write_shard(temporary / f"samples/c/{number}", chunks, SHARD // CHUNK, bytes(HEADER))
        samples.resize((sum(lengths),))
        if len(lengths) != len(clip_ids):
            raise ValueError(f"{path}: {len(lengths)} clips, but {len(clip_ids)} clip ids")
        ids = np.frombuffer(bytes.fromhex("".join(clip_ids)), np.uint8).reshape(-1, 16)
        offsets = np.array([0, *accumulate(lengths)][:-1], "<i8")
        columns = (offsets, np.array(lengths, "<i4"), ids)
        for name, values in zip(COLUMNS, columns, strict=True):
            array = group.create_array(
                name, shape=values.shape, dtype=values.dtype, chunks=(max(len(values), 1), *values.shape[1:]),
                filters=None, compressors=[Crc32cCodec()], config={"write_empty_chunks": True},
            )  # fmt: skip
            array[...] = values
        attrs = {"rate": RATE, "clips": len(lengths), "samples": sum(lengths), "sha256": digest.hexdigest()}
        kind = identity(attrs, columns)
        for number in range(-(-sum(lengths) // SHARD)):
            with open(temporary / f"samples/c/{number}", "r+b") as file:  # the sha256 is known only now
                file.write(file_header(kind, number))
        group.attrs.put(attrs | {"complete": True})
    return digest.hexdigest()


def identity(attrs: Mapping[str, Any], columns: Sequence[np.ndarray]) -> bytes:
    """What identifies the samples of a group: their number, their hash, and its columns (offset, length, clip_id)."""
    counted = json.dumps([attrs.get(key) for key in ("rate", "clips", "samples", "sha256")])
    return b"".join([counted.encode(), *(column.tobytes() for column in columns)])


def file_header(kind: bytes, number: int) -> bytes:
    """The first bytes of a file of samples: the group it belongs to (`identity`), and its number there."""
    return header(kind, str(number).encode())


def _files(clips: Iterable[Int16[np.ndarray, " _"]], lengths: list[int], digest) -> Iterable[UInt8[np.ndarray, "n _"]]:
    """The clips joined and cut into files of the store, as chunks of bytes [n, size]; zeros fill the last chunk.

    The next file overwrites the memory of the one before.
    """
    buffer, filled = np.zeros(SHARD, "<i2"), 0
    for clip in clips:
        lengths.append(len(clip))
        digest.update(np.ascontiguousarray(clip, "<i2"))
        while len(clip):
            part, clip = clip[: SHARD - filled], clip[SHARD - filled :]
            buffer[filled : filled + len(part)] = part
            filled += len(part)
            if filled == SHARD:
                yield _chunks(buffer)
                filled = 0
    if filled:
        whole = -(-filled // CHUNK) * CHUNK
        buffer[filled:whole] = 0
        yield _chunks(buffer[:whole])


def _chunks(samples: Int16[np.ndarray, " n"]) -> UInt8[np.ndarray, "chunks size"]:
    return samples.reshape(-1, CHUNK).view(np.uint8)


def seal(store: Path, shards: list[str]) -> None:
    """Make the folders between the store and its groups Zarr groups too, then write <store>.manifest.json.

    Raises ValueError that names a shard whose group is missing or not complete.
    """
    groups = []
    for shard in sorted(shards):
        attributes = dict(_open(store, shard).attrs)
        groups.append({"shard": shard} | {key: attributes[key] for key in ("clips", "samples", "sha256")})
    for folder in sorted({store / parent for shard in shards for parent in Path(shard).parents}):
        if not (folder / "zarr.json").exists():  # zarr, if killed, leaves half of one beside it
            write_json(folder / "zarr.json", {"attributes": {}, "zarr_format": 3, "node_type": "group"})
    total = {key: sum(group[key] for group in groups) for key in ("clips", "samples")}
    write_json(store.with_name(store.name + ".manifest.json"), {"rate": RATE, **total, "groups": groups})


def _open(store: Path, shard: str) -> zarr.Group:
    if not (store / shard / "zarr.json").is_file():
        raise ValueError(f"{store}: no group {shard}; run the ingest of that shard")
    try:
        group = zarr.open_group(store / shard, mode="r")
    except Exception as error:  # zarr raises many classes
        raise BadStore(f"{store / shard}/zarr.json: damaged ({error}); ingest this shard again") from error
    if not group.attrs.get("complete"):
        raise ValueError(f"{store / shard}: not complete; delete it and run the ingest of that shard again")
    return group


@dataclass(frozen=True)
class _Group:
    """Where the clips of one open group lie, in samples; `chunk` is in samples, `per_file` in chunks."""

    path: Path
    offset: Int64[np.ndarray, " clips"]
    length: Int32[np.ndarray, " clips"]
    chunk: int
    per_file: int
    kind: bytes  # its `identity`, for the headers of its files


class AudioStore:
    """Reader. It opens groups and files when they are first needed, and keeps the files used last open.

    Any number of threads and forked processes may read; a race opens a file twice. `check` verifies the CRC32C of every
    second that is read.
    """

    def __init__(self, path: Path, check: bool = True) -> None:
        self.path, self.check = Path(path), check
        self._groups: dict[str, _Group] = {}
        self._file = lru_cache(OPEN_FILES)(self._open_file)  # one that it drops is closed when its last reader is done

    def read(self, shard: str, row: int, limit: int | None = None) -> Int16[np.ndarray, " n"]:
        """Samples of a clip, at most the first `limit`.

        Raises IndexError for a row that the shard does not have, BadStore that names a missing or damaged file, and
        ValueError for a shard that was never ingested.
        """
        group = self._group(shard)
        if not 0 <= row < len(group.offset):
            raise IndexError(f"{group.path}: row {row} of {len(group.offset)} clips")
        start, length = int(group.offset[row]), int(group.length[row])
        stop = start + (length if limit is None else min(length, limit))
        if start >= stop:
            return np.empty(0, np.int16)
        per_file = group.chunk * group.per_file
        parts = [
            self._file(shard, number).read(
                max(start - number * per_file, 0), min(stop - number * per_file, per_file), check=self.check
            )
            for number in range(start // per_file, -(-stop // per_file))
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _open_file(self, shard: str, number: int) -> AudioFile:
        group = self._group(shard)
        return AudioFile(group.path / str(number), group.chunk, group.per_file, file_header(group.kind, number))

    def _group(self, shard: str) -> _Group:
        if (group := self._groups.get(shard)) is None:
            opened, samples = _open(self.path, shard), _samples(self.path / shard / "samples")
            columns = [_column(self.path / shard / name) for name in COLUMNS]
            if any(len(column) != opened.attrs.get("clips") for column in columns):
                raise BadStore(
                    f"{self.path / shard}: {', '.join(COLUMNS)} do not cover all clips; ingest this shard again"
                )
            (chunk, per_file), path = samples, self.path / shard / "samples" / "c"
            group = _Group(path, columns[0], columns[1], chunk, per_file, identity(opened.attrs, columns))
            self._groups[shard] = group
        return group


def _samples(path: Path) -> tuple[int, int]:
    """Samples in a chunk of an array, and chunks in a file of it. Raises BadStore that names the array."""
    try:
        array = zarr.open_array(path, mode="r")
        shards = array.shards or array.chunks  # files without an index are damaged to AudioFile
        if shards[0] > MOST:
            raise ValueError(f"files of {shards[0]} samples")
        return array.chunks[0], shards[0] // array.chunks[0]
    except Exception as error:  # zarr and its codecs raise many classes
        raise BadStore(f"{path}/zarr.json: missing or damaged ({error}); ingest this shard again") from error


def _column(path: Path) -> np.ndarray:
    """A whole array with one value per clip. Raises BadStore that names it if it is missing or damaged."""
    try:
        array = zarr.open_array(path, mode="r", config={"read_missing_chunks": False})  # not zeros
        return np.asarray(array[:])
    except Exception as error:  # zarr and its codecs raise many classes
        raise BadStore(f"{path}: missing or damaged ({error}); ingest this shard again") from error
