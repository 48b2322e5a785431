"""Embeddings of one split on disk: tokens, masks and ids, which is all that metrics and figures need from a model.

They are a Zarr v3 group. Every chunk has its CRC32C, so that a damaged chunk is an error and not a number. The manifest
beside it (`<store>.manifest.json`: shapes and content hashes) is written last: a store without one is not finished.

Dimension key
    A clips         T audio tokens      D embedding
    V images        P image patches
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from jaxtyping import Bool, Float16, Int32
from torch import Tensor
from zarr.codecs import Crc32cCodec

from ves.base.files import atomic, matches_schema, read_json, remove, write_json

ROWS = 64  # clips or images in a chunk
ARRAYS = ("audio_tokens", "audio_mask", "clip_image", "image_tokens", "image_mask")


@dataclass(frozen=True, eq=False)
class Embeddings:
    """A split as one model sees it. Images are distinct; clip_image is the row of each clip's image.

    `attrs` say which model it is, and its grids in time and space (ves.evaluation.embed writes them).
    """

    audio_tokens: Float16[Tensor, "A T D"]
    audio_mask: Bool[Tensor, "A T"]
    clip_image: Int32[Tensor, "A"]
    image_tokens: Float16[Tensor, "V P D"]
    image_mask: Bool[Tensor, "V P"]
    clip_id: list[str]
    image_id: list[str]
    attrs: dict[str, Any]


def manifest_path(store: Path) -> Path:
    """The small file whose presence means that the store is complete."""
    return store.with_name(f"{store.name}.manifest.json")


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def _hex_to_bytes(ids: list[str]) -> np.ndarray:
    """Identifiers (equally long hexadecimal strings) as uint8 [n, bytes]."""
    return np.frombuffer(bytes.fromhex("".join(ids)), np.uint8).reshape(len(ids), len(ids[0]) // 2 if ids else 0)


def write(store: Path, embeddings: Embeddings) -> None:
    """Write the whole store or none of it, then its manifest. Raises ValueError for tokens that are not finite."""
    for name in ("audio_tokens", "image_tokens"):
        if not getattr(embeddings, name).isfinite().all():
            raise ValueError(f"{store}: {name} are not finite: {embeddings.attrs['run']} has diverged; train it again")
    arrays = {name: getattr(embeddings, name).numpy() for name in ARRAYS}
    arrays |= {name: _hex_to_bytes(getattr(embeddings, name)) for name in ("clip_id", "image_id")}
    remove(manifest_path(store))  # a manifest must never stand beside a store that it does not describe
    with atomic(store) as temporary:
        group = zarr.create_group(temporary, zarr_format=3, attributes=embeddings.attrs)
        for name, array in arrays.items():
            chunks = (ROWS, *(max(1, length) for length in array.shape[1:]))  # there may be no clip in val_more
            group.create_array(name, data=array, chunks=chunks, compressors=[Crc32cCodec()])
    contents = {
        name: {"shape": array.shape, "dtype": str(array.dtype), "sha256": _digest(array)}
        for name, array in arrays.items()
    }
    write_json(manifest_path(store), embeddings.attrs | {"arrays": contents})


def load(store: Path) -> Embeddings:
    """Read a finished store into memory and check it against its manifest, since zarr reads a missing chunk as zeros.

    Raises FileNotFoundError if it is not finished and ValueError if its content is not that of its manifest; both say
    what to do.
    """
    if not manifest_path(store).is_file():
        raise FileNotFoundError(f"{manifest_path(store)}: absent, so {store} is not finished; embed the split again")
    try:
        group = zarr.open_group(store, mode="r")
        arrays = {name: np.asarray(array[...]) for name, array in group.arrays()}
    except Exception as error:  # zarr and its codecs raise many classes
        raise ValueError(f"{store}: damaged or missing ({error}); delete {store}* and embed again") from error
    manifest = read_json(manifest_path(store))
    if not matches_schema(manifest, {"arrays": dict}) or not all(
        matches_schema(entry, {"sha256": str}) for entry in manifest["arrays"].values()
    ):
        raise ValueError(f"{manifest_path(store)}: not a manifest of embeddings; delete {store}* and embed again")
    for name, entry in manifest["arrays"].items():
        if name not in arrays or _digest(arrays[name]) != entry["sha256"]:
            raise ValueError(f"{store / name}: missing, damaged or from another store; delete {store}* and embed again")
    fields: dict[str, Any] = {name: torch.from_numpy(arrays[name]) for name in ARRAYS}
    fields |= {name: [row.tobytes().hex() for row in arrays[name]] for name in ("clip_id", "image_id")}
    return Embeddings(**fields, attrs=dict(group.attrs))


def further(val: Embeddings, more: Embeddings) -> Embeddings:
    """The clips of val_more about images of val, with these images.

    val_more also has clips about near-duplicates of these images, and about other pictures of their recordings. Those
    are other files, which are in no gallery, so their clips are left out. Raises ValueError if val and val_more were
    embedded by different models.
    """
    if more.attrs["model_sha256"] != val.attrs["model_sha256"]:
        raise ValueError(f"{val.attrs['run']}: embeddings of val and val_more are from two models; embed both again")
    row_of = {image: row for row, image in enumerate(val.image_id)}
    column = torch.tensor([row_of.get(image, -1) for image in more.image_id], dtype=torch.int32)
    image = column[more.clip_image.long()]
    rows = (image >= 0).nonzero()[:, 0]
    return replace(
        val,
        audio_tokens=more.audio_tokens[rows],
        audio_mask=more.audio_mask[rows],
        clip_image=image[rows],
        clip_id=[more.clip_id[row] for row in rows.tolist()],
    )


def join(val: Embeddings, more: Embeddings) -> Embeddings:
    """The clips of val and then the `further` ones, with the images of val."""
    after = further(val, more)
    return replace(
        val,
        audio_tokens=torch.cat([val.audio_tokens, after.audio_tokens]),
        audio_mask=torch.cat([val.audio_mask, after.audio_mask]),
        clip_image=torch.cat([val.clip_image, after.clip_image]),
        clip_id=val.clip_id + after.clip_id,
    )
