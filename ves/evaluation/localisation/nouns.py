"""Every spoken noun that names an object, with that object: the cases by which localisation is judged."""

from pathlib import Path

import polars as pl

from ves.base import parquet
from ves.config.experiment import DataPaths
from ves.evaluation.truth import objects, words
from ves.store.embeddings import Embeddings


def _located(embeddings: Embeddings, data: DataPaths) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Where the clips and the images of the embeddings come from, each with its row there (clip_row, image_row)."""
    clips = pl.DataFrame({"clip_id": embeddings.clip_id, "image_row": embeddings.clip_image.tolist()})
    images = pl.DataFrame({"image_id": embeddings.image_id})
    manifest = parquet.read(data.manifest, columns=["clip_id", "shard", "source_path", "language"])
    pictures = parquet.read(data.images, columns=["image_id", "shard", "width", "height"])
    clips = clips.with_row_index("clip_row").join(manifest, on="clip_id", how="inner").sort("clip_id")
    images = images.with_row_index("image_row").cast({"image_row": pl.Int64}).join(pictures, on="image_id", how="inner")
    if (len(clips), len(images)) != (len(embeddings.clip_id), len(embeddings.image_id)):
        raise ValueError(
            f"{data.manifest}: lacks clips of the embeddings of {embeddings.attrs['run']}; embed them again"
        )
    return clips, images


def _joined(named: pl.DataFrame) -> pl.DataFrame:
    """Words of one clip about one object that follow each other, taken together."""
    goes_on = pl.col("word") == pl.col("word").shift(1) + 1
    for column in ("clip_row", "object"):
        goes_on &= pl.col(column) == pl.col(column).shift(1)
    runs = named.with_columns(run=(~goes_on).fill_null(True).cum_sum()).group_by("run", maintain_order=True)
    return runs.agg(pl.exclude("text", "end_s").first(), pl.col("text").str.join(" "), pl.col("end_s").last()).drop(
        "run"
    )


def nouns(embeddings: Embeddings, data: DataPaths, truth: Path) -> pl.DataFrame:
    """Every spoken noun that names an object, with that object, in the order of clip_id, then as spoken.

    A noun of several words that follow each other is one noun, from the start of the first to the end of the last.
    Columns: those of WORDS and OBJECTS, the clip's language, clip_row and image_row (rows of the embeddings), width and
    height of the picture, and `masks_of_kind`: of all objects of this kind in the picture, the named one too. Raises
    NoTruth, or ValueError when the files are not of one making.
    """
    clips, images = _located(embeddings, data)
    named = _joined(words(truth, clips).filter(pl.col("role") == "noun", pl.col("object") >= 0))
    there = objects(truth, images).sort("image_id", "object")
    of_kind = there.group_by("image_id", "kind", maintain_order=True).agg(masks_of_kind="mask")
    there = there.join(of_kind, on=["image_id", "kind"], how="left")
    shown = images.drop("shard").join(there, on="image_id", how="left")
    found = named.join(shown, on=["image_row", "object"], how="left", maintain_order="left")
    if found["kind"].null_count():
        row = found.filter(pl.col("kind").is_null()).row(0, named=True)
        raise ValueError(f"{truth}: {row['source_path']} names object {row['object']}, which its picture does not have")
    return found
