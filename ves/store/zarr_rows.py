"""Rows of an array of any layout, read by zarr, for stores that VeS did not write.

This is slower than ves.store.rows, but works for every codec that zarr has. If a codec has checksums, they are checked.
"""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from jaxtyping import Int64, Shaped

from ves.store.shard_format import BadStore


class ZarrRows:
    """Reader of whole rows of one array. Threads and forked processes may share it."""

    def __init__(self, path: Path) -> None:
        """Raises BadStore that names the array if zarr cannot open it."""
        self.path = path
        try:
            self.array = zarr.open_array(path, mode="r", config={"read_missing_chunks": False})  # not the fill value
        except Exception as error:  # codecs and data types raise classes of their own
            raise BadStore(f"{path}: zarr cannot open it: {error}") from error
        self.slots = min((self.array.shards or self.array.chunks)[0], max(self.array.shape[0], 1))

    def read(self, rows: Int64[np.ndarray, " n"]) -> Shaped[np.ndarray, "n ..."]:
        """These rows, in this order. Raises BadStore that names the shard if a row is missing or damaged."""
        out = np.empty((len(rows), *self.array.shape[1:]), self.array.dtype)
        for shard in np.unique(rows // self.slots).tolist():
            places = np.flatnonzero(rows // self.slots == shard)
            distinct, back = np.unique(rows[places], return_inverse=True)
            out[places] = self._read(shard, distinct)[back]
        return out

    def _read(self, shard: int, rows: Int64[np.ndarray, " n"]) -> Any:
        """Distinct rows of one shard, in ascending order."""
        key = self.array.metadata.encode_chunk_key((shard, *[0] * (self.array.ndim - 1)))
        try:
            contents = np.asarray(self.array.oindex[rows])
        except Exception as error:  # codecs raise classes of their own
            raise BadStore(f"{self.path / key}: rows {rows[0]} to {rows[-1]}: {error}; write it again") from error
        if empty := [row for row, content in zip(rows.tolist(), contents, strict=True) if self._absent(content)]:
            raise BadStore(f"{self.path / key}: row {empty[0]}: the shard lacks it; write it again")
        return contents

    def _absent(self, row: np.ndarray) -> bool:
        """Whether a row, or a part of it with a chunk of its own, is all fill value.

        That is what zarr silently returns for a chunk that a shard lacks.
        """
        fill = np.full(1, self.array.fill_value, row.dtype).tobytes()
        starts = [range(0, size, step) for size, step in zip(row.shape, self.array.chunks[1:], strict=True)]
        parts = (
            row[tuple(slice(at, at + step) for at, step in zip(begin, self.array.chunks[1:], strict=True))]
            for begin in product(*starts)
        )
        return any(part.tobytes() == fill * part.size for part in parts)
