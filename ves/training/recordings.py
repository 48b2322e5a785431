"""Recordings and their frames, as training reads them: which clips are of one recording, and which pictures a clip has.

The columns that these functions make and read, beside those that every clip has (ves.training.dataset):

* `recording`, if any clip of the split is of a recording: its number, from 0; a clip of none is one of its own;
* `frame_rows`, if any clip of the split has frames: the feature rows of its pictures in the order of time, or null.
"""

from pathlib import Path

import numpy as np
import polars as pl
import torch
from jaxtyping import Int
from torch import Tensor

from ves.base import parquet
from ves.config.experiment import DataPaths
from ves.training.augmentation import any_frame
from ves.training.order import Order, RecordingOrder


def are_known(data: DataPaths) -> bool:
    """Whether the manifest of a corpus has recordings and frames."""
    with parquet.naming(data.manifest):
        return "recording_id" in pl.read_parquet_schema(Path(data.manifest))


def columns(clips: pl.DataFrame, data: DataPaths) -> list[pl.Series]:
    """The columns `recording` and `frame_rows` of clips with columns clip_id and recording_id, each if any clip has it.

    Raises ValueError if images.parquet lacks a frame.
    """
    frames = _frame_rows(clips["clip_id"], data)
    found = [numbered(clips["recording_id"])] if clips["recording_id"].count() else []
    return found + ([frames] if frames.count() else [])


def numbered(recording_id: pl.Series) -> pl.Series:
    """A number for each recording, from 0, and for each clip of none (null) one of its own."""
    known = recording_id.rank("dense").cast(pl.UInt32) - 1
    alone = recording_id.is_null().cum_sum().cast(pl.UInt32) - 1 + recording_id.drop_nulls().n_unique()
    return known.fill_null(alone).alias("recording")


def _frame_rows(clip_id: pl.Series, data: DataPaths) -> pl.Series:
    """The feature rows of the frames of each clip; null for a clip without. Ids of images are streamed."""
    images = parquet.read(data.images, columns=["image_id", "row"]).sort("row")
    row_of = pl.Enum(images["image_id"])  # the rows are 0, 1, 2, ... (ves.models.features)
    with parquet.naming(data.manifest):
        rows = pl.scan_parquet(data.manifest).select(
            "clip_id",
            frame_rows=pl.col("frame_ids").cast(pl.List(row_of), strict=False).to_physical().cast(pl.List(pl.UInt32)),
        )
        wanted = clip_id.to_frame("clip_id").lazy().join(rows, on="clip_id", how="left", maintain_order="left")
        frames = wanted.collect(engine="streaming")["frame_rows"]
    if (frames.list.drop_nulls().list.len() != frames.list.len()).any():
        raise ValueError(f"{data.images}: lacks frames of {data.manifest}; one stage writes both: run it again")
    return frames


def order(frame: pl.DataFrame, batch_size: int, seed: int) -> Order | RecordingOrder:
    """The order in which training reads these clips. Raises ValueError if there are too few recordings for a batch."""
    if "recording" not in frame.columns:
        return Order(len(frame), seed)
    return RecordingOrder(frame["recording"].to_numpy().astype(np.int64), batch_size, seed)


def check_frames(frame: pl.DataFrame) -> None:
    """Raise ValueError unless there are frames to draw from."""
    if "frame_rows" not in frame.columns:
        raise ValueError(
            "train.augment.frame: random, but no training clip of this corpus has several pictures (frame_ids of its "
            "manifest); set it to middle"
        )


def drawn(pairs: pl.DataFrame, seed: int, step: int, places: range) -> Int[np.ndarray, " B"]:
    """The feature row of one picture of each clip, drawn for its place in the batch of a step."""
    both = zip(pairs["image_row"].to_list(), pairs["frame_rows"].to_list(), places, strict=True)
    rows = [own if frames is None else any_frame(frames, seed, step, place) for own, frames, place in both]
    return np.array(rows, np.int64)


def numbers(pairs: pl.DataFrame) -> Int[Tensor, " B"] | None:
    """The number of the recording of each clip, None where there are none."""
    return torch.from_numpy(pairs["recording"].to_numpy().astype(np.int64)) if "recording" in pairs.columns else None
