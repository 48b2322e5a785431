"""Verifying a feature store: every file, checksum, number and id.

It is compared with its manifest, with the images.parquet that lists its pictures, and with its settings and its
backbone (weights, normalisation of pictures), as far as they are there. Each thread has one chunk in memory at a time.
"""

import logging
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache

from ves.base import files, parquet
from ves.base.checksums import WEIGHTS, weight_files, weight_hash
from ves.base.files import matches_schema, same
from ves.media.normalisation import Normalisation, from_attributes
from ves.store.compression import CODECS
from ves.store.features_layout import (
    ID_BYTES,
    digests,
    header,
    identity,
    images_sha256,
    metadata,
)
from ves.store.verify.arrays import Fault, StoredArray, read_document, unlike
from ves.store.verify.tokens import verify_class_tokens, verify_tokens

log = logging.getLogger(__name__)

SETTINGS = (
    "backbone",
    "image_size",
    "fit",
    "compression",
    "class_token",
)  # attributes that are also in the settings beside a store
MANIFEST = {
    "rows": int,
    "shards": [{"file": str, "rows": int, "sha256": str}],
    "images_sha256": str,
    "attrs": dict,
}


def verify_features(
    store: Path, images: Path | None, threads: int, normalisation_of: Callable[[Path], Normalisation] | None = None
) -> list[Fault]:
    """All faults of a feature store; without `images`, its ids are compared with the manifest only. `normalisation_of`:
    see `verify`."""
    paths = [store / part / "zarr.json" for part in ("", "patch_tokens", "image_id")]
    paths.append(store.with_name(f"{store.name}.manifest.json"))
    (group, of_tokens, of_ids, manifest), problems = zip(*map(read_document, paths), strict=True)
    faults = [fault for of_document in problems for fault in of_document]
    attrs = group.get("attributes") if group else None
    expected = {"attributes": attrs, "zarr_format": 3, "node_type": "group"}
    if group is not None and not (isinstance(attrs, dict) and same(group, expected)):
        faults, attrs = [*faults, Fault(paths[0], "does not describe a group")], None
    layout = _layout(paths[1:3], of_tokens, of_ids)
    if layout or of_tokens is None or of_ids is None:  # then nothing says where the numbers are
        return faults + layout
    tokens, ids = StoredArray(store / "patch_tokens", of_tokens), StoredArray(store / "image_id", of_ids)
    of_rows, stored_ids = _verify_ids(ids, images)
    of_shards, hashes = verify_tokens(tokens, _headers(tokens, attrs, stored_ids), threads)
    faults += of_rows + of_shards + tokens.strays() + ids.strays()
    if attrs is not None and attrs.get("class_token"):
        faults += verify_class_tokens(store, attrs, tokens, stored_ids, manifest, threads)
    if attrs is not None:
        faults += _verify_attributes(paths[0], attrs, tokens) + _verify_backbone(paths[0], attrs, normalisation_of)
    if manifest is not None:
        faults += _verify_manifest(paths[3], manifest, attrs, tokens, hashes, stored_ids)
    return faults


def _layout(paths: list[Path], of_tokens: dict[str, Any] | None, of_ids: dict[str, Any] | None) -> list[Fault]:
    """Faults of zarr.json files of arrays that do not describe a feature store."""
    if of_tokens is None:
        return []
    shape = of_tokens.get("shape")
    if not (matches_schema(shape, [int]) and len(shape) == 3 and all(shape)):
        return [Fault(paths[0], f"a shape of {shape}, not of images, patches and width")]
    rows, patches, width = shape
    expected = metadata(rows, patches, width, _packing(of_tokens)).values()
    documents = zip(paths, (of_tokens, of_ids), expected, strict=True)
    return [
        fault
        for path, document, wanted in documents
        if document is not None
        for fault in unlike(path, document, wanted)
    ]


def _packing(of_tokens: dict[str, Any]) -> str | None:
    """The compression in zarr.json of an array; None if it is not one of ours."""
    with suppress(LookupError, TypeError):  # the document is not ours
        codecs = of_tokens["codecs"][0]["configuration"]["codecs"]
        return next((name for name, codec in CODECS.items() if codec in codecs), None)
    return None


def _headers(tokens: StoredArray, attrs: dict[str, Any] | None, ids: list[str] | None) -> list[bytes] | None:
    """The header that each shard must have; None if attributes or ids, which determine it, cannot be read."""
    if attrs is None or ids is None:
        return None
    kind, step = identity(attrs), tokens.chunk_rows
    return [header(kind, digests(ids[first : first + step])) for first in range(0, len(ids), step)]


def _verify_ids(ids: StoredArray, images: Path | None) -> tuple[list[Fault], list[str] | None]:
    """Faults of the ids, and the ids; None if some cannot be read."""
    parts: list[bytes] = []

    def look(_row: int, content: bytes) -> None:
        parts.append(content)

    faults = [fault for number in range(len(ids.files)) for fault in ids.check_file(number, look, b"")]
    if faults:
        return faults, None
    content = b"".join(parts).hex()
    step = 2 * ID_BYTES
    stored = [content[at : at + step] for at in range(0, ids.shape[0] * step, step)]
    place: dict[str, int] = {}
    for row, image_id in enumerate(stored):
        if (first := place.setdefault(image_id, row)) != row:
            faults.append(_of_row(ids, row, f"the same image as row {first}"))
        elif not int(image_id, 16):
            faults.append(_of_row(ids, row, "not an id: all zeros"))
    return faults + (_against_images(ids, stored, images) if images else []), stored


def _of_row(array: StoredArray, row: int, what: str) -> Fault:
    return Fault(array.files[row // array.chunk_rows], what, row, row)


def _against_images(ids: StoredArray, stored: list[str], images: Path) -> list[Fault]:
    """Rows with another image than images.parquet says."""
    try:
        frame = parquet.read(images, columns=["image_id", "row"]).sort("row")
    except (ValueError, OSError) as error:
        return [Fault(images, f"no comparison is possible: {error}")]
    if frame["row"].to_list() != list(range(len(frame))):
        return [Fault(images, "its column `row` does not number the images 0, 1, 2, ...")]
    listed = frame["image_id"].to_list()
    wrong = [row for row, pair in enumerate(zip(stored, listed, strict=False)) if pair[0] != pair[1]]
    faults = [_of_row(ids, row, f"not the image that {images} lists") for row in wrong]
    if len(stored) != len(listed):
        faults.append(Fault(ids.folder, f"{len(stored)} rows, but {images} lists {len(listed)} images"))
    return faults


def _verify_attributes(path: Path, attrs: dict[str, Any], tokens: StoredArray) -> list[Fault]:
    """Attributes that contradict the array or the settings beside the store."""
    wrong = []
    _, patches, width = tokens.shape
    if attrs.get("complete") is not True:
        wrong.append("not marked as complete")
    grid = attrs.get("grid")
    if not (matches_schema(grid, [int]) and len(grid) == 2 and math.prod(grid) == patches):
        wrong.append(f"grid {grid}, but {patches} patches")
    if not same(attrs.get("width", width), width):
        wrong.append(f"width {attrs['width']}, but rows of {width}")
    if attrs.get("compression") != (packing := _packing(tokens.metadata)):
        wrong.append(f"compression {attrs.get('compression')!r}, but stored with {packing!r}")
    settings = path.parent.with_suffix(".json")
    if settings.is_file():
        try:
            wanted = dict(files.read_json(settings))
            wrong += [
                f"{key} {attrs.get(key)!r}, but {settings.name} says {wanted[key]!r}"
                for key in SETTINGS
                if key in wanted and (attrs.get(key) or None) != (wanted[key] or None)  # false, like null, is not there
            ]
        except (ValueError, TypeError, OSError) as error:
            wrong.append(f"no comparison with {settings.name} is possible: {error}")
    return [Fault(path, what) for what in wrong]


def _verify_backbone(
    path: Path, attrs: dict[str, Any], normalisation_of: Callable[[Path], Normalisation] | None
) -> list[Fault]:
    """Attributes that contradict the backbone, if it is on this machine: other weights, another normalisation."""
    if (folder := _weights_here(str(attrs.get("backbone")), attrs.get("revision"))) is None:
        return []
    faults = []
    if attrs.get("weight_hash") != (here := weight_hash(folder)):
        what = f"weight_hash {str(attrs.get('weight_hash'))[:16]}..., but {folder} has {here[:16]}..."
        faults.append(Fault(path, what))
    if normalisation_of is None:
        return faults
    try:
        expected = normalisation_of(folder)
    except ValueError as error:
        log.info("the normalisation of pictures is not compared: %s", error)
        return faults
    recorded = attrs.get("normalisation")
    with suppress(KeyError, TypeError, ValueError, AttributeError):  # it is none, which is a fault too
        if from_attributes(recorded) == expected:
            return faults
    return [*faults, Fault(path, f"normalisation {recorded}, but {folder} has {expected.attributes}")]


def _weights_here(backbone: str, revision: Any) -> Path | None:
    """The folder of the backbone, if its weights are on this machine; nothing is downloaded."""
    folder = Path(backbone)
    if not folder.is_dir():
        if backbone.count("/") != 1 or not isinstance(revision, str):  # damaged, or none
            return None
        cached_file = None
        with suppress(ValueError):  # the name or revision is none; where that is damage, the manifest tells
            names = (f"{name}{index}" for name in WEIGHTS for index in ("", ".index.json"))
            cached = (try_to_load_from_cache(backbone, name, revision=revision) for name in names)
            cached_file = next((path for path in cached if isinstance(path, str)), None)
        if cached_file is None:
            return None
        folder = Path(cached_file).parent
    files_there = [file.is_file() for file in weight_files(folder)]
    return folder if files_there and all(files_there) else None


def _verify_manifest(
    path: Path,
    manifest: dict[str, Any],
    attrs: dict[str, Any] | None,
    tokens: StoredArray,
    hashes: dict[Path, str],
    ids: list[str] | None,
) -> list[Fault]:
    """Where store and manifest disagree; the manifest reveals a shard of another store even if it is intact."""
    if manifest.keys() != MANIFEST.keys() or not matches_schema(manifest, MANIFEST):
        return [Fault(path, f"not a manifest of a feature store, which has the keys {', '.join(sorted(MANIFEST))}")]
    faults = []
    if attrs is not None and not same(manifest["attrs"], attrs):
        keys = attrs.keys() | manifest["attrs"].keys()
        differing = sorted(key for key in keys if not same(manifest["attrs"].get(key), attrs.get(key)))
        faults.append(Fault(path, f"made with other attributes than the store's: {', '.join(differing)}"))
    if manifest["rows"] != tokens.shape[0]:
        faults.append(Fault(path, f"{manifest['rows']} rows, but the store has {tokens.shape[0]}"))
    if ids is not None and manifest["images_sha256"] != images_sha256(ids):
        faults.append(Fault(path, "written for other images (images_sha256)"))
    rows = [min(tokens.chunk_rows, tokens.shape[0] - n * tokens.chunk_rows) for n in range(len(tokens.files))]
    names = [str(file.relative_to(tokens.folder.parent)) for file in tokens.files]
    listed = [(shard.get("file"), shard.get("rows")) for shard in manifest["shards"]]
    if listed != list(zip(names, rows, strict=True)):
        return [*faults, Fault(path, "lists other shards than the store has")]
    contents = {file: shard.get("sha256") for file, shard in zip(tokens.files, manifest["shards"], strict=True)}
    foreign = [file for file, digest in hashes.items() if digest != contents[file]]
    what = "not the content that the manifest lists, but that of another store"
    return faults + [Fault(file, what) for file in foreign]
