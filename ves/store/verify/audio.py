"""Verifying an audio store: every group, every chunk and the place of every clip, against its manifest."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ves.base.files import matches_schema, same
from ves.media.audio import RATE
from ves.store import audio as audio_store
from ves.store import shard_format
from ves.store.verify.arrays import Fault, Look, StoredArray, read_document, unlike

LITTLE, PLAIN, CRC = {"name": "bytes", "configuration": {"endian": "little"}}, {"name": "bytes"}, {"name": "crc32c"}
LISTED = {"shard": str, "clips": int, "samples": int, "sha256": str}
GROUP = {"rate", "clips", "samples", "sha256", "complete"}


def verify_audio(store: Path, threads: int) -> list[Fault]:
    """All faults of an audio store. Each thread has the places of the clips of one group in memory."""
    path = store.with_name(f"{store.name}.manifest.json")
    manifest, faults = read_document(path)
    if manifest is None:
        return faults
    groups = manifest.get("groups")
    if not matches_schema(groups, [LISTED]) or any(group.keys() != LISTED.keys() for group in groups):
        return [Fault(path, "not a manifest of an audio store")]
    totals = {key: sum(group[key] for group in groups) for key in ("clips", "samples")}
    if not same(manifest, {"rate": RATE, **totals, "groups": groups}):
        faults.append(Fault(path, f"not rate {RATE} and the sums over its groups, {totals}"))
    faults += _verify_folders(store, path, [group["shard"] for group in groups])
    with ThreadPoolExecutor(threads) as pool:
        by_group = pool.map(partial(_verify_group, store), groups)
        return faults + [fault for of_group in by_group for fault in of_group]


def _verify_folders(store: Path, path: Path, names: list[str]) -> list[Fault]:
    """Faults of the folders between the store and its groups, and groups that the manifest does not list."""
    faults = []
    for folder in sorted({store / parent for name in names for parent in Path(name).parents}):
        document, problems = read_document(folder / "zarr.json", ends=["\n", ""])  # zarr wrote them in older stores
        faults += problems
        if document is not None and not same(document, {"attributes": {}, "zarr_format": 3, "node_type": "group"}):
            faults.append(Fault(folder / "zarr.json", "does not describe a group"))
    there = {file.parent.parent for file in store.rglob("samples/zarr.json")}
    unlisted = sorted(there - {store / name for name in names})
    return faults + [Fault(path, f"does not list {group.relative_to(store)}") for group in unlisted]


def _documents(clips: int, samples: int) -> dict[str, dict[str, Any]]:
    """zarr.json of the arrays of a group, by name."""
    sharding = shard_format.sharding([audio_store.CHUNK], [])
    kinds = {
        "samples": ("int16", [samples], audio_store.SHARD, [sharding]),
        "offset": ("int64", [clips], max(clips, 1), [LITTLE, CRC]),
        "length": ("int32", [clips], max(clips, 1), [LITTLE, CRC]),
        "clip_id": ("uint8", [clips, 16], max(clips, 1), [PLAIN, CRC]),
    }
    documents = {
        name: shard_format.metadata(dtype, shape, rows, 0, codecs, [])
        for name, (dtype, shape, rows, codecs) in kinds.items()
    }
    for document in documents.values():
        del document["dimension_names"]  # zarr writes these arrays without them
    return documents


def _verify_group(store: Path, listed: dict[str, Any]) -> list[Fault]:
    """All faults of one group that the manifest lists."""
    folder = store / listed["shard"]
    group, faults = read_document(folder / "zarr.json", ends=[""])
    if group is not None:
        expected = {"attributes": {"rate": RATE, **listed, "complete": True}, "zarr_format": 3, "node_type": "group"}
        del expected["attributes"]["shard"]
        if not same(group, expected):
            attrs = stored if isinstance(stored := group.get("attributes"), dict) else {}
            wrong = [key for key in sorted(GROUP) if not same(attrs.get(key), expected["attributes"][key])]
            faults.append(
                Fault(folder / "zarr.json", f"not as the manifest lists it: {', '.join(wrong) or 'its keys'}")
            )
    arrays = {}
    for name, expected in _documents(listed["clips"], listed["samples"]).items():
        document, problems = read_document(folder / name / "zarr.json", ends=[""])
        if document is not None and not (problems := unlike(folder / name / "zarr.json", document, expected)):
            arrays[name] = StoredArray(folder / name, document)
            problems = arrays[name].strays()
        faults += problems
    columns = {name: array for name, array in arrays.items() if name != "samples"}
    of_clips, contents = _verify_clips(columns, listed)
    kind = None if contents is None else audio_store.identity({"rate": RATE, **listed}, contents)
    return faults + _verify_samples(arrays.get("samples"), listed, kind) + of_clips


def _verify_samples(array: StoredArray | None, listed: dict[str, Any], kind: bytes | None) -> list[Fault]:
    """Files that do not belong to the group with identity `kind`, and chunks with a wrong checksum. If there are none:
    intact samples that are not those of the manifest."""
    if array is None:
        return []
    digest = hashlib.sha256()

    def look(first: int, content: bytes) -> None:
        digest.update(memoryview(content)[: 2 * (listed["samples"] - first)])

    heads = [None if kind is None else audio_store.file_header(kind, number) for number in range(len(array.files))]
    if faults := _check_files(array, look, heads):
        return faults
    if digest.hexdigest() != listed["sha256"]:
        return [Fault(array.folder, "not the samples that the manifest lists (sha256), but those of another store")]
    return []


def _check_files(array: StoredArray, look: Look, heads: Sequence[bytes | None]) -> list[Fault]:
    return [fault for number, head in enumerate(heads) for fault in array.check_file(number, look, head)]


def _verify_clips(
    arrays: dict[str, StoredArray], listed: dict[str, Any]
) -> tuple[list[Fault], list[np.ndarray] | None]:
    """Clips that do not lie back to back from the first sample to the last; and the columns, if all can be read."""
    faults, contents = [], dict.fromkeys(arrays, b"")
    for name, array in arrays.items():

        def look(_row: int, content: bytes, name: str = name) -> None:
            contents[name] = content

        faults += _check_files(array, look, [b""] * len(array.files))
    if faults or len(arrays) < len(audio_store.COLUMNS):
        return faults, None
    offset, length = np.frombuffer(contents["offset"], "<i8"), np.frombuffer(contents["length"], "<i4")
    begins = np.concatenate([[0], np.cumsum(length, dtype=np.int64)])
    wrong = np.flatnonzero((offset != begins[:-1]) | (length < 0)).tolist()
    faults = [Fault(arrays["offset"].files[0], "does not begin where the clip before it ends", n, n) for n in wrong]
    if begins[-1] != listed["samples"]:
        faults.append(
            Fault(arrays["length"].folder, f"clips with {begins[-1]} samples, but there are {listed['samples']}")
        )
    return faults, [np.frombuffer(contents[name], np.uint8) for name in audio_store.COLUMNS]
