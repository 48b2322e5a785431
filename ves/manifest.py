"""The parts of all shards joined: which clips are in, which image each is about, which images there are.

Parts are taken in the order of their paths and rows in the order of their source, so the order of the arguments does
not matter and the same parts give the same bytes. In memory a clip is a few numbers; its texts pass in a stream.
"""

import logging
from pathlib import Path

import polars as pl

from ves import parquet
from ves.files import atomic
from ves.references import LEVELS, resolve

log = logging.getLogger(__name__)

ROW_GROUP = 1 << 18
CLIP_COLUMNS = (
    "clip_id", "image_id", "language", "district", "state", "speaker", "duration_s", "shard", "row", "source_path",
    "given_split",
)  # fmt: skip
REFUSED_COLUMNS = ("item", "shard", "source_row", "source_path", "reason", "detail")


def merge(clip_parts: list[Path], image_parts: list[Path], manifest: Path, refused: Path, images: Path) -> None:
    """Write manifest.parquet, refused.parquet and images.parquet from the parts that ingest wrote.

    A clip is about the picture that its reference names (ves.references). Refused here are `image_missing`,
    `image_ambiguous`, `image_refused`, and `duplicate`: the same bytes as a clip accepted before it. Pictures of one
    content are one image under all their names. images.parquet has each image that some clip row refers to, accepted or
    not (what no clip mentions needs no features: one district refers to few of all pictures); `clips` counts the
    accepted ones. If a previous images.parquet is there and all its images still are, they keep their rows and new ones
    follow; else rows are numbered anew.
    """
    clip_parts = sorted(clip_parts)
    pictures = pl.concat([parquet.read(part) for part in sorted(image_parts)])
    contents = pictures.filter(pl.col("reason").is_null()).select("image_id").unique(maintain_order=True)
    references = pl.concat([parquet.read(part, ["image_reference"])["image_reference"].unique() for part in clip_parts])
    names = resolve(references.filter(references != ""), pictures)
    names = names.join(contents.with_row_index("image"), on="image_id", how="left", maintain_order="left")
    pairs = pl.concat([_pairs(part, number, names) for number, part in enumerate(clip_parts)])
    first = pairs["clip"].is_first_distinct()
    accepted, repeats = pairs.filter(first), _repeats(pairs.filter(first), pairs.filter(~first), clip_parts)
    decided = [_decided(part, names, repeats.filter(pl.col("part") == n)) for n, part in enumerate(clip_parts)]

    _write(_refused(decided, pictures), refused)
    clips = contents.with_row_index("image").join(accepted.group_by("image").len("clips"), on="image", how="left")
    listed = clips.join(names, on="image_id", how="semi").select("image_id", pl.col("clips").fill_null(0))
    _write(_images(listed, pictures, parquet.read(images, ["image_id", "row"]) if images.is_file() else None), images)
    with atomic(manifest) as temporary:
        chosen = [part.filter(pl.col("reason").is_null()).select(CLIP_COLUMNS) for part in decided]
        pl.concat(chosen).sink_parquet(temporary, row_group_size=ROW_GROUP)
    _log(names, pairs, accepted, contents)


def _write(frame: pl.DataFrame, path: Path) -> None:
    with atomic(path) as temporary:
        frame.write_parquet(temporary, row_group_size=ROW_GROUP)


def _pairs(part: Path, number: int, names: pl.DataFrame) -> pl.DataFrame:
    """The clips of a part that have their image, as numbers: clip (its hash), image, level, part, source_row."""
    clips = parquet.read(part, ["source_row", "reason", "clip_id", "image_reference"]).filter(
        pl.col("reason").is_null()
    )
    found = names.filter(pl.col("reason").is_null()).select("image_reference", "image", "level")
    return clips.join(found, on="image_reference", how="inner", maintain_order="left").select(
        pl.col("clip_id").str.decode("hex").bin.reinterpret(dtype=pl.UInt128, endianness="big").alias("clip"),
        "image",
        pl.col("level").cast(pl.Enum(list(LEVELS))),
        pl.lit(number, pl.UInt16).alias("part"),
        "source_row",
    )


def _repeats(accepted: pl.DataFrame, repeated: pl.DataFrame, clip_parts: list[Path]) -> pl.DataFrame:
    """Clips whose bytes came before: part, source_row, and in `repeats` where the first of them is."""
    shards = [parquet.read(part, ["shard"]).head(1) for part in clip_parts]
    shard = pl.concat([frame.with_columns(pl.lit(n, pl.UInt16).alias("part")) for n, frame in enumerate(shards)])
    origin = repeated.select("clip").unique().join(accepted, on="clip").join(shard, on="part")
    origin = origin.select("clip", pl.format("the bytes of {} row {}", "shard", "source_row").alias("repeats"))
    return repeated.join(origin, on="clip", how="left", maintain_order="left").select("part", "source_row", "repeats")


def _decided(part: Path, names: pl.DataFrame, repeats: pl.DataFrame) -> pl.LazyFrame:
    """The rows of a part with their image and the final word on each: `reason` is null where the clip is in."""
    renamed = {"reason": "image_reason", "detail": "image_detail"}
    named = names.lazy().select("image_reference", "image_id", "reason", "detail").rename(renamed)
    clips = pl.scan_parquet(part)
    if "given_split" not in clips.collect_schema():  # a part written before sources could give one
        clips = clips.with_columns(pl.lit(None, pl.String).alias("given_split"))
    clips = clips.join(named, on="image_reference", how="left", maintain_order="left")
    clips = clips.join(repeats.lazy().drop("part"), on="source_row", how="left", maintain_order="left")
    again = pl.when(pl.col("repeats").is_not_null()).then(pl.lit("duplicate"))
    own = pl.col("reason").is_not_null()
    return clips.with_columns(
        pl.coalesce("reason", "image_reason", again).alias("reason"),
        pl.when(own).then("detail").otherwise(pl.coalesce("image_detail", "repeats")).alias("detail"),
    )


def _refused(decided: list[pl.LazyFrame], pictures: pl.DataFrame) -> pl.DataFrame:
    """One row per clip and per picture that was not taken; clips first, in source order."""
    out = pl.col("reason").is_not_null()
    frames = [
        part.filter(out).with_columns(pl.lit("clip").alias("item")).select(REFUSED_COLUMNS).collect()
        for part in decided
    ]
    frames.append(pictures.filter(out).with_columns(pl.lit("image").alias("item")).select(REFUSED_COLUMNS))
    refused = pl.concat(frames)
    for item, reason, n in refused.group_by("item", "reason").len().sort("item", "reason").iter_rows():
        log.info("refused: %d of item %s for %s", n, item, reason)
    return refused


def _images(listed: pl.DataFrame, pictures: pl.DataFrame, previous: pl.DataFrame | None) -> pl.DataFrame:
    """The listed images (image_id, clips) with what is known of them and the rows they keep or are given."""
    files = pictures.filter(pl.col("reason").is_null()).group_by("image_id", maintain_order=True)
    known = files.agg(
        pl.col("source_path").unique(maintain_order=True).alias("source_paths"),
        pl.col("width", "height", "phash", "shard", "row_in_shard").first(),
    )
    found = known.join(listed, on="image_id", how="inner", maintain_order="left")
    rows = pl.DataFrame(schema={"image_id": pl.String, "row": pl.UInt32})
    if previous is not None and previous["image_id"].is_in(found["image_id"].implode()).all():
        rows = previous
    elif previous is not None:
        log.warning("images that were there are gone: rows are numbered anew, and features will be extracted again")
    new = found.join(rows, on="image_id", how="anti", maintain_order="left").select("image_id")
    start = 0 if rows.is_empty() else int(rows["row"].max()) + 1  # pyright: ignore[reportArgumentType]
    new = new.with_row_index("row", start).select("image_id", pl.col("row").cast(pl.UInt32))
    numbered = found.join(pl.concat([rows, new]), on="image_id", how="inner").sort("row")
    columns = ("image_id", "row", "width", "height", "phash", "source_paths", "clips", "shard", "row_in_shard")
    return numbered.with_columns(pl.col("clips").cast(pl.UInt32)).select(columns)


def _log(names: pl.DataFrame, pairs: pl.DataFrame, accepted: pl.DataFrame, contents: pl.DataFrame) -> None:
    for level in LEVELS:
        found = names.filter(pl.col("reason").is_null() & (pl.col("level") == level))
        log.info("by %s: %d references, %d clips", level, len(found), pairs.filter(pl.col("level") == level).height)
    log.info("%d references name no single picture", len(names.drop_nulls("reason")))
    log.info("%d clips of %d images; %d pictures seen", len(accepted), accepted["image"].n_unique(), len(contents))
