"""Where the files of a feature store lie, what its zarr.json files say, and how its shards are told from others.

    <name>.zarr/           a Zarr group; its attributes say what the features are, and whether they are complete
        patch_tokens       bfloat16 [images, patches, width]; inner chunk = one image with CRC32C, raw or compressed;
                           sharded; the header of each shard identifies its rows (ves.store.shard_format)
        class_token        bfloat16 [images, width], only if the attributes say class_token: true; sharded likewise, raw
        image_id           uint8 [images, 32], the sha256 of each image's file, chunked as patch_tokens is sharded

Dimension key
    V images    P patches    W backbone width
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from ves.base import files
from ves.store import compression, shard_format
from ves.store.shard_format import BadStore

INFINITE = 0x7F80  # the bits of a bfloat16's exponent, which are all set in NaN and infinity
SHARD_ROWS = 256  # 134 MB for DINOv2-Large: few files, and little to do again after a crash
ID_BYTES = 32
# attributes of the first job, which may differ later: they affect last bits only
RECORDED = ("versions", "device", "batch_size", "compiled", "dtype")


def shard_path(store: Path, shard: int) -> Path:
    """File of the patch tokens from row shard * SHARD_ROWS on (Zarr's default chunk key)."""
    return store / "patch_tokens" / "c" / str(shard) / "0" / "0"


def class_path(store: Path, shard: int) -> Path:
    """File of the class tokens of the same rows, if the store has them."""
    return store / "class_token" / "c" / str(shard) / "0"


def ids_path(store: Path, shard: int) -> Path:
    """File of the ids of the same rows."""
    return store / "image_id" / "c" / str(shard) / "0"


def metadata(
    rows: int, patches: int, width: int, packing: str | None, class_token: bool = False
) -> dict[str, dict[str, Any]]:
    """zarr.json of the two or, with class tokens, three arrays, by name; `packing` is a name in
    ves.store.compression.CODECS, or None."""
    codecs = [] if packing is None else [compression.CODECS[packing]]
    sharding = shard_format.sharding([1, patches, width], codecs)
    crc = {"name": "crc32c"}
    beside = {
        "class_token": shard_format.metadata(
            "bfloat16", [rows, width], SHARD_ROWS, "NaN", [shard_format.sharding([1, width], [])], ["image", "width"]
        )
    }
    return {  # the fill value is NaN, so that a missing shard never looks like features to another reader
        "patch_tokens": shard_format.metadata(
            "bfloat16", [rows, patches, width], SHARD_ROWS, "NaN", [sharding], ["image", "patch", "width"]
        ),
        "image_id": shard_format.metadata(
            "uint8", [rows, ID_BYTES], SHARD_ROWS, 0, [{"name": "bytes"}, crc], ["image", "byte"]
        ),
    } | (beside if class_token else {})


def identity(attrs: dict[str, Any]) -> bytes:
    """What identifies the kind of the features: all attributes except those that may differ later."""
    kept = {key: value for key, value in attrs.items() if key not in (*RECORDED, "complete")}
    return json.dumps(kept, sort_keys=True).encode()


def header(kind: bytes, image_ids: UInt8[np.ndarray, "n 32"]) -> bytes:
    """The first bytes of a shard with features of that kind (`identity`) of these images, in this order."""
    return shard_format.header(kind, image_ids.tobytes())


def class_header(kind: bytes, image_ids: UInt8[np.ndarray, "n 32"]) -> bytes:
    """The first bytes of a shard of class tokens: not those of one of patch tokens."""
    return header(kind + b" class_token", image_ids)


def read_attributes(store: Path) -> dict[str, Any]:
    """The attributes of a store. Raises ValueError or OSError that names the file."""
    path = store / "zarr.json"
    document = files.read_json(path)
    if not isinstance(document, dict) or not isinstance(document.get("attributes"), dict):
        raise ValueError(f"{path}: does not describe a feature store; delete the store to extract anew")
    return document["attributes"]


def impossible(row: bytes | np.ndarray) -> str | None:
    """Why no backbone can have made the numbers of a row (its bytes); None if one can."""
    sizes = np.frombuffer(row, "<u2") & 0x7FFF
    if (greatest := sizes.max()) == 0:
        return "all zeros"
    if greatest < INFINITE:
        return None
    bits, count = np.frombuffer(row, "<u2"), int((sizes >= INFINITE).sum())
    all_fill = count == len(bits) and (bits == bits[0]).all()
    return "all fill" if all_fill else f"{count} of {len(bits)} numbers are NaN or infinite"


def digests(image_ids: Sequence[str]) -> UInt8[np.ndarray, "n 32"]:
    """Ids in hexadecimal digits, as bytes."""
    return np.frombuffer(bytes.fromhex("".join(image_ids)), np.uint8).reshape(len(image_ids), ID_BYTES)


def images_sha256(image_ids: Sequence[str]) -> str:
    """The manifest's hash of the images of a store, in the order of its rows."""
    return hashlib.sha256("\n".join(image_ids).encode()).hexdigest()


def read_ids(store: Path, shard: int, rows: int) -> UInt8[np.ndarray, "n 32"]:
    """Ids of the first `rows` rows of a shard. Raises BadStore that names the file if it is missing or damaged."""
    path = ids_path(store, shard)
    if not path.is_file():
        raise BadStore(f"{path}: missing; run again the stage that writes it")
    content = shard_format.without_crc(path.read_bytes(), path)
    if len(content) != SHARD_ROWS * ID_BYTES:
        raise BadStore(f"{path}: not the ids of {SHARD_ROWS} rows; run again the stage that writes it")
    return np.frombuffer(content, np.uint8).reshape(-1, ID_BYTES)[:rows]
