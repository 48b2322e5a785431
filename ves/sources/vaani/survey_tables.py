"""The clips and pictures in the tables of a survey (ves.sources.vaani.survey).

A clip takes a few numbers, because its texts are categories: 24 M clips are less than a gigabyte.
"""

from pathlib import Path
from typing import Any

import polars as pl

from ves.base import parquet
from ves.base.progress import track
from ves.sources import labels
from ves.sources.references import LEVELS, resolve

TEXTS = ("language", "district", "image_reference")
LONGEST_S = 86_400.0  # a longer duration is in another unit, or damaged
ANY_LEVEL = list(LEVELS.values())[-1]  # names that match at any level match at the last, the least strict


def clips(
    files: list[dict[str, Any]], folder: Path, table: pl.DataFrame, chosen: dict[str, pl.Series] | None = None
) -> pl.DataFrame:
    """The clips of surveyed audio files, in order: one row each.

    `files` are entries of survey.json, `folder` has their rows, `table` is that of spellings (ves.sources.labels). For
    a file in `chosen`, only those rows are read. Columns: file (its place in `files`), source_row, language, district,
    image_reference (all three categories; "" becomes null), seconds, and exact (false if the seconds are estimated).
    Raises ValueError that names a file of which the survey has not read every row.
    """
    parts = []
    for number, file in enumerate(track(files, label="clips of the survey", unit=" shards")):
        frame = parquet.read(path := folder / f"{file['name']}.parquet")
        if len(frame) != file["rows"]:
            raise ValueError(f"{path}: {len(frame)} rows, but the survey lists {file['rows']}; run the survey again")
        if chosen and (rows := chosen.get(file["name"])) is not None:
            frame = frame.filter(pl.col("source_row").is_in(rows.implode()))
        plausible = (pl.col("duration_s") > 0) & (
            pl.col("duration_s") <= LONGEST_S
        )  # to polars, NaN is greater than any number
        parts.append(
            labels.normalise(frame, table).select(
                pl.lit(number, pl.UInt32).alias("file"),
                pl.col("source_row").cast(pl.UInt32),
                *(pl.col(name).replace("", None).cast(pl.Categorical) for name in TEXTS),
                pl.when(plausible).then("duration_s").otherwise("estimated_s").cast(pl.Float32).alias("seconds"),
                plausible.fill_null(False).alias("exact"),
            )
        )
    return pl.concat(parts)


def pictures(files: list[dict[str, Any]], folder: Path) -> pl.DataFrame:
    """The pictures of surveyed files, as input for ves.sources.references.resolve: source_path, image_id, reason.

    The content of a picture is unknown before its download, so its path takes the place of image_id. Two paths to one
    content are ambiguous here, but not in the merge.
    """
    paths = [parquet.read(folder / f"{file['name']}.parquet", ["source_path"]) for file in files]
    return pl.concat(paths).select(
        "source_path",
        pl.col("source_path").str.strip_chars_start("/").alias("image_id"),
        pl.lit(None, pl.String).alias("reason"),
    )


def image_of(references: pl.Series, there: pl.DataFrame) -> pl.DataFrame:
    """The image that each distinct reference names: columns image_reference, level, image, reason.

    `image` is the path of the picture. For an ambiguous reference it is the bare name, since all pictures of that name
    may be copies. It is null if no picture matches.
    """
    names = resolve(references, there)
    bare = names.select(name="image_reference").select(pl.format("? {}", ANY_LEVEL).alias("bare"))["bare"]
    image = pl.when(pl.col("reason") == "image_ambiguous").then(bare).otherwise("image_id")
    return names.select("image_reference", "level", image.alias("image"), "reason")
