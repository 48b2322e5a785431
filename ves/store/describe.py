"""What a store holds, as a table for people: any Zarr v3 store of VeS, whole or not.

Nothing of its numbers is read, and a store that is incomplete or damaged is described all the same; whether it is
sound, ves.store.verify.features says.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ves.base import files
from ves.base.files import fits
from ves.store.verify.arrays import ITEM_BYTES, StoredArray

CODEC = {"name": str}
SHARDED = {"configuration": {"chunk_shape": [int], "codecs": [CODEC]}}
ARRAY = {
    "shape": [int],
    "data_type": str,
    "chunk_grid": {"configuration": {"chunk_shape": [int]}},
    "codecs": [CODEC],
}
FILES = 10**6  # of an array: more, and it is the number that is damaged
HEAD = ("array", "shape", "dtype", "one chunk", "files", "on disk", "of raw", "codecs")


def describe(store: Path) -> str:
    """A table of the arrays, whether all is there, and the attributes. Raises ValueError where there is no store.

    Arrays of one name and kind, such as the samples of every group of an audio store, are one line: their rows and
    bytes together. "of raw" is what is on disk divided by what the numbers alone would take.
    """
    if not (store / "zarr.json").is_file():
        raise ValueError(f"{store}: no Zarr v3 store, there is no zarr.json in it")
    kinds: dict[tuple[str, ...], list[StoredArray]] = {}
    groups: list[dict[str, Any]] = []
    for path in sorted(store.rglob("zarr.json")):
        document = files.read_json(path)
        if not fits(document, ({"node_type": str, "shape": list}, {"node_type": str, "attributes": dict})):
            raise ValueError(f"{path}: neither of a group nor of an array; verify says what else is damaged")
        if document["node_type"] == "array":
            array = _array(path, document)
            kinds.setdefault(_kind(array), []).append(array)
        elif document["attributes"] or path.parent == store:
            groups.append(document["attributes"])
    rows = [_line(kind, arrays) for kind, arrays in kinds.items()]
    return "\n".join([str(store), "", *_table([HEAD, *rows]), "", *_state(store, groups, kinds), *_attributes(groups)])


def _array(path: Path, document: dict[str, Any]) -> StoredArray:
    """Raises ValueError that names the file when it does not describe an array that could be."""
    array = StoredArray(path.parent, document)
    sound = fits(document, ARRAY) and document["codecs"]
    if sound and (document["codecs"][0]["name"] != "sharding_indexed" or fits(document["codecs"][0], SHARDED)):
        chunk = document["chunk_grid"]["configuration"]["chunk_shape"]
        named = document["data_type"] in ITEM_BYTES and len(chunk) == len(array.shape) > 0 and all(chunk)
        inner = document["codecs"][0]["configuration"]["chunk_shape"] if array.sharded else chunk
        if named and len(inner) == len(chunk) and all(inner) and array.shape[0] // chunk[0] < FILES:
            return array
    raise ValueError(f"{path}: not the description of an array; verify says what else is damaged")


def _kind(array: StoredArray) -> tuple[str, ...]:
    """Name, length of a row, data type, rows of a chunk where they are the same by design, codecs."""
    inner = str(array.inner_rows) if array.sharded else "all"
    codecs = " + ".join(codec["name"] for codec in array.codecs)
    return array.folder.name, json.dumps(array.shape[1:]), array.metadata["data_type"], inner, codecs


def _line(kind: tuple[str, ...], arrays: Sequence[StoredArray]) -> tuple[str, ...]:
    name, _, dtype, _, codecs = kind
    first = arrays[0]
    shape = [sum(array.shape[0] for array in arrays), *first.shape[1:]]
    chunk = [first.inner_rows, *first.shape[1:]] if len(arrays) == 1 or first.sharded else ["all", *first.shape[1:]]
    raw = sum(array.shape[0] * array.row_bytes for array in arrays)
    there = [file.stat().st_size for array in arrays for file in array.files if file.is_file()]
    expected = sum(len(array.files) for array in arrays)
    sharded = "shards, " if first.sharded else ""
    named = name if len(arrays) == 1 else f"{name} of {len(arrays)} groups"
    count = f"{len(there)} of {expected}"
    ratio = f"{sum(there) / raw:.3f}" if raw else "-"
    return named, _shape(shape), dtype, _shape(chunk), count, _bytes(sum(there)), ratio, sharded + codecs


def _shape(lengths: Sequence[int | str]) -> str:
    return " x ".join(map(str, lengths))


def _bytes(count: int) -> str:
    """A number of bytes in the unit that leaves it between 1 and 1000."""
    power = min(int(math.log10(max(count, 1)) // 3), 4)
    return f"{count / 1000**power:.1f} {('B', 'kB', 'MB', 'GB', 'TB')[power]}" if power else f"{count} B"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns side by side, each as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def _state(store: Path, groups: list[dict[str, Any]], kinds: dict[tuple[str, ...], list[StoredArray]]) -> list[str]:
    """Whether it says that it is complete, and whether every file is there."""
    marks = [attrs["complete"] for attrs in groups if "complete" in attrs]
    missing = [file for arrays in kinds.values() for array in arrays for file in array.files if not file.is_file()]
    manifest = store.with_name(f"{store.name}.manifest.json")
    said = "complete" if marks and all(marks) else "NOT COMPLETE" if marks else "not marked"
    lines = [f"marked as: {said}", f"manifest: {manifest.name if manifest.is_file() else 'MISSING, so not finished'}"]
    if missing:
        shown = ", ".join(str(file.relative_to(store)) for file in missing[:3])
        lines.append(f"MISSING: {len(missing)} files, such as {shown}")
    return lines


def _attributes(groups: list[dict[str, Any]]) -> list[str]:
    """Attributes one to a line; of many groups, those that all of them share."""
    held = [attrs for attrs in groups if attrs]
    shared = {key: value for key, value in (held or [{}])[0].items() if all(a.get(key) == value for a in held)}
    head = "attributes:" if len(held) < 2 else f"attributes that its {len(held)} groups share:"
    return ["", head, *(f"  {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in shared.items())]
