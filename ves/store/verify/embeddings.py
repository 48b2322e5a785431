"""Verifying embeddings (ves.store.embeddings): every file, checksum and content, against their manifest.

zarr writes them, and leaves out chunks that are all fill value. So a missing file is a fault only if the fill value is
not what was written.
"""

import hashlib
from pathlib import Path
from typing import Any

from ves.base.files import matches_schema, same
from ves.store import embeddings, shard_format
from ves.store.verify.arrays import Fault, StoredArray, read_document, unlike

ENTRY = {"shape": [int], "dtype": str, "sha256": str}


def verify_embeddings(store: Path) -> list[Fault]:
    """All faults of the embeddings of one split."""
    path = embeddings.manifest_path(store)
    manifest, faults = read_document(path)
    if manifest is None:
        return faults
    arrays = manifest.get("arrays")
    if not isinstance(arrays, dict) or not all(
        matches_schema(entry, ENTRY) and entry.keys() == ENTRY.keys() and entry["shape"] for entry in arrays.values()
    ):
        return [Fault(path, "not a manifest of embeddings")]
    group, problems = read_document(store / "zarr.json", ends=[""])
    attrs = {key: value for key, value in manifest.items() if key != "arrays"}
    if group is not None and not same(group, {"attributes": attrs, "zarr_format": 3, "node_type": "group"}):
        problems = [Fault(store / "zarr.json", "not the attributes that the manifest lists")]
    for name, entry in arrays.items():
        problems += _verify_array(store / name, entry)
    unlisted = sorted({file.parent.name for file in store.glob("*/zarr.json")} - arrays.keys())
    return faults + problems + [Fault(path, f"does not list {name}") for name in unlisted]


def _document(entry: dict[str, Any]) -> dict[str, Any]:
    """zarr.json of an array of this shape and type."""
    one_byte = entry["dtype"] in ("bool", "uint8")  # no byte order
    little = {"name": "bytes"} if one_byte else {"name": "bytes", "configuration": {"endian": "little"}}
    fill = {"bool": False, "float16": 0.0}.get(entry["dtype"], 0)
    codecs = [little, {"name": "crc32c"}]
    document = shard_format.metadata(entry["dtype"], entry["shape"], embeddings.ROWS, fill, codecs, [])
    del document["dimension_names"]  # zarr writes it without them
    return document


def _verify_array(folder: Path, entry: dict[str, Any]) -> list[Fault]:
    """Chunks with a wrong checksum; if there are none, those that are missing, or the content if it is not right."""
    document, faults = read_document(folder / "zarr.json", ends=[""])
    if document is None or (faults := faults + unlike(folder / "zarr.json", document, _document(entry))):
        return faults
    array, digest = StoredArray(folder, document), hashlib.sha256()
    chunk, left = array.chunk_rows * array.row_bytes, array.shape[0] * array.row_bytes

    def look(first: int, content: bytes) -> None:
        digest.update(memoryview(content)[: left - first * array.row_bytes])

    missing: list[Fault] = []
    for number, file in enumerate(array.files):
        if file.is_file():
            faults += array.check_file(number, look, b"")
        else:
            first = number * array.chunk_rows
            missing.append(Fault(file, "missing", first, min(first + array.chunk_rows, array.shape[0]) - 1))
            look(first, bytes(chunk))
    faults += array.strays()
    if faults or digest.hexdigest() == entry["sha256"]:
        return faults
    return missing or [Fault(folder, "not the content that the manifest lists, but that of another store")]
