"""Merges the parts of all shards: which clips are accepted, which image each is about, and which images there are.

Parts are sorted by path, and rows stay in the order of their source. So the order of the arguments does not matter, and
the same parts give the same bytes. In memory a clip is a few numbers, one for each of its frames; its texts are
streamed.
"""

import logging
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from ves.base import ids, parquet
from ves.base.files import atomic
from ves.corpus import recordings
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
RECORDING_COLUMNS = ("recording_id", "segment", "frame_ids")  # of the manifest, where a part has ves.corpus.recordings'


def merge(
    clip_parts: list[Path], image_parts: list[Path], manifest: Path, refused: Path, images: Path,
    spellings: Path | None = None,
) -> None:  # fmt: skip
    """Write manifest.parquet, refused.parquet and images.parquet from the parts that ingest wrote.

    A clip is about the picture that its reference names (ves.sources.references). The reasons for a refusal here are
    `image_missing`, `image_ambiguous`, `image_refused`, and `duplicate` (the same bytes as a clip accepted before it).
    Labels get the spelling of the table `spellings` (ves.sources.labels). Pictures with the same content are one image
    with several names. If a part says of recordings what ves.corpus.recordings lists, the manifest has three columns
    more: recording_id, segment, and frame_ids, the images of the clip's frames in their order; they are null for clips
    of which nothing is said. A clip is refused, for the reasons above, if the name of a frame names no image.

    images.parquet has every image that any clip row refers to, accepted or not, and all frames of clips that ingest
    accepted; its column `clips` counts the accepted clips about an image, as whose frame alone it does not count. A
    picture that no clip names needs no features (one district names few of all pictures). If an earlier
    images.parquet exists and all its images still do, they keep their rows and new ones follow; otherwise all rows are
    numbered again. Raises ValueError that names a damaged part, or says what is wrong with the table.
    """
    table, clip_parts = labels.read(spellings), sorted(clip_parts)
    pictures = pl.concat([parquet.read(part) for part in sorted(image_parts)])
    contents = pictures.filter(pl.col("reason").is_null())["image_id"].unique(maintain_order=True)
    with parquet.naming_one_of(clip_parts, list(PART)):
        scan = _scan(clip_parts)
        names = _names(scan, pictures, contents)
        rows = _rows(scan, names)
        _log(names, rows, contents)
        repeats = _repeats(rows)
        image = rows.select(pl.when("accepted").then("image").alias("image"), pl.col("^(frame_ids|blame)$"))
        del rows  # most of the memory, and no longer needed
        _write(_refused(scan, image, names, repeats, pictures), refused)
        log.info("all refused rows are in %s", refused)
        with atomic(manifest) as temporary:
            clips = _clips(scan, image.select(pl.exclude("blame")), contents, table)
            clips.sink_parquet(temporary, row_group_size=ROW_GROUP, compression_level=1)  # no larger, a quarter faster
    _log_labels(table, manifest)
    about = image.drop_nulls("image").group_by("image").len("clips")
    clips_of = pl.DataFrame({"image_id": contents}).with_row_index("image").join(about, on="image", how="left")
    counted = clips_of.join(names, on="image_id", how="semi").select("image_id", pl.col("clips").fill_null(0))
    _write(_images(counted, pictures, parquet.read(images, ["image_id", "row"]) if images.is_file() else None), images)


def _scan(parts: list[Path]) -> pl.LazyFrame:
    """All rows of the parts, in order; with ves.corpus.recordings.COLUMNS if any part has them, null in the others."""

    def scan(some: list[Path], schema: dict[str, Any]) -> pl.LazyFrame:
        return pl.scan_parquet(some, schema=schema, extra_columns="ignore", glob=False)

    runs = [(has, list(run)) for has, run in groupby(parts, lambda part: "frames" in pl.read_parquet_schema(part))]
    if not any(has for has, _ in runs):
        return scan(parts, PART)
    nothing = [pl.lit(None, kind).alias(name) for name, kind in recordings.COLUMNS.items()]
    return pl.concat(
        scan(run, PART | recordings.COLUMNS) if has else scan(run, PART).with_columns(nothing) for has, run in runs
    )


def _clips(scan: pl.LazyFrame, image: pl.DataFrame, contents: pl.Series, table: pl.DataFrame) -> pl.LazyFrame:
    """The manifest: the rows of the parts that have an image."""
    clips = _beside(scan, image).drop_nulls("image").with_columns(image_id=_ids(pl.col("image"), contents))
    wanted = CLIP_COLUMNS
    if "frame_ids" in image.columns:
        clips = clips.with_columns(pl.col("frame_ids").list.eval(_ids(pl.element(), contents)))
        wanted += RECORDING_COLUMNS
    return labels.normalise(clips, table).select(wanted)


def _ids(image: pl.Expr, contents: pl.Series) -> pl.Expr:
    """The ids of images from their index among the contents."""
    return image.cat.to(pl.Enum(contents)).cast(pl.String)


def _write(frame: pl.DataFrame, path: Path) -> None:
    with atomic(path) as temporary:
        frame.write_parquet(temporary, row_group_size=ROW_GROUP)


def _beside(scan: pl.LazyFrame, columns: pl.DataFrame) -> pl.LazyFrame:
    """All rows of the parts with more columns, row by row."""
    return pl.concat([scan, columns.lazy()], how="horizontal")


def _names(scan: pl.LazyFrame, pictures: pl.DataFrame, contents: pl.Series) -> pl.DataFrame:
    """How ves.sources.references resolves each reference and each name of a frame, sorted by this name, with the index
    of its image among the contents."""
    texts = [pl.col("image_reference")]
    if "frames" in scan.collect_schema():
        texts.append(pl.col("frames").explode().alias("image_reference"))
    found = pl.collect_all([scan.select(text.drop_nulls().unique()) for text in texts], engine="streaming")
    references = pl.concat(found).to_series()
    names = resolve(references.filter(references != ""), pictures)
    places = pl.DataFrame({"image_id": contents}).with_row_index("image")
    return names.join(places, on="image_id", how="left").sort("image_reference")


def _rows(scan: pl.LazyFrame, names: pl.DataFrame) -> pl.DataFrame:
    """Every row of the parts as numbers: clip (its hash), shard, source_row; if ingest accepted it, name (the index of
    its reference) and image (if it has one); and `accepted`, the decision of the merge. Where the parts have frames,
    also what `_with_frames` adds."""
    kind, has_frames = pl.Enum(names["image_reference"]), "frames" in scan.collect_schema()
    numbers = [pl.col("image_reference").cast(kind, strict=False).to_physical().alias("name")]
    if has_frames:
        numbers.append(pl.col("frames").cast(pl.List(kind), strict=False).to_physical())
    rows = scan.select(
        "source_row",
        pl.col("shard").cast(pl.Categorical),
        ids.number("clip_id").alias("clip"),
        *(pl.when(pl.col("reason").is_null()).then(number) for number in numbers),
    ).collect(engine="streaming")
    rows = rows.with_columns(names["image"].gather(rows["name"]).alias("image"))
    if has_frames:
        rows = _with_frames(rows, names["image"])
    imaged = pl.col("image").is_not_null()
    return rows.with_columns(accepted=imaged & pl.when(imaged).then("clip").is_first_distinct())


def _with_frames(rows: pl.DataFrame, image_of: pl.Series) -> pl.DataFrame:
    """The rows with frame_ids, the images of their frames (null without frames), in place of `frames`, the indices of
    their names. If a name is of no image, the row has no image either, and `blame` is the index of the name."""
    rows = rows.with_row_index("index")
    flat = rows.select("index", blame="frames").explode("blame").drop_nulls("blame")
    flat = flat.with_columns(image_of.gather(flat["blame"]).alias("frame_ids"))
    first = flat.filter(pl.col("frame_ids").is_null()).unique("index", keep="first", maintain_order=True)
    images = flat.select("index", "frame_ids").group_by("index", maintain_order=True).all()
    rows = rows.drop("frames").join(images, on="index", how="left", maintain_order="left")
    rows = rows.join(first.select("index", "blame"), on="index", how="left", maintain_order="left").drop("index")
    blame = pl.when(pl.col("image").is_not_null()).then("blame")  # otherwise the reference itself is at fault
    return rows.with_columns(blame, pl.when(pl.col("blame").is_null()).then("image"))


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
    clips = out.select("index", "image_reference", *REFUSED_COLUMNS[1:], pl.col("^blame$")).collect(engine="streaming")
    if "blame" in clips.columns:  # a frame, not the picture of the reference
        frame = names["image_reference"].gather(clips["blame"])
        clips = clips.with_columns(pl.coalesce(frame, "image_reference").alias("image_reference"))
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
