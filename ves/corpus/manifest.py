"""Merges the parts of all shards: which clips are accepted, which image each is about, and which images there are.

Parts are sorted by path, and rows stay in the order of their source. So the order of the arguments does not matter, and
the same parts give the same bytes. In memory a clip is a few numbers; its texts are streamed.
"""

import logging
from pathlib import Path

import polars as pl

from ves.base import ids, parquet
from ves.base.files import atomic
from ves.sources import labels
from ves.sources.references import LEVELS, resolve

log = logging.getLogger(__name__)

ROW_GROUP = 1 << 18
CLIP_COLUMNS = (
    "clip_id", "image_id", "language", "district", "state", "speaker", "duration_s", "shard", "row", "source_path",
    "given_split", "language_raw", "district_raw", "state_raw",
)  # fmt: skip
REFUSED_COLUMNS = ("item", "shard", "source_row", "source_path", "reason", "detail")
PART = dict.fromkeys(  # the columns that are read from a part of clips
    ("clip_id", "image_reference", "reason", "detail", "language", "district", "state", "speaker", "shard",
     "source_path", "given_split"), pl.String,
) | {"source_row": pl.UInt32, "row": pl.UInt32, "duration_s": pl.Float64}  # fmt: skip


def merge(
    clip_parts: list[Path], image_parts: list[Path], manifest: Path, refused: Path, images: Path,
    spellings: Path | None = None,
) -> None:  # fmt: skip
    """Write manifest.parquet, refused.parquet and images.parquet from the parts that ingest wrote.

    A clip is about the picture that its reference names (ves.sources.references). The reasons for a refusal here are
    `image_missing`, `image_ambiguous`, `image_refused`, and `duplicate` (the same bytes as a clip accepted before it).
    Labels get the spelling of the table `spellings` (ves.sources.labels). Pictures with the same content are one image
    with several names.

    images.parquet has every image that any clip row refers to, accepted or not; its column `clips` counts the accepted
    ones. A picture that no clip names needs no features (one district names few of all pictures). If an earlier
    images.parquet exists and all its images still do, they keep their rows and new ones follow; otherwise all rows are
    numbered again. Raises ValueError that names a damaged part, or says what is wrong with the table.
    """
    table, clip_parts = labels.read(spellings), sorted(clip_parts)
    pictures = pl.concat([parquet.read(part) for part in sorted(image_parts)])
    contents = pictures.filter(pl.col("reason").is_null())["image_id"].unique(maintain_order=True)
    scan = pl.scan_parquet(clip_parts, schema=PART, extra_columns="ignore", glob=False)
    with parquet.naming_one_of(clip_parts, list(PART)):
        names = _names(scan, pictures, contents)
        rows = _rows(scan, names)
        _log(names, rows, contents)
        repeats, image = _repeats(rows), rows.select(image=pl.when("accepted").then("image"))
        del rows  # most of the memory, and no longer needed
        _write(_refused(scan, image, names, repeats, pictures), refused)
        log.info("all refused rows are in %s", refused)
        with atomic(manifest) as temporary:
            clips = _beside(scan, image).drop_nulls("image")
            clips = clips.with_columns(image_id=pl.col("image").cat.to(pl.Enum(contents)).cast(pl.String))
            clips = labels.normalise(clips, table).select(CLIP_COLUMNS)
            clips.sink_parquet(temporary, row_group_size=ROW_GROUP, compression_level=1)  # no larger, a quarter faster
    _log_labels(table, manifest)
    about = image.drop_nulls().group_by("image").len("clips")
    clips_of = pl.DataFrame({"image_id": contents}).with_row_index("image").join(about, on="image", how="left")
    counted = clips_of.join(names, on="image_id", how="semi").select("image_id", pl.col("clips").fill_null(0))
    _write(_images(counted, pictures, parquet.read(images, ["image_id", "row"]) if images.is_file() else None), images)


def _write(frame: pl.DataFrame, path: Path) -> None:
    with atomic(path) as temporary:
        frame.write_parquet(temporary, row_group_size=ROW_GROUP)


def _beside(scan: pl.LazyFrame, columns: pl.DataFrame) -> pl.LazyFrame:
    """All rows of the parts with more columns, row by row."""
    return pl.concat([scan, columns.lazy()], how="horizontal")


def _names(scan: pl.LazyFrame, pictures: pl.DataFrame, contents: pl.Series) -> pl.DataFrame:
    """How ves.sources.references resolves each reference, sorted by reference, with the index of its image among the
    contents."""
    references = scan.select(pl.col("image_reference").drop_nulls().unique()).collect(engine="streaming").to_series()
    names = resolve(references.filter(references != ""), pictures)
    places = pl.DataFrame({"image_id": contents}).with_row_index("image")
    return names.join(places, on="image_id", how="left").sort("image_reference")


def _rows(scan: pl.LazyFrame, names: pl.DataFrame) -> pl.DataFrame:
    """Every row of the parts as numbers: clip (its hash), shard, source_row; if ingest accepted it, name (the index of
    its reference) and image (if it has one); and `accepted`, the decision of the merge."""
    name = pl.col("image_reference").cast(pl.Enum(names["image_reference"]), strict=False).to_physical()
    rows = scan.select(
        "source_row",
        pl.col("shard").cast(pl.Categorical),
        ids.number("clip_id").alias("clip"),
        pl.when(pl.col("reason").is_null()).then(name).alias("name"),
    ).collect(engine="streaming")
    rows = rows.with_columns(names["image"].gather(rows["name"]).alias("image"))
    imaged = pl.col("image").is_not_null()
    return rows.with_columns(accepted=imaged & pl.when(imaged).then("clip").is_first_distinct())


def _repeats(rows: pl.DataFrame) -> pl.DataFrame:
    """Clips with the bytes of an earlier one: index of the row, and `repeats`, which says where the first one is."""
    again = rows.with_row_index("index").filter(pl.col("image").is_not_null(), ~pl.col("accepted"))
    again = again.select("index", "clip")
    first = rows.lazy().filter("accepted").join(again.lazy().select("clip").unique(), on="clip", how="semi")
    first = first.select("clip", pl.format("the bytes of {} row {}", "shard", "source_row").alias("repeats"))
    return again.join(first.collect(engine="streaming"), on="clip", how="left").select("index", "repeats")


def _refused(
    scan: pl.LazyFrame, image: pl.DataFrame, names: pl.DataFrame, repeats: pl.DataFrame, pictures: pl.DataFrame
) -> pl.DataFrame:
    """One row for each refused clip and picture; clips first, in source order."""
    out = _beside(scan.with_row_index("index"), image).filter(pl.col("image").is_null())
    clips = out.select("index", "image_reference", *REFUSED_COLUMNS[1:]).collect(engine="streaming")
    because = names.select("image_reference", image_reason="reason", image_detail="detail")
    clips = clips.join(because, on="image_reference", how="left", maintain_order="left")
    clips = clips.join(repeats, on="index", how="left", maintain_order="left")
    own = pl.col("reason").is_not_null()
    again = pl.when(pl.col("repeats").is_not_null()).then(pl.lit("duplicate"))
    clips = clips.with_columns(
        pl.coalesce("reason", "image_reason", again, pl.lit("no_reference")).alias("reason"),
        pl.when(own).then("detail").otherwise(pl.coalesce("image_detail", "repeats")).alias("detail"),
    )
    frames = {"clip": clips, "image": pictures.filter(own)}
    refused = pl.concat([part.with_columns(item=pl.lit(item)).select(REFUSED_COLUMNS) for item, part in frames.items()])
    for item, reason, n in refused.group_by("item", "reason").len().sort("item", "reason").iter_rows():
        log.info("refused: %d %s for %s", n, {"clip": "clips", "image": "pictures"}[item], reason)
    return refused


def _images(counted: pl.DataFrame, pictures: pl.DataFrame, previous: pl.DataFrame | None) -> pl.DataFrame:
    """The counted images (image_id, clips) with their other columns, and with the rows that they keep or get."""
    files = pictures.filter(pl.col("reason").is_null()).group_by("image_id", maintain_order=True)
    known = files.agg(
        pl.col("source_path").unique(maintain_order=True).alias("source_paths"),
        pl.col("width", "height", "phash", "shard", "row_in_shard").first(),
    )
    images = known.join(counted, on="image_id", how="inner", maintain_order="left")
    rows = pl.DataFrame(schema={"image_id": pl.String, "row": pl.UInt32})
    if previous is not None and previous["image_id"].is_in(images["image_id"].implode()).all():
        rows = previous
    elif previous is not None:
        log.warning("some images no longer exist: all rows are numbered again, and features will be extracted again")
    new = images.join(rows, on="image_id", how="anti", maintain_order="left").select("image_id")
    start = 0 if rows.is_empty() else int(rows["row"].max()) + 1  # pyright: ignore[reportArgumentType]
    new = new.with_row_index("row", start).select("image_id", pl.col("row").cast(pl.UInt32))
    numbered = images.join(pl.concat([rows, new]), on="image_id", how="inner").sort("row")
    columns = ("image_id", "row", "width", "height", "phash", "source_paths", "clips", "shard", "row_in_shard")
    return numbered.with_columns(pl.col("clips").cast(pl.UInt32)).select(columns)


def _log(names: pl.DataFrame, rows: pl.DataFrame, contents: pl.Series) -> None:
    clips = rows.drop_nulls("image").group_by("name").agg(pl.len().alias("clips"))
    resolved = names.with_row_index("name").filter(pl.col("reason").is_null()).join(clips, on="name", how="left")
    for level in LEVELS:
        matched = resolved.filter(pl.col("level") == level)
        log.info("by %s: %d references, %d clips", level, len(matched), matched["clips"].sum())
    log.info("%d references do not name exactly one picture", len(names.drop_nulls("reason")))
    accepted = rows.filter("accepted")["image"]
    log.info("%d clips of %d images; %d distinct pictures in all", len(accepted), accepted.n_unique(), len(contents))


def _log_labels(table: pl.DataFrame, manifest: Path) -> None:
    if table.is_empty():
        return
    changed = labels.changes(pl.scan_parquet(manifest))
    for column, old, new, clips in changed.iter_rows():
        log.info("%s %s is now spelt %s: %d clips", column, old, new, clips)
    unused = len(table.join(changed, on=["column", "old", "new"], how="anti"))
    log.info("%d of %d entries of the table of spellings match no clip", unused, len(table))
