"""Whether a feature store is what it says: every file, every checksum, every number, every id.

It is compared with its manifest, with the images.parquet whose pictures it is of, with the settings and the weights
that it was made with, where they are there. One chunk per thread is in memory at a time.
"""

import hashlib
import logging
import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache

from ves.base import files, parquet
from ves.base.checksums import WEIGHTS, file_sha256, weight_files, weight_hash
from ves.base.files import fits, same
from ves.store.compression import CODECS
from ves.store.features_layout import ID_BYTES, digests, header, identity, impossible, metadata
from ves.store.verify.arrays import FOREIGN, Fault, StoredArray, read_document, unlike

log = logging.getLogger(__name__)

SETTINGS = ("backbone", "image_size", "fit", "compression")  # attributes that the settings beside a store have too
MANIFEST = {
    "rows": int,
    "shards": [{"file": str, "rows": int, "sha256": str}],
    "images_sha256": str,
    "attrs": dict,
}


def verify_features(store: Path, images: Path | None, threads: int) -> list[Fault]:
    """All that is wrong with a feature store; without `images` its ids are compared with the manifest alone."""
    paths = [store / part / "zarr.json" for part in ("", "patch_tokens", "image_id")]
    paths.append(store.with_name(f"{store.name}.manifest.json"))
    (group, of_tokens, of_ids, manifest), problems = zip(*map(read_document, paths), strict=True)
    faults = [fault for found in problems for fault in found]
    attrs = group.get("attributes") if group else None
    sound = {"attributes": attrs, "zarr_format": 3, "node_type": "group"}
    if group is not None and not (isinstance(attrs, dict) and same(group, sound)):
        faults, attrs = [*faults, Fault(paths[0], "not the document of a group")], None
    layout = _layout(paths[1:3], of_tokens, of_ids)
    if layout or of_tokens is None or of_ids is None:  # numbers cannot be found without knowing where they are
        return faults + layout
    tokens, ids = StoredArray(store / "patch_tokens", of_tokens), StoredArray(store / "image_id", of_ids)
    found, stored_ids = _verify_ids(ids, images)
    of_shards, hashes = _verify_tokens(tokens, _headers(tokens, attrs, stored_ids), threads)
    faults += found + of_shards + tokens.strays() + ids.strays()
    if attrs is not None:
        faults += _verify_attributes(paths[0], attrs, tokens)
    if manifest is not None:
        faults += _verify_manifest(paths[3], manifest, attrs, tokens, hashes, stored_ids)
    return faults


def _layout(paths: list[Path], of_tokens: dict[str, Any] | None, of_ids: dict[str, Any] | None) -> list[Fault]:
    """Documents of arrays that are JSON, but not those of a feature store."""
    if of_tokens is None:
        return []
    shape = of_tokens.get("shape")
    if not (fits(shape, [int]) and len(shape) == 3 and all(shape)):
        return [Fault(paths[0], f"a shape of {shape}, not of images, patches and width")]
    rows, patches, width = shape
    expected = metadata(rows, patches, width, _packing(of_tokens)).values()
    found = zip(paths, (of_tokens, of_ids), expected, strict=True)
    return [
        fault for path, document, wanted in found if document is not None for fault in unlike(path, document, wanted)
    ]


def _packing(of_tokens: dict[str, Any]) -> str | None:
    """The compression that zarr.json of an array names; None when it is not one of ours."""
    with suppress(LookupError, TypeError):  # of a document that is none of ours
        codecs = of_tokens["codecs"][0]["configuration"]["codecs"]
        return next((name for name, codec in CODECS.items() if codec in codecs), None)
    return None


def _headers(tokens: StoredArray, attrs: dict[str, Any] | None, ids: list[str] | None) -> list[bytes] | None:
    """How each shard is to begin; None when attributes or ids, which decide it, cannot be read."""
    if attrs is None or ids is None:
        return None
    kind, step = identity(attrs), tokens.chunk_rows
    return [header(kind, digests(ids[first : first + step])) for first in range(0, len(ids), step)]


def _verify_tokens(
    tokens: StoredArray, headers: list[bytes] | None, threads: int
) -> tuple[list[Fault], dict[Path, str]]:
    """Faults of every shard (its header, its index, the checksum of each row, numbers that no backbone gives).

    And the sha256 of those that have none, computed at once: what was just read is still in the page cache.
    """

    def check(number: int) -> tuple[list[Fault], str]:
        faults = tokens.check_file(number, lambda _, row: impossible(row), headers[number] if headers else None)
        return faults, "" if faults else file_sha256(tokens.files[number])

    with ThreadPoolExecutor(threads) as pool:
        checked = list(pool.map(check, range(len(tokens.files))))
    hashes = {file: digest for file, (faults, digest) in zip(tokens.files, checked, strict=True) if not faults}
    return _of_attributes(tokens, [fault for faults, _ in checked for fault in faults]), hashes


def _of_attributes(tokens: StoredArray, faults: list[Fault]) -> list[Fault]:
    """The same faults; where each of several shards has the header of another store, it is the store that changed."""
    foreign = [fault for fault in faults if fault.what == FOREIGN]
    if len(foreign) < max(2, len(tokens.files)):
        return faults
    what = "not the attributes that its shards were written with, by their headers (or the ids are not)"
    return [Fault(tokens.folder.parent / "zarr.json", what)] + [fault for fault in faults if fault not in foreign]


def _verify_ids(ids: StoredArray, images: Path | None) -> tuple[list[Fault], list[str] | None]:
    """Faults of the ids, and the ids; None when some cannot be read."""
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
            faults.append(_of_row(ids, row, "no id: all zeros"))
    return faults + (_against_images(ids, stored, images) if images else []), stored


def _of_row(array: StoredArray, row: int, what: str) -> Fault:
    return Fault(array.files[row // array.chunk_rows], what, row, row)


def _against_images(ids: StoredArray, stored: list[str], images: Path) -> list[Fault]:
    """Rows that are of another image than images.parquet says."""
    try:
        frame = parquet.read(images, columns=["image_id", "row"]).sort("row")
    except (ValueError, OSError) as error:
        return [Fault(images, f"cannot be compared with: {error}")]
    if frame["row"].to_list() != list(range(len(frame))):
        return [Fault(images, "its column `row` does not number the images 0, 1, 2, ...")]
    listed = frame["image_id"].to_list()
    other = [row for row, pair in enumerate(zip(stored, listed, strict=False)) if pair[0] != pair[1]]
    faults = [_of_row(ids, row, f"not the image that {images} lists") for row in other]
    if len(stored) != len(listed):
        faults.append(Fault(ids.folder, f"{len(stored)} rows, but {images} lists {len(listed)} images"))
    return faults


def _verify_attributes(path: Path, attrs: dict[str, Any], tokens: StoredArray) -> list[Fault]:
    """Attributes that contradict the array, the settings beside the store, or the weights on this machine."""
    wrong = []
    _, patches, width = tokens.shape
    if attrs.get("complete") is not True:
        wrong.append("not marked as complete")
    grid = attrs.get("grid")
    if not (fits(grid, [int]) and len(grid) == 2 and math.prod(grid) == patches):
        wrong.append(f"grid {grid}, but {patches} patches")
    if not same(attrs.get("width", width), width):
        wrong.append(f"width {attrs['width']}, but rows of {width}")
    if attrs.get("compression") != (packing := _packing(tokens.metadata)):
        wrong.append(f"compression {attrs.get('compression')!r}, but stored with {packing!r}")
    settings = path.parent.with_suffix(".json")
    if settings.is_file():
        try:
            made_with = dict(files.read_json(settings))
            wrong += [
                f"{key} {attrs.get(key)!r}, but {settings.name} says {made_with[key]!r}"
                for key in SETTINGS
                if key in made_with and attrs.get(key) != made_with[key]
            ]
        except (ValueError, TypeError, OSError) as error:
            wrong.append(f"{settings.name} cannot be compared with: {error}")
    weights = _weights_here(str(attrs.get("backbone")), attrs.get("revision"))
    if weights and attrs.get("weight_hash") != (here := weight_hash(weights)):
        wrong.append(f"weight_hash {str(attrs.get('weight_hash'))[:16]}..., but {weights} has {here[:16]}...")
    return [Fault(path, what) for what in wrong]


def _weights_here(backbone: str, revision: Any) -> Path | None:
    """The folder of the backbone, if its weights are on this machine; nothing is downloaded."""
    folder = Path(backbone)
    if not folder.is_dir():
        if backbone.count("/") != 1 or not isinstance(revision, str):  # damaged, or none
            return None
        found = None
        with suppress(ValueError):  # the name or revision is none; where that is damage, the manifest tells
            names = (f"{name}{index}" for name in WEIGHTS for index in ("", ".index.json"))
            cached = (try_to_load_from_cache(backbone, name, revision=revision) for name in names)
            found = next((path for path in cached if isinstance(path, str)), None)
        if found is None:
            return None
        folder = Path(found).parent
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
    """Where store and manifest disagree; by it the shard of another store is known, however sound it is."""
    if manifest.keys() != MANIFEST.keys() or not fits(manifest, MANIFEST):
        return [Fault(path, f"not a manifest of a feature store, whose keys are {', '.join(sorted(MANIFEST))}")]
    faults = []
    if attrs is not None and not same(manifest["attrs"], attrs):
        keys = attrs.keys() | manifest["attrs"].keys()
        differing = sorted(key for key in keys if not same(manifest["attrs"].get(key), attrs.get(key)))
        faults.append(Fault(path, f"made with other attributes than the store's: {', '.join(differing)}"))
    if manifest["rows"] != tokens.shape[0]:
        faults.append(Fault(path, f"{manifest['rows']} rows, but the store has {tokens.shape[0]}"))
    if ids is not None and manifest["images_sha256"] != hashlib.sha256("\n".join(ids).encode()).hexdigest():
        faults.append(Fault(path, "written for other images (images_sha256)"))
    rows = [min(tokens.chunk_rows, tokens.shape[0] - n * tokens.chunk_rows) for n in range(len(tokens.files))]
    names = [str(file.relative_to(tokens.folder.parent)) for file in tokens.files]
    listed = [(shard.get("file"), shard.get("rows")) for shard in manifest["shards"]]
    if listed != list(zip(names, rows, strict=True)):
        return [*faults, Fault(path, "lists other shards than the store has")]
    contents = {file: shard.get("sha256") for file, shard in zip(tokens.files, manifest["shards"], strict=True)}
    other = [file for file, digest in hashes.items() if digest != contents[file]]
    return faults + [Fault(file, "not the content that the manifest lists: of another store") for file in other]
