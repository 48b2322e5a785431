"""What a store contains, as a table for people: any Zarr v3 store of VeS, complete or not.

None of its numbers is read, and an incomplete or damaged store is described as well. Whether a store is intact is for
ves.store.verify to say.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ves.base import files
from ves.base.files import matches_schema
from ves.store.verify.arrays import ITEM_BYTES, StoredArray

CODEC = {"name": str}
SHARDED = {"configuration": {"chunk_shape": [int], "codecs": [CODEC]}}
ARRAY = {
    "shape": [int],
    "data_type": str,
    "chunk_grid": {"configuration": {"chunk_shape": [int]}},
    "codecs": [CODEC],
}
FILES = 10**6  # in an array: if there were more, the number itself is damaged
HEAD = ("array", "shape", "dtype", "one chunk", "files", "on disk", "of raw", "codecs")


def describe(store: Path) -> str:
    """A table of the arrays, whether all files are there, and the attributes. Raises ValueError if there is no store.

    Arrays of the same name and kind, such as the samples of every group of an audio store, share a line, with the sums
    of their rows and bytes. "of raw" is the size on disk divided by the size of the numbers alone.
    """
    if not (store / "zarr.json").is_file():
        raise ValueError(f"{store}: not a Zarr v3 store, since there is no zarr.json in it")
    kinds: dict[tuple[str, ...], list[StoredArray]] = {}
    groups: list[dict[str, Any]] = []
    for path in sorted(store.rglob("zarr.json")):
        document = files.read_json(path)
        if not matches_schema(document, ({"node_type": str, "shape": list}, {"node_type": str, "attributes": dict})):
            raise ValueError(f"{path}: describes neither a group nor an array; `ves store verify` lists all damage")
        if document["node_type"] == "array":
            array = _array(path, document)
            kinds.setdefault(_kind(array), []).append(array)
        elif document["attributes"] or path.parent == store:
            groups.append(document["attributes"])
    rows = [_line(kind, arrays) for kind, arrays in kinds.items()]
    return "\n".join([str(store), "", *_table([HEAD, *rows]), "", *_state(store, groups, kinds), *_attributes(groups)])


def _array(path: Path, document: dict[str, Any]) -> StoredArray:
    """Raises ValueError that names the file if it does not describe a possible array."""
    array = StoredArray(path.parent, document)
    intact = matches_schema(document, ARRAY) and document["codecs"]
    codec = document["codecs"][0] if intact else {}
    if intact and (codec["name"] != "sharding_indexed" or matches_schema(codec, SHARDED)):
        chunk = document["chunk_grid"]["configuration"]["chunk_shape"]
        regular = document["data_type"] in ITEM_BYTES and len(chunk) == len(array.shape) > 0 and all(chunk)
        inner = codec["configuration"]["chunk_shape"] if array.sharded else chunk
        if regular and len(inner) == len(chunk) and all(inner) and array.shape[0] // chunk[0] < FILES:
            return array
    raise ValueError(f"{path}: does not describe an array; `ves store verify` lists all damage")


def _kind(array: StoredArray) -> tuple[str, ...]:
    """Name, shape of a row, data type, rows of a chunk if all arrays of the kind have the same, codecs."""
    inner = str(array.inner_rows) if array.sharded else "all"
    codecs = " + ".join(codec["name"] for codec in array.codecs)
    return array.folder.name, json.dumps(array.shape[1:]), array.metadata["data_type"], inner, codecs


def _line(kind: tuple[str, ...], arrays: Sequence[StoredArray]) -> tuple[str, ...]:
    name, _, dtype, _, codecs = kind
    first = arrays[0]
    shape = [sum(array.shape[0] for array in arrays), *first.shape[1:]]
    chunk = [first.inner_rows, *first.shape[1:]] if len(arrays) == 1 or first.sharded else ["all", *first.shape[1:]]
    raw = sum(array.shape[0] * array.row_bytes for array in arrays)
    sizes = [file.stat().st_size for array in arrays for file in array.files if file.is_file()]
    expected = sum(len(array.files) for array in arrays)
    sharded = "shards, " if first.sharded else ""
    title = name if len(arrays) == 1 else f"{name} of {len(arrays)} groups"
    count = f"{len(sizes)} of {expected}"
    ratio = f"{sum(sizes) / raw:.3f}" if raw else "-"
    return title, _shape(shape), dtype, _shape(chunk), count, _bytes(sum(sizes)), ratio, sharded + codecs


def _shape(lengths: Sequence[int | str]) -> str:
    return " x ".join(map(str, lengths))


def _bytes(count: int) -> str:
    """A number of bytes, in the unit in which it is between 1 and 1000."""
    power = min(int(math.log10(max(count, 1)) // 3), 4)
    return f"{count / 1000**power:.1f} {('B', 'kB', 'MB', 'GB', 'TB')[power]}" if power else f"{count} B"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns side by side, each as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def _state(store: Path, groups: list[dict[str, Any]], kinds: dict[tuple[str, ...], list[StoredArray]]) -> list[str]:
    """Whether the store is marked as complete, and whether every file is there."""
    marks = [attrs["complete"] for attrs in groups if "complete" in attrs]
    missing = [file for arrays in kinds.values() for array in arrays for file in array.files if not file.is_file()]
    manifest = store.with_name(f"{store.name}.manifest.json")
    mark = "complete" if marks and all(marks) else "NOT COMPLETE" if marks else "not marked"
    lines = [f"marked as: {mark}", f"manifest: {manifest.name if manifest.is_file() else 'MISSING, so not finished'}"]
    if missing:
        shown = ", ".join(str(file.relative_to(store)) for file in missing[:3])
        lines.append(f"MISSING: {len(missing)} files, such as {shown}")
    return lines


def _attributes(groups: list[dict[str, Any]]) -> list[str]:
    """Attributes, one to a line; of several groups, those that all of them share."""
    each = [attrs for attrs in groups if attrs]
    shared = {key: value for key, value in (each or [{}])[0].items() if all(a.get(key) == value for a in each)}
    head = "attributes:" if len(each) < 2 else f"attributes that its {len(each)} groups share:"
    return ["", head, *(f"  {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in shared.items())]
