"""The samples of every accepted clip: plain Zarr v3, one group per source shard, and a reader as fast as the disk.

    <store>/<shard>/samples    int16 [total]   clips back to back; chunks of 1 s with CRC32C, uncompressed, sharded
                    offset     int64 [clips]   where each begins
                    length     int32 [clips]   and how many samples it has
                    clip_id    uint8 [clips, 16]
                    attributes rate, clips, samples, sha256 (of all samples, little-endian), complete

A group is written by one job into a temporary folder and renamed, so it is whole or absent. Zarr's own reader takes
1.1 ms for a clip of 5 s; `AudioStore` finds the chunks by the index at the end of the file and reads them at once.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

import crc32c
import numpy as np
import zarr
from jaxtyping import Int16, Int32, Int64, UInt8
from zarr.codecs import Crc32cCodec

from ves.audio import RATE
from ves.files import atomic, write_json
from ves.shards import write_shard

CHUNK = RATE  # samples in a chunk
SHARD = 1024 * CHUNK  # samples in a file of the store: 32 MB
_CRC = 4  # bytes behind each chunk, and behind the index


def write_group(path: Path, clips: Iterable[Int16[np.ndarray, " _"]], clip_ids: list[str]) -> str:
    """Write one group atomically and return the sha256 of its samples. Holds one file of the store in memory.

    `clip_ids` (hexadecimal, 16 bytes each) is read after the last clip, so that whatever yields the clips may fill it.
    """
    digest, lengths = hashlib.sha256(), []
    with atomic(path) as temporary:
        group = zarr.open_group(temporary, mode="w")
        samples = group.create_array(
            "samples", shape=(0,), dtype="int16", chunks=(CHUNK,), shards=(SHARD,), filters=None,
            compressors=[Crc32cCodec()], config={"write_empty_chunks": True},  # an absent chunk would read as silence
        )  # fmt: skip
        for number, chunks in enumerate(_files(clips, lengths, digest)):
            # not by zarr, whose pipeline takes as long for each chunk of 32 kB as all the rest of ingest
            write_shard(temporary / f"samples/c/{number}", chunks, SHARD // CHUNK)
        samples.resize((sum(lengths),))
        if len(lengths) != len(clip_ids):
            raise ValueError(f"{path}: {len(lengths)} clips, but {len(clip_ids)} clip ids")
        ids = np.frombuffer(bytes.fromhex("".join(clip_ids)), np.uint8).reshape(-1, 16)
        offsets = np.array([0, *accumulate(lengths)][:-1], np.int64)
        for name, values in (("offset", offsets), ("length", np.array(lengths, np.int32)), ("clip_id", ids)):
            array = group.create_array(
                name, shape=values.shape, dtype=values.dtype, chunks=(max(len(values), 1), *values.shape[1:]),
                filters=None, compressors=[Crc32cCodec()], config={"write_empty_chunks": True},
            )  # fmt: skip
            array[...] = values
        counts = {"rate": RATE, "clips": len(lengths), "samples": sum(lengths)}
        group.attrs.put(counts | {"sha256": digest.hexdigest(), "complete": True})
    return digest.hexdigest()


def _files(clips: Iterable[Int16[np.ndarray, " _"]], lengths: list[int], digest) -> Iterable[UInt8[np.ndarray, "n _"]]:
    """The clips joined and cut into files of the store, chunks of bytes [n, size]; the last chunk is filled with zeros.

    What is yielded is overwritten by the next.
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
    """Make the store one Zarr hierarchy (the folders between it and its groups) and write <store>.manifest.json, last.

    Raises ValueError that names a shard whose group is absent or not complete.
    """
    groups = []
    for shard in sorted(shards):
        attributes = dict(_open(store, shard).attrs)
        groups.append({"shard": shard} | {key: attributes[key] for key in ("clips", "samples", "sha256")})
    for folder in sorted({store / parent for shard in shards for parent in Path(shard).parents}):
        if not (folder / "zarr.json").exists():  # not by zarr: killed, it would leave the half of one beside it
            write_json(folder / "zarr.json", {"attributes": {}, "zarr_format": 3, "node_type": "group"})
    total = {key: sum(group[key] for group in groups) for key in ("clips", "samples")}
    write_json(store.with_name(store.name + ".manifest.json"), {"rate": RATE, **total, "groups": groups})


def _open(store: Path, shard: str) -> zarr.Group:
    if not (store / shard / "zarr.json").is_file():
        raise ValueError(f"{store}: no group {shard}; run the ingest of that shard")
    group = zarr.open_group(store / shard, mode="r")
    if not group.attrs.get("complete"):
        raise ValueError(f"{store / shard}: not complete; delete it and run the ingest of that shard again")
    return group


@dataclass(frozen=True)
class _Group:
    """One opened group; `index` holds, per file, the offset and size of each chunk (filled as files are read)."""

    path: Path
    offset: Int64[np.ndarray, " clips"]
    length: Int32[np.ndarray, " clips"]
    chunk: int  # samples
    per_file: int  # chunks
    index: dict[int, np.ndarray] = field(default_factory=dict)


class AudioStore:
    """Reader. Groups are opened when first asked for; any number of threads may read (a race opens one twice)."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._groups: dict[str, _Group] = {}

    def read(self, shard: str, row: int, limit: int | None = None) -> Int16[np.ndarray, " n"]:
        """Samples of a clip, at most the first `limit`. Raises ValueError that names the file if a checksum fails."""
        group = self._group(shard)
        if not 0 <= row < len(group.offset):
            raise IndexError(f"{group.path}: row {row} of {len(group.offset)} clips")
        start, length = int(group.offset[row]), int(group.length[row])
        stop = start + (length if limit is None else min(length, limit))
        if start >= stop:
            return np.empty(0, np.int16)
        per_file = group.chunk * group.per_file
        parts = [
            _read(group, number, max(start - number * per_file, 0), min(stop - number * per_file, per_file))
            for number in range(start // per_file, -(-stop // per_file))
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _group(self, shard: str) -> _Group:
        if (group := self._groups.get(shard)) is None:
            opened = _open(self.path, shard)
            samples, offset, length = (opened[name] for name in ("samples", "offset", "length"))
            assert isinstance(samples, zarr.Array)
            assert isinstance(offset, zarr.Array)
            assert isinstance(length, zarr.Array)
            assert samples.shards is not None
            chunk, path = samples.chunks[0], self.path / shard / "samples" / "c"
            group = _Group(path, np.asarray(offset[:]), np.asarray(length[:]), chunk, samples.shards[0] // chunk)
            self._groups[shard] = group
        return group


def _index(group: _Group, number: int, descriptor: int) -> np.ndarray:
    """Offsets and sizes [chunks, 2] of one file of the store, from its end, checked."""
    if (index := group.index.get(number)) is None:
        size = group.per_file * 16 + _CRC
        raw = os.pread(descriptor, size, max(os.fstat(descriptor).st_size - size, 0))
        if len(raw) != size or crc32c.crc32c(raw[:-_CRC]) != int.from_bytes(raw[-_CRC:], "little"):
            raise ValueError(f"{group.path / str(number)}: the index is damaged; ingest this shard again")
        index = group.index[number] = np.frombuffer(raw[:-_CRC], "<u8").reshape(-1, 2)
    return index


def _read(group: _Group, number: int, start: int, stop: int) -> Int16[np.ndarray, " n"]:
    """Samples start..stop of one file of the store: one read of the chunks that hold them, each checked."""
    file = group.path / str(number)
    descriptor = os.open(file, os.O_RDONLY)
    try:
        first, behind = start // group.chunk, -(-stop // group.chunk)
        chunks, size = _index(group, number, descriptor)[first:behind], group.chunk * 2 + _CRC
        if (chunks[:, 1] != size).any() or (np.diff(chunks[:, 0].astype(np.int64)) != size).any():
            raise ValueError(f"{file}: chunks are not back to back; this store was not written by ves.audio_store")
        raw = os.pread(descriptor, size * len(chunks), int(chunks[0, 0]))
    finally:
        os.close(descriptor)
    if len(raw) != size * len(chunks):
        raise ValueError(f"{file}: cut off; ingest this shard again")
    rows = np.frombuffer(raw, np.uint8).reshape(-1, size)
    for row in rows:
        if crc32c.crc32c(row[:-_CRC]) != int.from_bytes(row[-_CRC:].tobytes(), "little"):
            raise ValueError(f"{file}: a checksum does not match, samples are damaged; ingest this shard again")
    samples = np.ascontiguousarray(rows[:, :-_CRC]).view("<i2").reshape(-1)
    return samples[start - first * group.chunk : stop - first * group.chunk]
