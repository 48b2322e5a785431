"""Reading a feature store (ves.store.features_layout): each row is copied once, into the caller's memory, and checked.

Zarr reads a missing shard as the fill value and cannot recognise a shard from another store. Here both are errors.

Dimension key
    V images    P patches    W backbone width
"""

import math
import os
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import BFloat16, Int64, UInt8
from torch import Tensor

from ves.base import files
from ves.base.files import matches_schema
from ves.store import compression, features_layout
from ves.store.features_layout import (
    ID_BYTES,
    class_header,
    class_path,
    digests,
    header,
    identity,
    metadata,
    read_ids,
    shard_path,
)
from ves.store.rows import ShardRows
from ves.store.shard import Shard
from ves.store.shard_format import BadStore
from ves.store.zarr_rows import ZarrRows

ALIGNMENT = 64


def _as_bytes(tokens: Tensor) -> np.ndarray:
    """uint8 [V, row bytes] over the memory of contiguous tokens [V, P, W]."""
    return tokens.view(torch.int16).numpy().reshape(len(tokens), tokens[0:1].numel()).view(np.uint8)


def _stamp(store: Path) -> tuple[int, int]:
    """Changes whenever the store is written to, since zarr.json is replaced before the first shard and after the last.

    Raises BadStore if there is no store.
    """
    try:
        status = os.stat(store / "zarr.json")
    except FileNotFoundError:
        raise BadStore(f"{store}: no feature store; run the features stage") from None
    return status.st_ino, status.st_mtime_ns


def _description(store: Path) -> tuple[dict[str, Any], tuple[int, int], tuple[int, int, int]]:
    """Attributes of a complete store, its grid (rows, columns) and images, patches, width. Raises BadStore."""
    try:
        attrs = files.read_json(store / "zarr.json")["attributes"]
        complete, (rows, columns) = attrs["complete"], map(int, attrs["grid"])
        array = files.read_json(store / "patch_tokens" / "zarr.json")
        data_type, (images, patches, width) = array["data_type"], array["shape"]
        ids = files.read_json(store / "image_id" / "zarr.json")["shape"]
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        raise BadStore(f"{store}: its zarr.json files do not describe features ({error!r}); extract anew") from error
    if not complete:
        raise BadStore(f"{store}: incomplete; run the features stage again, it resumes where it stopped")
    if data_type != "bfloat16":
        raise BadStore(f"{store}: patch_tokens are {data_type}, not bfloat16")
    if not (matches_schema(array["shape"], [int]) and all(array["shape"])) or width != attrs.get("width", width):
        raise BadStore(f"{store}: patch_tokens has a shape of {array['shape']}, so it is damaged; extract anew")
    if ids != [images, ID_BYTES]:
        raise BadStore(f"{store}: patch_tokens has {images} images, but image_id {ids}: a zarr.json was changed")
    if rows * columns != patches:
        raise BadStore(f"{store}: the grid in its attributes is {rows} x {columns}, but rows have {patches} patches")
    return attrs, (rows, columns), (images, patches, width)


def _same_layout(document: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether zarr.json of an array is as VeS writes it, apart from what anyone may add."""
    return {**document, **{key: expected[key] for key in ("attributes", "dimension_names")}} == expected


class FeatureStore:
    """A complete store, open for reading. Threads and forked processes may share it.

    `patches` and `width` are the shape of a row, `grid` is (rows, columns) of the patches, and `attrs` say what the
    features are. The first read or look-up fixes the image of each row. If the store is written anew after that, this
    reader still reads shards whose images are the same, and raises BadStore for the others.
    """

    def __init__(self, path: Path | str, check: bool) -> None:
        """Raises BadStore if there is no store, it is incomplete, or its array has no features."""
        self.path = Path(path)
        self._opened = _stamp(self.path)
        self.attrs, self.grid, (self.images, self.patches, self.width) = _description(self.path)
        self._check, self._kind, self._rows = check, identity(self.attrs), self._reader(check)
        self._headers: dict[int, bytes] = {}  # of the shards opened so far

    def _reader(self, check: bool) -> ShardRows | ZarrRows:
        """Our own reader for every layout that VeS writes, and zarr's for any other."""
        document = files.read_json(self.path / "patch_tokens" / "zarr.json")
        for packing in (None, *compression.CODECS):
            if _same_layout(document, metadata(len(self), self.patches, self.width, packing)["patch_tokens"]):
                self._unpack = compression.unpacker(packing)
                slots, row_bytes = features_layout.SHARD_ROWS, self.patches * self.width * 2
                return ShardRows(self._open_shard, slots, row_bytes, check=check)
        return ZarrRows(self.path / "patch_tokens")

    def _open_shard(self, shard: int) -> Shard:
        slots = features_layout.SHARD_ROWS
        first = shard * slots
        head = self._headers.get(shard)
        if head is None:  # headers are kept, since more shards than stay open are opened again and again
            head = self._headers[shard] = header(self._kind, self._ids[first : first + slots])
        return Shard(shard_path(self.path, shard), first, slots, self.patches * self.width * 2, head, self._unpack)

    def __len__(self) -> int:
        return self.images

    @cached_property
    def _ids(self) -> UInt8[np.ndarray, "V 32"]:
        """The sha256 of each row's image. Raises BadStore if the store was written to since it was opened."""
        ids = self._read_ids()
        if _stamp(self.path) != self._opened:
            raise BadStore(f"{self.path}: written to since it was opened; open it again")
        return ids

    def _read_ids(self) -> UInt8[np.ndarray, "V 32"]:
        document = files.read_json(self.path / "image_id" / "zarr.json")
        if not _same_layout(document, metadata(len(self), self.patches, self.width, None)["image_id"]):
            return np.ascontiguousarray(ZarrRows(self.path / "image_id").read(np.arange(len(self))))
        slots = features_layout.SHARD_ROWS
        firsts = range(0, len(self), slots)
        return np.concatenate([read_ids(self.path, first // slots, min(slots, len(self) - first)) for first in firsts])

    @property
    def image_ids(self) -> list[str]:
        """The sha256 of each row's image, as hexadecimal digits."""
        digits = self._ids.tobytes().hex()
        return [digits[at : at + 2 * ID_BYTES] for at in range(0, len(digits), 2 * ID_BYTES)]

    @cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        """Ids in ascending order, as one array of bytes, and the row of each. (A dict of 290,000 texts would take five
        times the memory.)"""
        ids = self._ids.view(f"S{ID_BYTES}")[:, 0]
        order = np.argsort(ids)
        return ids[order], order

    def rows(self, image_ids: Iterable[str]) -> Int64[np.ndarray, " n"]:
        """The row of each image. Raises KeyError that names an image that the store lacks."""
        wanted_ids = list(image_ids)
        absent = [image_id for image_id in wanted_ids if not re.fullmatch(f"[0-9a-f]{{{2 * ID_BYTES}}}", image_id)]
        if not absent:
            ids, row = self._sorted
            wanted = digests(wanted_ids).view(f"S{ID_BYTES}")[:, 0]
            at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
            absent = [wanted_ids[place] for place in np.flatnonzero(ids[at] != wanted)]
        if absent:
            raise KeyError(f"{self.path}: no image {absent[0]}; run the features stage for this corpus")
        return row[at]

    def read(self, rows: Sequence[int] | np.ndarray, out: Tensor | None = None) -> BFloat16[Tensor, "V P W"]:
        """Patch tokens of these rows, in this order; rows may repeat. `out` may be pinned memory.

        Raises IndexError for a row that the store does not have, BadStore that names shard and row for one that is
        missing or damaged, and ValueError for an `out` of another shape, type or layout. After an error, the content of
        `out` is undefined.
        """
        wanted = self._wanted(rows)
        shape = (len(wanted), self.patches, self.width)
        if out is None:
            out = _empty(shape)
        elif out.shape != shape or out.dtype != torch.bfloat16 or not out.is_contiguous() or out.is_cuda:
            raise ValueError(
                f"out must be contiguous bfloat16 {shape} in main memory, not {out.dtype} {tuple(out.shape)}"
            )
        if isinstance(self._rows, ShardRows):
            self._rows.read(wanted, _as_bytes(out))
        elif len(wanted):
            _as_bytes(out)[:] = self._rows.read(wanted).reshape(len(wanted), -1).view(np.uint8)
        return out

    @cached_property
    def _class_rows(self) -> ShardRows | ZarrRows:
        """The reader of class tokens. Raises BadStore if the store has none."""
        if not self.attrs.get("class_token"):
            raise BadStore(f"{self.path}: has no class tokens; set vision.class_token: true, which makes another store")
        folder = self.path / "class_token"
        layout = metadata(len(self), self.patches, self.width, None, class_token=True)["class_token"]
        if not (folder / "zarr.json").is_file():
            raise BadStore(f"{folder / 'zarr.json'}: missing; run the features stage again")
        if not _same_layout(files.read_json(folder / "zarr.json"), layout):
            return ZarrRows(folder)
        slots, row_bytes = features_layout.SHARD_ROWS, self.width * 2

        def open_shard(shard: int) -> Shard:
            head = class_header(self._kind, self._ids[shard * slots : (shard + 1) * slots])
            unpack = compression.unpacker(None)
            return Shard(class_path(self.path, shard), shard * slots, slots, row_bytes, head, unpack)

        return ShardRows(open_shard, slots, row_bytes, check=self._check)

    def class_tokens(self, rows: Sequence[int] | np.ndarray) -> BFloat16[Tensor, "V W"]:
        """Class tokens of these rows, in this order. Raises as `read` does, and BadStore if the store has none."""
        wanted = self._wanted(rows)
        out = torch.empty(len(wanted), self.width, dtype=torch.bfloat16)
        if isinstance(self._class_rows, ShardRows):
            self._class_rows.read(wanted, _as_bytes(out))
        elif len(wanted):
            _as_bytes(out)[:] = self._class_rows.read(wanted).reshape(len(wanted), -1).view(np.uint8)
        return out

    def _wanted(self, rows: Sequence[int] | np.ndarray) -> Int64[np.ndarray, " n"]:
        """Row numbers that the store has. Raises TypeError or IndexError for others."""
        wanted = np.asarray(rows, dtype=None if len(rows) else np.int64)
        if wanted.dtype.kind not in "iu" or wanted.ndim != 1:
            raise TypeError(f"rows must be a list of whole numbers, not {wanted.dtype} of {wanted.ndim} dimensions")
        if (outside := wanted[(wanted < 0) | (wanted >= len(self))]).size:
            raise IndexError(f"{self.path}: no row {outside[0]}, it has {len(self)}")
        return wanted.astype(np.int64)


def _empty(shape: tuple[int, int, int]) -> BFloat16[Tensor, "V P W"]:
    """Memory for rows, aligned to 64 bytes as that of torch.

    numpy allocates it, with huge pages: 48 MB from torch cost 20 ms in page faults, five times the reading.
    """
    size = 2 * math.prod(shape)
    memory = np.empty(size + ALIGNMENT, np.uint8)
    skip = -memory.ctypes.data % ALIGNMENT
    return torch.from_numpy(memory[skip : skip + size]).view(torch.bfloat16).view(shape)


def open_features(path: Path | str, check: bool = True) -> FeatureStore:
    """Open a store for reading, as training and evaluation do.

    `check` verifies the CRC32C of every row that is read; without it, damage that the disk does not report goes
    unnoticed. Zarr reads a layout that VeS does not write, and always checks.
    """
    return FeatureStore(path, check)
