"""What only evaluation and figures may open: when each word is said and which pixels each object covers.

One parquet file per source shard (data/<corpus>/truth/<shard>.parquet): words for a shard of audio, objects for a shard
of images. A corpus need not have any: that is NoTruth. Having it for some shards only is a fault.
"""

import io
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Bool
from PIL import Image

from ves import parquet
from ves.config import DataPaths
from ves.embeddings import Embeddings

WORDS = ["source_path", "word", "text", "english", "role", "object", "start_s", "end_s"]
TRANSCRIPTS = ["clip_id", "transcript"]
OBJECTS = ["image_id", "object", "kind", "colour", "visible_pixels", "mask"]


class NoTruth(LookupError):
    """This corpus does not say it, which is no fault; the message tells what is not known."""


def _read(truth: Path, shards: list[str], columns: list[str], what: str) -> pl.DataFrame:
    """The named columns of the shards' files, with the shard of each row."""
    files = {shard: truth / f"{shard}.parquet" for shard in sorted(set(shards))}
    missing = [file for file in files.values() if not file.is_file()]
    if len(missing) == len(files):
        raise NoTruth(f"this corpus has no {what}")
    if missing:
        raise FileNotFoundError(f"{missing[0]}: absent, while other shards have {what}; make that shard again")
    for file in files.values():
        with parquet.naming(file):
            there = pl.read_parquet_schema(file)
        if lacking := [name for name in columns if name not in there]:
            raise NoTruth(f"this corpus has no {what}: its truth has no column {', '.join(lacking)}")
    tables = [parquet.read(file, columns=columns).with_columns(shard=pl.lit(shard)) for shard, file in files.items()]
    return pl.concat(tables)


def words(truth: Path, clips: pl.DataFrame) -> pl.DataFrame:
    """Words of the clips (columns shard, source_path; others are kept), in the order of the clips, then as spoken.

    Raises NoTruth when the corpus has no word timings, ValueError when it has, but none for these clips.
    """
    found = _read(truth, clips["shard"].to_list(), WORDS, "word timings").sort("word", maintain_order=True)
    joined = clips.join(found, on=["shard", "source_path"], how="inner", maintain_order="left_right")
    if joined.is_empty():
        raise ValueError(
            f"{truth}: no word of {len(clips)} clips; corpus and truth are of two makings: make both again"
        )
    return joined


def noise(truth: Path, clips: pl.DataFrame) -> pl.DataFrame:
    """The clips (columns shard, source_path; others are kept) with snr_db, by how much speech is louder than noise.

    Null where it is not known of a clip. Raises NoTruth when the corpus does not say it of any.
    """
    found = _read(truth, clips["shard"].to_list(), ["source_path", "snr_db"], "noise levels")
    found = found.unique(["shard", "source_path"], keep="first", maintain_order=True)
    return clips.join(found, on=["shard", "source_path"], how="left", maintain_order="left")


def transcripts(truth: Path, clips: pl.DataFrame) -> dict[str, str]:
    """What somebody wrote down of the clips (columns shard, clip_id), by clip_id, where they did.

    Raises NoTruth when the corpus has no transcripts.
    """
    found = _read(truth, clips["shard"].to_list(), TRANSCRIPTS, "transcripts")
    return dict(found.join(clips, on="clip_id", how="semi").select(TRANSCRIPTS).iter_rows())


def objects(truth: Path, images: pl.DataFrame) -> pl.DataFrame:
    """Objects of the images (columns shard, image_id), once each though a picture may stand in the source twice.

    Raises NoTruth when the corpus has no object masks.
    """
    found = _read(truth, images["shard"].to_list(), OBJECTS, "object masks").drop("shard")
    wanted = found.join(images.select("image_id"), on="image_id", how="semi", maintain_order="left")
    return wanted.unique(["image_id", "object"], keep="first", maintain_order=True)


def decode_mask(encoded: bytes) -> Bool[np.ndarray, "H W"]:
    """Pixels of one object, at the picture's own resolution."""
    with Image.open(io.BytesIO(encoded)) as picture:
        return np.asarray(picture).astype(bool)


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
