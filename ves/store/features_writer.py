"""Writing the feature store: a row of patch tokens per distinct image, in plain Zarr v3 (ves.store.features_layout).

Zarr and tensorstore can read it; `open_features` (ves.store.features_reader) is as fast as a memory map. Rows are
written in whole shards, since Zarr's own writer loses rows if two processes write parts of one shard.

Dimension key
    V images    P patches    W backbone width
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import BFloat16, UInt8
from torch import Tensor

from ves.base import files
from ves.store import compression, features_layout, shard_format
from ves.store.features_layout import (
    RECORDED,
    class_header,
    class_path,
    digests,
    header,
    identity,
    ids_path,
    impossible,
    metadata,
    read_attributes,
    read_ids,
    shard_path,
)
from ves.store.shard import Shard
from ves.store.shard_format import BadStore


def create_features(store: Path, rows: int, patches: int, width: int, attrs: dict[str, Any]) -> None:
    """Make an empty, incomplete store, or give that number of rows to an existing store with the same attributes.

    `attrs` may name a compression (ves.store.compression.CODECS). Raises ValueError that names the attribute if an
    existing store differs in one (other than RECORDED): features of two kinds are never mixed, and hours of work are
    never deleted unless the user asks. A zarr.json that is missing or damaged is written again, since every shard
    identifies itself. One caller at a time (ves.base.files.lock).
    """
    arrays = metadata(rows, patches, width, attrs.get("compression"), attrs.get("class_token", False))
    group = {"attributes": attrs | {"complete": False}, "zarr_format": 3, "node_type": "group"}
    if not store.exists():
        with files.atomic(store) as partial:
            for name, content in {"": group, **arrays}.items():
                files.write_json(partial / name / "zarr.json", content)
        return
    if not _readable(store / "zarr.json"):
        files.write_json(store / "zarr.json", group)
    made = read_attributes(store)
    for key in attrs | made:
        if key not in (*RECORDED, "complete") and made.get(key) != attrs.get(key):
            raise ValueError(
                f"{store}: made with {key} {made.get(key)!r}, now {attrs.get(key)!r}; delete it to extract anew"
            )
    for name, content in arrays.items():
        described = store / name / "zarr.json"
        if not _readable(described) or files.read_json(described) != content:
            set_complete(store, False)
            files.write_json(described, content)
        for chunk in (store / name).glob("c/*"):
            if chunk.name.isdecimal() and int(chunk.name) * features_layout.SHARD_ROWS >= rows:
                files.remove(chunk)


def _readable(document: Path) -> bool:
    try:
        return isinstance(files.read_json(document), dict)
    except (ValueError, FileNotFoundError, IsADirectoryError):
        return False


def set_complete(store: Path, complete: bool) -> None:
    """Mark the store as complete or not. `open_features` refuses one that is not."""
    group = files.read_json(store / "zarr.json")
    if group["attributes"]["complete"] != complete:
        files.sync_tree(store)
        group["attributes"]["complete"] = complete
        files.write_json(store / "zarr.json", group)


def write_shard(
    store: Path,
    shard: int,
    tokens: BFloat16[Tensor, "V P W"],
    image_ids: Sequence[str],
    class_tokens: BFloat16[Tensor, "V W"] | None = None,
) -> None:
    """Write all rows of one shard. Its ids come last: a shard without ids has to be written again.

    `class_tokens` are given if and only if the attributes of the store say that it has them.
    """
    attrs, ids, path = read_attributes(store), digests(image_ids), ids_path(store, shard)
    if path.is_file():
        path.unlink()
        files.sync_tree(path.parent)
    rows = _as_rows(tokens)
    packing, head = attrs.get("compression"), header(identity(attrs), ids)
    content = rows if packing is None else compression.packed(rows, packing)
    shard_format.write_shard(shard_path(store, shard), content, features_layout.SHARD_ROWS, head)
    if class_tokens is not None:
        head = class_header(identity(attrs), ids)
        shard_format.write_shard(class_path(store, shard), _as_rows(class_tokens), features_layout.SHARD_ROWS, head)
    padded = np.zeros((features_layout.SHARD_ROWS, features_layout.ID_BYTES), np.uint8)
    padded[: len(ids)] = ids
    with files.atomic(path) as partial:
        partial.write_bytes(shard_format.with_crc(padded.tobytes()))


def _as_rows(tokens: BFloat16[Tensor, "V *_"]) -> UInt8[np.ndarray, "V _"]:
    """The bytes of each row."""
    return tokens.contiguous().view(torch.int16).numpy().reshape(len(tokens), -1).view(np.uint8)


def present(store: Path, shard: int, image_ids: Sequence[str]) -> bool:
    """Whether a shard is there and, by its ids and its header, has exactly these images; its rows are not read."""
    wanted = digests(image_ids)
    try:
        if not np.array_equal(read_ids(store, shard, len(wanted)), wanted):
            return False
        attrs = read_attributes(store)
        return all(
            _begins_with(path, head) for path, _, head in _files(store, shard, attrs, wanted, patches=1, width=1)
        )
    except (BadStore, OSError):  # missing, or not a file at all
        return False


def _begins_with(path: Path, head: bytes) -> bool:
    with open(path, "rb") as handle:
        return handle.read(shard_format.HEADER) == head


def _files(
    store: Path, shard: int, attrs: dict[str, Any], ids: UInt8[np.ndarray, "n 32"], patches: int, width: int
) -> list[tuple[Path, int, bytes]]:
    """Path, bytes of a row and header of each file of tokens of a shard."""
    kind = identity(attrs)
    files_of = [(shard_path(store, shard), patches * width * 2, header(kind, ids))]
    if attrs.get("class_token"):
        files_of.append((class_path(store, shard), width * 2, class_header(kind, ids)))
    return files_of


def intact(store: Path, shard: int, image_ids: Sequence[str], patches: int, width: int) -> bool:
    """Whether a shard has exactly these images, each with the right checksum and numbers that a backbone can make."""
    if not present(store, shard, image_ids):
        return False
    attrs, first = read_attributes(store), shard * features_layout.SHARD_ROWS
    unpacks = compression.unpacker(attrs.get("compression")), compression.unpacker(None)
    parts = _files(store, shard, attrs, digests(image_ids), patches, width)
    try:
        for (path, row_bytes, head), unpack in zip(parts, unpacks, strict=False):
            row = np.empty(row_bytes, np.uint8)
            opened = Shard(path, first, features_layout.SHARD_ROWS, row_bytes, head, unpack)
            for number in range(len(image_ids)):
                opened.read(first + number, row)
                if impossible(row):
                    return False
    except BadStore:
        return False
    return True
