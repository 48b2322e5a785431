"""What the survey read of the hub (ves.sources.vaani.survey): the clips and pictures that are listed, without their
bytes.

A clip is a few numbers here, its texts are categories: 24 M of them are under a gigabyte.
"""

from pathlib import Path
from typing import Any

import polars as pl

from ves.base import parquet
from ves.base.progress import track
from ves.sources import labels
from ves.sources.references import LEVELS, resolve

TEXTS = ("language", "district", "image_reference")
LONGEST_S = 86_400.0  # a duration beyond that is of another unit, or damaged
ANY_LEVEL = list(LEVELS.values())[-1]  # names that are equal at any level are equal at the last, which compares least


def clips(
    files: list[dict[str, Any]], folder: Path, table: pl.DataFrame, chosen: dict[str, pl.Series] | None = None
) -> pl.DataFrame:
    """The clips of surveyed audio files, in order: one row each.

    `files` are entries of survey.json, `folder` holds their rows, `table` is that of spellings (ves.sources.labels). Of
    a file in `chosen` only those rows. Columns: file (its place in `files`), source_row, language, district,
    image_reference (the three as categories, "" is null), seconds, and exact: are they read from the source, or
    estimated. Raises ValueError that names a file which the survey has not read whole.
    """
    parts = []
    for number, file in enumerate(track(files, label="clips of the survey", unit=" shards")):
        frame = parquet.read(path := folder / f"{file['name']}.parquet")
        if len(frame) != file["rows"]:
            raise ValueError(f"{path}: {len(frame)} rows, but the survey lists {file['rows']}; run the survey again")
        if chosen and (rows := chosen.get(file["name"])) is not None:
            frame = frame.filter(pl.col("source_row").is_in(rows.implode()))
        told = (pl.col("duration_s") > 0) & (pl.col("duration_s") <= LONGEST_S)  # polars: NaN is more than any number
        parts.append(
            labels.normalise(frame, table).select(
                pl.lit(number, pl.UInt32).alias("file"),
                pl.col("source_row").cast(pl.UInt32),
                *(pl.col(name).replace("", None).cast(pl.Categorical) for name in TEXTS),
                pl.when(told).then("duration_s").otherwise("estimated_s").cast(pl.Float32).alias("seconds"),
                told.fill_null(False).alias("exact"),
            )
        )
    return pl.concat(parts)


def pictures(files: list[dict[str, Any]], folder: Path) -> pl.DataFrame:
    """The pictures of surveyed image files as ves.sources.references.resolve takes them: source_path, image_id, reason.

    What a picture shows is not known before it is there, so its path stands for its content: two paths to one content
    look ambiguous here, and are not when they are merged.
    """
    paths = [parquet.read(folder / f"{file['name']}.parquet", ["source_path"]) for file in files]
    return pl.concat(paths).select(
        "source_path",
        pl.col("source_path").str.strip_chars_start("/").alias("image_id"),
        pl.lit(None, pl.String).alias("reason"),
    )


def image_of(references: pl.Series, there: pl.DataFrame) -> pl.DataFrame:
    """The image that each distinct reference names: columns image_reference, level, image, reason.

    `image` is the picture's path; of an ambiguous reference, its bare name (its bearers may be copies of one picture);
    null where no picture bears the name.
    """
    names = resolve(references, there)
    bare = names.select(name="image_reference").select(pl.format("? {}", ANY_LEVEL).alias("bare"))["bare"]
    image = pl.when(pl.col("reason") == "image_ambiguous").then(bare).otherwise("image_id")
    return names.select("image_reference", "level", image.alias("image"), "reason")
