"""The feature store: one row of patch tokens per distinct image, in plain Zarr v3, read as fast as a memory map.

    <name>.zarr/           a Zarr group; its attributes say what the features are, and whether they are complete
        patch_tokens       bfloat16 [images, patches, width]; inner chunk = one image, raw, with CRC32C; sharded
        image_id           uint8 [images, 32], the sha256 of each image's file, chunked as patch_tokens is sharded

Zarr itself reads it, and tensorstore. This reader is for training: one copy per row into the caller's memory, and its
checksum (ves.raw_rows). Zarr takes a missing shard for the fill value; here nothing missing is read as numbers.
Rows are written shard by shard, each whole: Zarr's own writer loses rows when two processes write parts of one shard.

Dimension key
    V images    P patches    W backbone width
"""

import math
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import BFloat16, Int64, UInt8
from torch import Tensor

from ves import files, shards
from ves.raw_rows import RawRows
from ves.shards import BadStore
from ves.zarr_rows import ZarrRows

SHARD_ROWS = 256  # 134 MB of DINOv2-Large: few files, and little to do again after a crash
ID_BYTES = 32
ALIGNMENT = 64
RECORDED = ("versions", "device", "batch_size", "dtype")  # attributes of how it began, which may change: last bits only


def shard_path(store: Path, shard: int) -> Path:
    """File of the patch tokens of rows shard * SHARD_ROWS and on (Zarr's default chunk key)."""
    return store / "patch_tokens" / "c" / str(shard) / "0" / "0"


def _ids_path(store: Path, shard: int) -> Path:
    return store / "image_id" / "c" / str(shard) / "0"


def metadata(rows: int, patches: int, width: int) -> dict[str, dict[str, Any]]:
    """zarr.json of the two arrays, by their names."""
    sharding = shards.sharding([1, patches, width])
    crc = {"name": "crc32c"}
    return {  # filled with NaN: what another reader makes of a missing shard must not look like features
        "patch_tokens": shards.metadata(
            "bfloat16", [rows, patches, width], SHARD_ROWS, "NaN", [sharding], ["image", "patch", "width"]
        ),
        "image_id": shards.metadata(
            "uint8", [rows, ID_BYTES], SHARD_ROWS, 0, [{"name": "bytes"}, crc], ["image", "byte"]
        ),
    }


def create_features(store: Path, rows: int, patches: int, width: int, attrs: dict[str, Any]) -> None:
    """Make an empty, incomplete store; or give an existing one of the same attributes that number of rows.

    Raises ValueError that names the attribute when an existing store differs in one (RECORDED aside): features of two
    kinds are never mixed, and nothing that took hours is deleted unasked. One caller at a time (ves.files.lock).
    """
    arrays = metadata(rows, patches, width)
    if not (store / "zarr.json").is_file():
        with files.atomic(store) as partial:
            group = {"attributes": attrs | {"complete": False}, "zarr_format": 3, "node_type": "group"}
            for name, content in {"": group, **arrays}.items():
                files.write_json(partial / name / "zarr.json", content)
        return
    made = files.read_json(store / "zarr.json")["attributes"]
    for key, value in attrs.items():
        if key not in RECORDED and made.get(key) != value:
            raise ValueError(f"{store}: made with {key} {made.get(key)!r}, now {value!r}; delete it to extract anew")
    for name, content in arrays.items():
        if files.read_json(store / name / "zarr.json") != content:
            set_complete(store, False)
            files.write_json(store / name / "zarr.json", content)
        for chunk in (store / name).glob("c/*"):
            if int(chunk.name) * SHARD_ROWS >= rows:
                files.remove(chunk)


def set_complete(store: Path, complete: bool) -> None:
    """Mark the store. `open_features` refuses one that is not complete."""
    group = files.read_json(store / "zarr.json")
    if group["attributes"]["complete"] != complete:
        files.sync_tree(store)
        group["attributes"]["complete"] = complete
        files.write_json(store / "zarr.json", group)


def write_shard(store: Path, shard: int, tokens: BFloat16[Tensor, "V P W"], image_ids: Sequence[str]) -> None:
    """Write all rows of one shard. Its ids come last: a shard without ids is one to write again."""
    ids = _digests(image_ids)
    ids_path = _ids_path(store, shard)
    if ids_path.is_file():
        ids_path.unlink()
        files.sync_tree(ids_path.parent)
    shards.write_shard(shard_path(store, shard), _as_bytes(tokens.contiguous()), SHARD_ROWS)
    padded = np.zeros((SHARD_ROWS, ID_BYTES), np.uint8)
    padded[: len(ids)] = ids
    with files.atomic(ids_path) as partial:
        partial.write_bytes(shards.with_crc(padded.tobytes()))


def present(store: Path, shard: int, image_ids: Sequence[str]) -> bool:
    """Whether a shard is there and said to hold just these images; its rows are not read."""
    try:
        held = np.array_equal(_read_ids(store, shard, len(image_ids)), _digests(image_ids))
    except BadStore:
        return False
    return held and shard_path(store, shard).is_file()


def intact(store: Path, shard: int, image_ids: Sequence[str], patches: int, width: int) -> bool:
    """Whether a shard holds just these images, every one with the right checksum."""
    if not present(store, shard, image_ids):
        return False
    try:
        first = shard * SHARD_ROWS
        opened = shards.Shard(shard_path(store, shard), first, SHARD_ROWS, patches * width * 2)
        row = np.empty(patches * width * 2, np.uint8)
        for number in range(len(image_ids)):
            opened.read(first + number, row)
    except BadStore:
        return False
    return True


def _digests(image_ids: Sequence[str]) -> np.ndarray:
    return np.frombuffer(bytes.fromhex("".join(image_ids)), np.uint8).reshape(len(image_ids), ID_BYTES)


def _read_ids(store: Path, shard: int, rows: int) -> np.ndarray:
    """uint8 [rows, 32]. Raises BadStore that names the file when it is missing or damaged."""
    path = _ids_path(store, shard)
    if not path.is_file():
        raise BadStore(f"{path}: missing; run the stage that writes it again")
    content = shards.without_crc(path.read_bytes(), path)
    if len(content) != SHARD_ROWS * ID_BYTES:
        raise BadStore(f"{path}: not the ids of {SHARD_ROWS} rows; run the stage that writes it again")
    return np.frombuffer(content, np.uint8).reshape(-1, ID_BYTES)[:rows]


def _as_bytes(tokens: Tensor) -> np.ndarray:
    """uint8 [V, row bytes] over the memory of contiguous tokens [V, P, W]."""
    return tokens.view(torch.int16).numpy().reshape(len(tokens), tokens[0:1].numel()).view(np.uint8)


def _description(store: Path) -> tuple[dict[str, Any], tuple[int, int], tuple[int, int, int]]:
    """Attributes of a complete store, its grid (rows, columns) and images, patches, width. Raises BadStore."""
    if not (store / "zarr.json").is_file():
        raise BadStore(f"{store}: no feature store; run the features stage")
    try:
        attrs = files.read_json(store / "zarr.json")["attributes"]
        complete, (rows, columns) = attrs["complete"], map(int, attrs["grid"])
        array = files.read_json(store / "patch_tokens" / "zarr.json")
        data_type, (images, patches, width) = array["data_type"], map(int, array["shape"])
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise BadStore(f"{store}: its zarr.json files do not describe features ({error!r}); extract anew") from error
    if not complete:
        raise BadStore(f"{store}: incomplete; run the features stage again, it goes on where it stopped")
    if data_type != "bfloat16":
        raise BadStore(f"{store}: patch_tokens are {data_type}, not bfloat16")
    if rows * columns != patches:
        raise BadStore(f"{store}: its attributes tell of a grid of {rows} x {columns}, rows have {patches} patches")
    return attrs, (rows, columns), (images, patches, width)


class FeatureStore:
    """A complete store, open for reading. Threads and forked processes may share it.

    `patches` and `width` are the shape of a row, `grid` (rows, columns) of the patches, `attrs` what they are.
    """

    def __init__(self, path: Path | str, check: bool) -> None:
        """Raises BadStore when there is no store, it is incomplete, or its array does not hold features."""
        self.path = Path(path)
        self.attrs, self.grid, (self.images, self.patches, self.width) = _description(self.path)
        self._rows: RawRows | ZarrRows
        if self._written_by("patch_tokens"):
            row_bytes = self.patches * self.width * 2
            self._rows = RawRows(lambda shard: shard_path(self.path, shard), SHARD_ROWS, row_bytes, check=check)
        else:
            self._rows = ZarrRows(self.path / "patch_tokens")

    def _written_by(self, name: str) -> bool:
        """Whether this module wrote that array: every other layout is read by zarr."""
        expected = metadata(self.images, self.patches, self.width)[name]
        found = files.read_json(self.path / name / "zarr.json")
        described = ("attributes", "dimension_names")  # anyone may add to these
        return {**found, **{key: expected[key] for key in described}} == expected

    def __len__(self) -> int:
        return self.images

    @cached_property
    def _ids(self) -> UInt8[np.ndarray, "V 32"]:
        """The sha256 of each row's image."""
        if not self._written_by("image_id"):
            ids = ZarrRows(self.path / "image_id").read(np.arange(len(self)))
            if ids.shape != (len(self), ID_BYTES):
                raise BadStore(f"{self.path}: image_id is {ids.shape}, not {(len(self), ID_BYTES)}")
            return np.ascontiguousarray(ids)
        firsts = range(0, len(self), SHARD_ROWS)
        return np.concatenate(
            [_read_ids(self.path, first // SHARD_ROWS, min(SHARD_ROWS, len(self) - first)) for first in firsts]
        )

    @property
    def image_ids(self) -> list[str]:
        """The sha256 of each row's image, as hexadecimal digits."""
        digits = self._ids.tobytes().hex()
        return [digits[at : at + 2 * ID_BYTES] for at in range(0, len(digits), 2 * ID_BYTES)]

    @cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        """Ids in ascending order, as one array of bytes (a dict of 290,000 texts takes five times the memory), and
        the row of each."""
        ids = self._ids.view(f"S{ID_BYTES}")[:, 0]
        order = np.argsort(ids)
        return ids[order], order

    def rows(self, image_ids: Iterable[str]) -> Int64[np.ndarray, " n"]:
        """The row of each image. Raises KeyError that names an image which is not there."""
        asked = list(image_ids)
        absent = [image_id for image_id in asked if not re.fullmatch(f"[0-9a-f]{{{2 * ID_BYTES}}}", image_id)]
        if not absent:
            ids, row = self._sorted
            wanted = _digests(asked).view(f"S{ID_BYTES}")[:, 0]
            at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
            absent = [asked[place] for place in np.flatnonzero(ids[at] != wanted)]
        if absent:
            raise KeyError(f"{self.path}: no image {absent[0]}; run the features stage for this corpus")
        return row[at]

    def read(self, rows: Sequence[int] | np.ndarray, out: Tensor | None = None) -> BFloat16[Tensor, "V P W"]:
        """Patch tokens of these rows, in the order asked; repeats are allowed. `out` may be pinned memory.

        Raises IndexError for a row that the store does not have, BadStore that names shard and row for one that is
        missing or damaged, ValueError for an `out` of another shape, type or layout. Of `out` nothing may be used when
        this raises.
        """
        wanted = np.asarray(rows, dtype=None if len(rows) else np.int64)
        if wanted.dtype.kind not in "iu" or wanted.ndim != 1:
            raise TypeError(f"rows must be a list of whole numbers, not {wanted.dtype} of {wanted.ndim} dimensions")
        if (outside := wanted[(wanted < 0) | (wanted >= len(self))]).size:
            raise IndexError(f"{self.path}: no row {outside[0]}, it has {len(self)}")
        wanted = wanted.astype(np.int64)
        shape = (len(wanted), self.patches, self.width)
        if out is None:
            out = _empty(shape)
        elif out.shape != shape or out.dtype != torch.bfloat16 or not out.is_contiguous() or out.is_cuda:
            raise ValueError(
                f"out must be contiguous bfloat16 {shape} in main memory, not {out.dtype} {tuple(out.shape)}"
            )
        if isinstance(self._rows, RawRows):
            self._rows.read(wanted, _as_bytes(out))
        elif len(wanted):
            _as_bytes(out)[:] = self._rows.read(wanted).reshape(len(wanted), -1).view(np.uint8)
        return out


def _empty(shape: tuple[int, int, int]) -> BFloat16[Tensor, "V P W"]:
    """Memory for rows, at a multiple of 64 bytes as torch has it.

    From numpy, which asks for huge pages: torch's own of 48 MB costs 20 ms in page faults, five times the reading.
    """
    size = 2 * math.prod(shape)
    memory = np.empty(size + ALIGNMENT, np.uint8)
    skip = -memory.ctypes.data % ALIGNMENT
    return torch.from_numpy(memory[skip : skip + size]).view(torch.bfloat16).view(shape)


def open_features(path: Path | str, check: bool = True) -> FeatureStore:
    """Open a store for reading; the one way in for training and evaluation.

    `check` verifies the CRC32C of every row that is read; without it, damage below the disk's own notice goes unseen.
    A layout that ves.store does not write (compressed, say) is read by zarr, which checks whatever `check` says.
    """
    return FeatureStore(path, check)
