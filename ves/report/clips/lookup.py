"""What figures look up in a corpus: where a clip and its picture lie, what is said in it, what its picture shows."""

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Int16
from PIL import Image

from ves.base import parquet
from ves.config.experiment import DataPaths
from ves.evaluation import truth as truths
from ves.evaluation.truth import NoTruth
from ves.media import images
from ves.media.audio import RATE
from ves.report.clips.spoken import Spoken
from ves.store.audio import AudioStore
from ves.store.embeddings import Embeddings

log = logging.getLogger(__name__)

Row = Mapping[str, Any]  # of the table of clips


class Corpus:
    """The clips of some embeddings, and what the corpus knows of them.

    `truth` need not be there: what it lacks (words, masks, transcripts) is then empty.
    """

    def __init__(self, stored: Embeddings, data: DataPaths, pictures: Path, truth: Path) -> None:
        """Raises ValueError when the manifest lacks a clip of the embeddings."""
        self.pictures, self.truth, self._manifest = pictures, truth, Path(data.manifest)
        self.table = _table(stored, data)
        self.clips: dict[str, Row] = {row["clip_id"]: row for row in self.table.iter_rows(named=True)}
        self.audio = AudioStore(Path(data.audio))

    @cached_property
    def phrases(self) -> Mapping[str, Sequence[Spoken]]:
        """What is said in each clip, by clip_id; empty where the corpus has no word timings."""
        try:
            rows = truths.phrases(self.truth, self.table)
        except NoTruth as reason:
            log.info("%s: figures show moments instead of words", reason)
            return {}
        of_clip = rows.group_by("clip_id", maintain_order=True)
        return {str(clip): [_spoken(row) for row in group.iter_rows(named=True)] for (clip,), group in of_clip}

    @cached_property
    def masks(self) -> Mapping[tuple[str, int], bytes]:
        """Encoded masks of the objects that can be seen, by image_id and object; empty where the corpus has none."""
        try:
            rows = truths.objects(self.truth, self.table.select("image_id", shard="image_shard").unique())
        except NoTruth:
            return {}
        visible = rows.filter(pl.col("visible_pixels") > 0)
        return {(row["image_id"], row["object"]): row["mask"] for row in visible.iter_rows(named=True)}

    @cached_property
    def transcripts(self) -> Mapping[str, str]:
        """What somebody wrote down of a clip, by clip_id; empty where the corpus has no transcripts."""
        try:
            return truths.transcripts(self.truth, self.table, self._manifest)
        except NoTruth:
            return {}

    def picture(self, clip: Row) -> Image.Image:
        """The picture of a clip, upright. Raises ValueError when the file has another one in its place."""
        ((image_id, encoded),) = images.read_encoded(self.pictures, clip["image_shard"], [clip["row_in_shard"]])
        if image_id != clip["image_id"]:
            file = f"{self.pictures}/{clip['image_shard']}.parquet"
            raise ValueError(f"{file}: not the pictures of images.parquet; ingest again")
        return images.decode(encoded)

    def samples(self, clip: Row, seconds: float) -> Int16[np.ndarray, " n"]:
        """The first `seconds` of a clip, at 16 kHz."""
        return self.audio.read(clip["shard"], clip["row"], round(seconds * RATE))


def _table(stored: Embeddings, data: DataPaths) -> pl.DataFrame:
    """A row for each clip of the embeddings, in their order: its row there, and where clip and picture lie."""
    embedded = pl.DataFrame({"clip_id": stored.clip_id, "image_row": stored.clip_image.tolist()})
    embedded = embedded.with_row_index("clip_row")
    embedded = embedded.with_columns(image_id=pl.Series(stored.image_id).gather(embedded["image_row"]))
    clips = parquet.read(data.manifest, columns=["clip_id", "shard", "row", "source_path", "language"])
    pictures = parquet.read(data.images, columns=["image_id", "shard", "row_in_shard"])
    table = embedded.join(clips, on="clip_id").join(pictures.rename({"shard": "image_shard"}), on="image_id")
    if len(table) != len(embedded):
        raise ValueError(f"{data.manifest}: lacks clips of the embeddings of {stored.attrs['run']}; embed them again")
    return table.sort("clip_row")


def _spoken(row: Row) -> Spoken:
    return Spoken(row["text"], row["english"], row["role"], row["object"], row["start_s"], row["end_s"])
