"""Pairs as a run reads them: clips of a split, their waveforms, their images' cached tokens, and batches of both.

Every read succeeds or raises: what cannot be read was refused at ingest, and no sample ever stands in for another.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ves import parquet
from ves.audio import window
from ves.audio_store import AudioStore
from ves.config import DataPaths
from ves.images import Geometry
from ves.store import open_features

CLIP_COLUMNS = ["clip_id", "image_id", "image_row", "shard", "row", "language", "speaker", "duration_s", "source_path"]


def clips(data: DataPaths, split: str) -> pl.DataFrame:
    """The clips of one split with the feature row of their image, sorted by clip_id.

    Raises ValueError when the split has no clip, or a clip's image is not in images.parquet.
    """
    manifest, splits = parquet.read(data.manifest), parquet.read(data.splits)
    images = parquet.read(data.images, columns=["image_id", "row"]).rename({"row": "image_row"})
    chosen = manifest.join(splits.filter(pl.col("split") == split), on="clip_id", how="inner")
    if chosen.is_empty():
        raise ValueError(f"{data.splits}: no clip is in split {split!r}")
    frame = chosen.join(images, on="image_id", how="left").select(CLIP_COLUMNS).sort("clip_id")
    if frame["image_row"].null_count():
        raise ValueError(f"{data.images}: lacks images of {data.manifest}; both are made by one stage: run it again")
    return frame


class PairReader:
    """Waveforms and patch tokens of clips, from the two stores of a corpus."""

    def __init__(self, data: DataPaths, seconds: float) -> None:
        self.seconds = seconds
        self.audio = AudioStore(Path(data.audio))
        self.features = open_features(Path(data.features))
        self.masks = self._image_masks(data)

    def _image_masks(self, data: DataPaths) -> Bool[Tensor, "N P"] | None:
        """Which patches of each feature row show the picture; None where all do (every fit but `pad`)."""
        attrs, (rows, columns) = self.features.attrs, self.features.grid
        if attrs["fit"] != "pad":
            return None
        images = parquet.read(data.images, columns=["row", "width", "height"])
        masks = np.ones((len(self.features), rows * columns), dtype=bool)
        for row, width, height in images.iter_rows():
            masks[row] = Geometry(width, height, attrs["image_size"], attrs["fit"]).patch_mask(rows, columns)
        return torch.from_numpy(masks)

    def waveforms(self, frame: pl.DataFrame) -> tuple[Float[Tensor, "A L"], Int[Tensor, "A"]]:
        """Windows of the clips (ves.audio.window) and the number of valid samples of each."""
        limit = round(self.seconds * 16_000)
        pairs = [
            window(self.audio.read(shard, row, limit), self.seconds)
            for shard, row in frame.select("shard", "row").iter_rows()
        ]
        waveform = torch.from_numpy(np.stack([samples for samples, _ in pairs]))
        return waveform, torch.tensor([valid for _, valid in pairs])

    def patches(self, image_rows: np.ndarray) -> tuple[Tensor, Bool[Tensor, "V P"] | None]:
        """Patch tokens (bfloat16 [V, P, W]) of feature rows, in that order, and their mask (None: all count)."""
        mask = None if self.masks is None else self.masks[image_rows.astype(np.int64)]  # a copy: polars' are read-only
        return self.features.read(image_rows), mask


@dataclass(frozen=True)
class Batch:
    """B pairs; `image` is the feature row of each, by which two clips of one image are known."""

    waveform: Float[Tensor, "B L"]
    valid: Int[Tensor, "B"]
    patches: Tensor
    image_mask: Bool[Tensor, "B P"] | None
    image: Int[Tensor, "B"]

    def __len__(self) -> int:
        return len(self.valid)

    def __getitem__(self, part: slice) -> "Batch":
        """Some of the pairs, without a copy."""
        mask = None if self.image_mask is None else self.image_mask[part]
        return Batch(self.waveform[part], self.valid[part], self.patches[part], mask, self.image[part])

    @property
    def same_image(self) -> Bool[Tensor, "B B"]:
        """Marks pairs (i, j) that show one image, so are not negatives of each other."""
        return self.image[:, None] == self.image[None, :]

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device."""
        mask = None if self.image_mask is None else self.image_mask.to(device)
        fields = (self.waveform, self.valid, self.patches, self.image)
        waveform, valid, patches, image = (field.to(device, non_blocking=True) for field in fields)
        return Batch(waveform, valid, patches, mask, image)


class Order:
    """The order in which training sees its clips: one seeded permutation per epoch, a pure function of position."""

    def __init__(self, clips: int, seed: int) -> None:
        self.clips, self.seed = clips, seed
        self._epoch, self._permutation = -1, np.empty(0, dtype=np.int64)

    def _at(self, epoch: int) -> np.ndarray:
        if epoch != self._epoch:
            self._epoch, self._permutation = epoch, np.random.default_rng([self.seed, epoch]).permutation(self.clips)
        return self._permutation

    def take(self, start: int, count: int) -> np.ndarray:
        """Clip indices at positions start .. start + count of the endless sequence of epochs."""
        positions = np.arange(start, start + count)
        parts = [
            self._at(epoch)[positions[positions // self.clips == epoch] % self.clips]
            for epoch in np.unique(positions // self.clips).tolist()
        ]
        return np.concatenate(parts)


def batches(
    reader: PairReader,
    frame: pl.DataFrame,
    *,
    batch_size: int,
    seed: int,
    first: int,
    last: int,
    rows: slice = slice(None),
) -> Iterator[Batch]:
    """Batches number `first` up to `last`, each read in a background thread while the one before is used.

    Of each, the pairs `rows`, which is what one of several processes reads.
    """
    order, part = Order(len(frame), seed), range(batch_size)[rows]

    def read(number: int) -> Batch:
        chosen = frame[order.take(number * batch_size + part.start, len(part))]
        images = chosen["image_row"].to_numpy()
        waveform, valid = reader.waveforms(chosen)
        patches, mask = reader.patches(images)
        return Batch(waveform, valid, patches, mask, torch.from_numpy(images.astype(np.int64)))

    with ThreadPoolExecutor(max_workers=1) as pool:
        ahead = pool.submit(read, first) if first < last else None
        for number in range(first, last):
            assert ahead is not None
            batch = ahead.result()
            ahead = pool.submit(read, number + 1) if number + 1 < last else None
            yield batch
