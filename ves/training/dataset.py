"""Pairs as a run reads them: clips of a split, their waveforms, their images' cached tokens, and batches of both.

Every read succeeds or raises: ingest refuses what cannot be read, and no sample ever replaces another.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ves.base import parquet
from ves.config.experiment import DataPaths
from ves.config.train import AugmentConfig, TrainConfig
from ves.media.audio import RATE, window
from ves.media.images import Geometry
from ves.models.pictures import open_pictures
from ves.models.pixels import Pixels
from ves.store.audio import AudioStore
from ves.training import recordings
from ves.training.augmentation import is_active, jitter, jitter_generator

CLIP_COLUMNS = ["clip_id", "image_id", "image_row", "shard", "row", "language", "speaker", "duration_s", "source_path"]
READ = ["shard", "row", "image_row"]  # all that reading needs: 12 bytes a clip, where all columns take hundreds
AHEAD = 2  # batches read before they are needed


def clips(
    data: DataPaths, split: str, columns: Sequence[str] = CLIP_COLUMNS, *, may_be_empty: bool = False
) -> pl.DataFrame:
    """The clips of one split, sorted by clip_id: these columns of the manifest, and the feature row of their image.

    Raises ValueError when the split has no clip (unless it may be empty), or images.parquet lacks a clip's image.
    """
    names = list(dict.fromkeys(["clip_id", "image_id", *columns]))
    manifest = parquet.read(data.manifest, columns=[name for name in names if name != "image_row"])
    splits = parquet.read(data.splits, columns=["clip_id", "split"])
    images = parquet.read(data.images, columns=["image_id", "row"]).rename({"row": "image_row"})
    splits = splits.filter(pl.col("split") == split).select("clip_id")
    frame = manifest.join(splits, on="clip_id", how="inner").join(images, on="image_id", how="left")
    if frame.is_empty() and not may_be_empty:
        raise ValueError(f"{data.splits}: no clip is in split {split!r}")
    if frame["image_row"].null_count():
        raise ValueError(f"{data.images}: lacks images of {data.manifest}; one stage writes both: run it again")
    return frame.sort("clip_id").select(columns)


def to_read(data: DataPaths, split: str) -> pl.DataFrame:
    """The clips of one split, as `clips` sorts them, with only the columns that reading needs: READ and, if the
    manifest has recordings, those of ves.training.recordings."""
    has_recordings = recordings.are_known(data)
    frame = clips(data, split, [*READ, "clip_id", "recording_id"] if has_recordings else READ)
    more = recordings.columns(frame, data) if has_recordings else []
    return frame.select(
        pl.col("shard").cast(pl.Categorical), pl.col("row", "image_row").cast(pl.UInt32), *more
    ).rechunk()


class PairReader:
    """Waveforms of clips, and patch tokens or pixels of their pictures (ves.models.pictures)."""

    def __init__(self, data: DataPaths, seconds: float) -> None:
        self.seconds = seconds
        self.audio = AudioStore(Path(data.audio))
        self.features = open_pictures(data)
        self.masks = self._image_masks(data)

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of what the image tower is given for one picture: (P, W), or (3, S, S) of pixels."""
        pictures = self.features
        return pictures.row_shape if isinstance(pictures, Pixels) else (pictures.patches, pictures.width)

    @property
    def row_type(self) -> torch.dtype:
        """The type of these numbers."""
        return torch.float32 if isinstance(self.features, Pixels) else torch.bfloat16

    def _image_masks(self, data: DataPaths) -> Bool[Tensor, "N P"] | None:
        """Which patches of each feature row show the picture; None where all do, as with every fit but `pad`."""
        attrs, (rows, columns) = self.features.attrs, self.features.grid
        if attrs["fit"] != "pad":
            return None
        images = parquet.read(data.images, columns=["row", "width", "height"])
        masks = np.ones((len(self.features), rows * columns), dtype=bool)
        for row, width, height in images.iter_rows():
            masks[row] = Geometry(width, height, attrs["image_size"], attrs["fit"]).patch_mask(rows, columns)
        return torch.from_numpy(masks)

    def waveforms(
        self,
        frame: pl.DataFrame,
        augment: AugmentConfig | None = None,
        generators: Sequence[np.random.Generator] | None = None,
        *,
        out: tuple[Float[Tensor, "A L"], Int[Tensor, "A"]] | None = None,
    ) -> tuple[Float[Tensor, "A L"], Int[Tensor, "A"]]:
        """Windows of the clips (ves.media.audio.window) and the number of valid samples of each, in `out` if not None.

        With `augment` and a generator for each clip, they are augmented (ves.training.augmentation).
        """
        length = round(self.seconds * RATE)
        waveform, valid = out or (torch.empty(len(frame), length), torch.empty(len(frame), dtype=torch.int64))
        rows = waveform.numpy()  # torch's copy uses all cores, which beside busy towers takes 3 ms a clip
        for place, (shard, row) in enumerate(frame.select("shard", "row").iter_rows()):
            if augment is not None and generators is not None:
                samples, valid[place] = jitter(self.audio.read(shard, row), self.seconds, augment, generators[place])
            else:
                samples, valid[place] = window(self.audio.read(shard, row, length), self.seconds)
            rows[place] = samples
        return waveform, valid

    def patches(
        self, image_rows: np.ndarray, *, out: Tensor | None = None
    ) -> tuple[Tensor, Bool[Tensor, "V P"] | None]:
        """Patch tokens (bfloat16 [V, P, W]) or pixels (float32 [V, 3, S, S]) of feature rows, in that order, and the
        mask of patches (None: all count)."""
        mask = None if self.masks is None else self.masks[image_rows.astype(np.int64)]  # a copy: polars' are read-only
        return self.features.read(image_rows, out), mask


@dataclass(frozen=True)
class Batch:
    """B pairs; `image` is the feature row of each image, the same for two clips of one image. `patches` has patch
    tokens [B, P, W], or pixels [B, 3, S, S] where the vision backbone is trained. `recording` is a number of the
    recording that each clip is of, None where the corpus has none."""

    waveform: Float[Tensor, "B L"]
    valid: Int[Tensor, "B"]
    patches: Tensor
    image_mask: Bool[Tensor, "B P"] | None
    image: Int[Tensor, "B"]
    recording: Int[Tensor, "B"] | None = None

    def __len__(self) -> int:
        return len(self.valid)

    def __getitem__(self, part: slice) -> "Batch":
        """Some of the pairs, without a copy."""
        mask = None if self.image_mask is None else self.image_mask[part]
        recording = None if self.recording is None else self.recording[part]
        return Batch(self.waveform[part], self.valid[part], self.patches[part], mask, self.image[part], recording)

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device."""
        mask = None if self.image_mask is None else self.image_mask.to(device)
        fields = (self.waveform, self.valid, self.patches, self.image)
        waveform, valid, patches, image = (field.to(device, non_blocking=True) for field in fields)
        recording = None if self.recording is None else self.recording.to(device, non_blocking=True)
        return Batch(waveform, valid, patches, mask, image, recording)


@dataclass
class _Buffers:
    """The memory that one batch is read into; for CUDA it is pinned, and copied to the device while others are read."""

    waveform: Float[Tensor, "B L"]
    valid: Int[Tensor, "B"]
    patches: Tensor
    copied: torch.cuda.Event | None = None  # all that the device had to do when the batch was released

    @classmethod
    def of(cls, reader: PairReader, size: int, device: torch.device) -> "_Buffers":
        """Buffers for `size` pairs, with any content."""
        pinned = device.type == "cuda"
        return cls(
            torch.empty(size, round(reader.seconds * RATE), pin_memory=pinned),
            torch.empty(size, dtype=torch.int64, pin_memory=pinned),
            torch.empty(size, *reader.row_shape, dtype=reader.row_type, pin_memory=pinned),
        )

    def release(self) -> None:
        """Let the next batch be read into them, once the device has made the copies that it still has to make."""
        if self.waveform.is_pinned():
            self.copied = torch.cuda.Event()
            self.copied.record()

    def wait(self) -> None:
        """Wait until the device no longer copies from them."""
        if self.copied is not None:
            self.copied.synchronize()


def batches(
    reader: PairReader,
    frame: pl.DataFrame,
    train: TrainConfig,
    *,
    seed: int,
    first: int,
    last: int,
    device: torch.device,
    rows: slice = slice(None),
) -> Iterator[Batch]:
    """Batches number `first` up to `last`, of each the pairs `rows`: a pure function of (seed, number).

    A background thread reads them, AHEAD of the one in use, into buffers that are used again: a batch is valid until
    the next one is requested. `frame` has the columns that `to_read` gives. Raises ValueError, at once, if a batch
    needs more recordings than there are, or if pictures are to be drawn and no clip has frames.
    """
    order, part = recordings.order(frame, train.batch_size, seed), range(train.batch_size)[rows]
    if drawing := train.augment.frame == "random":
        recordings.check_frames(frame)
    slots = [_Buffers.of(reader, len(part), device) for _ in range(AHEAD + 1)]
    augmenting = is_active(train.augment)

    def read(number: int) -> Batch:
        slot = slots[number % len(slots)]
        slot.wait()
        pairs = frame[order.take(number * train.batch_size + part.start, len(part))]
        images = recordings.drawn(pairs, seed, number, part) if drawing else pairs["image_row"].to_numpy()
        generators = [jitter_generator(seed, number, place) for place in part] if augmenting else None
        reader.waveforms(pairs, train.augment, generators, out=(slot.waveform, slot.valid))
        _, mask = reader.patches(images, out=slot.patches)
        image = torch.from_numpy(images.astype(np.int64))
        return Batch(slot.waveform, slot.valid, slot.patches, mask, image, recordings.numbers(pairs))

    return _ahead(read, slots, first, last)


def _ahead(read: Callable[[int], Batch], slots: list[_Buffers], first: int, last: int) -> Iterator[Batch]:
    """The batches, each read while others are in use."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ves-batch") as pool:
        ahead = deque(pool.submit(read, number) for number in range(first, min(first + AHEAD, last)))
        for number in range(first, last):
            batch = ahead.popleft().result()
            if number + AHEAD < last:
                ahead.append(pool.submit(read, number + AHEAD))
            yield batch
            slots[number % len(slots)].release()
