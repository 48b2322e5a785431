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
from jaxtyping import BFloat16
from torch import Tensor

from ves.base import files
from ves.store import compression, features_layout, shard_format
from ves.store.features_layout import (
    RECORDED,
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
    arrays = metadata(rows, patches, width, attrs.get("compression"))
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


def write_shard(store: Path, shard: int, tokens: BFloat16[Tensor, "V P W"], image_ids: Sequence[str]) -> None:
    """Write all rows of one shard. Its ids come last: a shard without ids has to be written again."""
    attrs, ids, path = read_attributes(store), digests(image_ids), ids_path(store, shard)
    if path.is_file():
        path.unlink()
        files.sync_tree(path.parent)
    rows = tokens.contiguous().view(torch.int16).numpy().reshape(len(tokens), -1).view(np.uint8)
    packing, head = attrs.get("compression"), header(identity(attrs), ids)
    content = rows if packing is None else compression.packed(rows, packing)
    shard_format.write_shard(shard_path(store, shard), content, features_layout.SHARD_ROWS, head)
    padded = np.zeros((features_layout.SHARD_ROWS, features_layout.ID_BYTES), np.uint8)
    padded[: len(ids)] = ids
    with files.atomic(path) as partial:
        partial.write_bytes(shard_format.with_crc(padded.tobytes()))


def present(store: Path, shard: int, image_ids: Sequence[str]) -> bool:
    """Whether a shard is there and, by its ids and its header, has exactly these images; its rows are not read."""
    wanted = digests(image_ids)
    try:
        if not np.array_equal(read_ids(store, shard, len(wanted)), wanted):
            return False
        with open(shard_path(store, shard), "rb") as handle:
            return handle.read(shard_format.HEADER) == header(identity(read_attributes(store)), wanted)
    except (BadStore, OSError):  # missing, or not a file at all
        return False


def intact(store: Path, shard: int, image_ids: Sequence[str], patches: int, width: int) -> bool:
    """Whether a shard has exactly these images, each with the right checksum and numbers that a backbone can make."""
    if not present(store, shard, image_ids):
        return False
    attrs, first, row_bytes = read_attributes(store), shard * features_layout.SHARD_ROWS, patches * width * 2
    head, unpack = header(identity(attrs), digests(image_ids)), compression.unpacker(attrs.get("compression"))
    row = np.empty(row_bytes, np.uint8)
    try:
        opened = Shard(shard_path(store, shard), first, features_layout.SHARD_ROWS, row_bytes, head, unpack)
        for number in range(len(image_ids)):
            opened.read(first + number, row)
            if impossible(row):
                return False
    except BadStore:
        return False
    return True
