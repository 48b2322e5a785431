"""Clips that people look at: where they are in a run's embeddings, what is said in them, which picture they mean."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from PIL import Image

from ves.base import parquet
from ves.config.experiment import DataPaths
from ves.evaluation.truth import NoTruth, words
from ves.media import images
from ves.store.embeddings import Embeddings

log = logging.getLogger(__name__)

Row = Mapping[str, Any]  # of a table
Told = Mapping[str, Sequence[Row]]  # the words of each clip, as spoken, by clip_id


def located(stored: Embeddings, data: DataPaths) -> pl.DataFrame:
    """Validation clips with their row in the embeddings and where clip and picture come from.

    Raises ValueError when the manifest lacks one of them.
    """
    held = pl.DataFrame({"clip_id": stored.clip_id, "image_row": stored.clip_image.tolist()}).with_row_index("clip_row")
    held = held.with_columns(image_id=pl.Series(stored.image_id).gather(held["image_row"]))
    clips = parquet.read(data.manifest, columns=["clip_id", "shard", "row", "source_path", "language"])
    pictures = parquet.read(data.images, columns=["image_id", "shard", "row_in_shard"])
    found = held.join(clips, on="clip_id").join(pictures.rename({"shard": "image_shard"}), on="image_id")
    if len(found) != len(held):
        raise ValueError(f"{data.manifest}: lacks clips of the embeddings of {stored.attrs['run']}; embed them again")
    return found


def told(truth: Path, clips: pl.DataFrame) -> Told:
    """What is said in each clip; empty where the corpus has no word timings."""
    try:
        rows = words(truth, clips)
    except NoTruth as reason:
        log.info("%s: the figures show moments of sharpest similarity", reason)
        return {}
    return {str(clip): group.to_dicts() for (clip,), group in rows.group_by("clip_id", maintain_order=True)}


def picture(pictures: Path, clip: Row) -> Image.Image:
    """The picture of a row of `located`, upright. Raises ValueError when the file holds another one."""
    ((held, encoded),) = images.read_encoded(pictures, clip["image_shard"], [clip["row_in_shard"]])
    if held != clip["image_id"]:
        raise ValueError(f"{pictures}/{clip['image_shard']}.parquet: not the pictures of images.parquet; ingest again")
    return images.decode(encoded)
