"""The splits: which clips are trained on, which serve for choices, which are reported on, and which are dropped.

Speakers are held out first, then images; the other order would leave almost nothing. A picture and its near-duplicates
(ves.corpus.near_duplicates) count as one image here, and so do all pictures of the clips of one recording
(ves.corpus.recordings). Train shares no image, no near-duplicate and no recording with tune or val, and no known
speaker. Every random choice is a hash of an id and the seed, so the order of the rows never matters. Clips are
handled as numbers (`compact`), because the texts of 24 M clips would fill a workstation.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Int64

from ves.base import ids, parquet
from ves.base.files import atomic
from ves.base.hashing import chance_of_names
from ves.config.experiment import SplitConfig
from ves.corpus import recordings
from ves.corpus.held_out_pairs import HELD_OUT, draw, given_pairs, kept_out, left_to_draw, speakers_to_hold_out
from ves.corpus.near_duplicates import groups, joined
from ves.sources import labels
from ves.sources.labels import strata

log = logging.getLogger(__name__)

GIVEN = ("train", "tune", "val", HELD_OUT)  # splits that a corpus may give
SPLITS = pl.Enum(["train", "tune", "val", "val_more", "dropped"])
REASONS = pl.Enum(["tune_image", "speaker_held_out", "image_held_out"])
# takes the clips of `assign`, ves.sources.labels.changes of the manifest, and `changes` since the previous split
Page = Callable[[pl.DataFrame, pl.DataFrame, pl.DataFrame | None], None]
MOST = 0.2  # of the images in one group of recordings; more, and the log warns of it
COLUMNS = ("clip_id", "split", "stratum", "reason", "speaker_seen")


def compact(manifest: pl.LazyFrame, images: pl.DataFrame, near_duplicate_bits: int) -> pl.DataFrame:
    """The clips of a manifest, sorted by clip_id: clip_id (ves.base.ids), language, speaker and given_split (each an
    Enum), image (its index in the order of image_id), group (the least such index among all images that count as one
    with it).

    Raises ValueError if `images` (image_id, phash) lacks an image of a clip.
    """
    images = images.select("image_id", "phash").sort("image_id")
    alike = groups(images["phash"].to_numpy(), near_duplicate_bits)
    log.info("%d images, %d without near-duplicates; the largest group has %d", len(images), *_sizes(alike))
    texts = ("language", "speaker", "given_split")
    values = pl.collect_all([manifest.select(pl.col(text).drop_nulls().unique()) for text in texts], engine="streaming")
    kinds = {text: set(frame[text]) for text, frame in zip(texts, values, strict=True)}
    kinds["given_split"] |= set(GIVEN)
    clips = manifest.select(
        ids.number("clip_id").alias("clip_id"),
        pl.col("image_id").cast(pl.Enum(images["image_id"]), strict=False).to_physical().alias("image"),
        *(pl.col(text).cast(pl.Enum(sorted(kind))) for text, kind in kinds.items()),
    )
    clips = clips.collect(engine="streaming").sort("clip_id")
    if missing := clips["image"].null_count():
        raise ValueError(
            f"{missing} clips of the manifest are about images that images.parquet lacks; run the merge again"
        )
    left, right = recordings.links(manifest, images["image_id"])
    together = _with_recordings(alike, left, right) if len(left) else alike
    return clips.with_columns(pl.Series("group", together, pl.UInt32).gather(clips["image"]))


def _with_recordings(
    alike: Int64[np.ndarray, " n"], left: Int64[np.ndarray, " m"], right: Int64[np.ndarray, " m"]
) -> Int64[np.ndarray, " n"]:
    """The groups of near-duplicates, joined by the links of recordings; warns if one holds most of the images."""
    together = joined(alike, left, right)
    number, largest = _sizes(together)
    log.info("with the pictures of a recording as one: %d groups, the largest has %d images", number, largest)
    if largest > MOST * len(together):
        log.warning(
            "%d of %d images are of one group, which only one split can have: recordings that share a picture, or "
            "near-duplicates such as black frames, count as one; leave such frames out, or lower "
            "split.near_duplicate_bits",
            *(largest, len(together)),
        )
    return together


def _sizes(groups: Int64[np.ndarray, " n"]) -> tuple[int, int]:
    """How many groups there are, and the size of the largest."""
    counts = np.unique(groups, return_counts=True)[1]
    return len(counts), int(counts.max(initial=0))


def assign(clips: pl.DataFrame, split: SplitConfig) -> pl.DataFrame:
    """The split of each clip. It adds to the columns of `compact`: split, stratum, reason (of `dropped`), speaker_seen
    (for val and val_more: whether the speaker is also in train; null if unknown).

    1. The share `held_out_speakers` of the speakers of each language (the one they speak most) is held out, at least
       one if there are two. A clip of an unknown speaker counts as not held out, unless no speaker of the corpus is
       known. Then every clip may be reported on, and the summary says so.
    2. The pairs of `val` and `tune` are drawn from images that a held-out speaker speaks about, one clip of such a
       speaker for each image. Languages have pairs in proportion to their clips (so the strata have too), and each
       language has at least one if possible. The weight of an image is 1 / (1 + the clips that training loses by it).
       So training loses little, and images with many clips are not drawn more often just because someone held out is
       more likely to speak about them.
    3. The other clips of val images are `val_more`, those of tune images are `dropped` (tune_image). Clips of held-out
       speakers about other images are `dropped` (speaker_held_out), those about other images that the corpus holds out
       too (image_held_out). The rest is `train`.

    A corpus may give the split of its clips (`given_split`: train, tune, val, held_out or null);
    ves.corpus.held_out_pairs has the rules for that.

    Raises ValueError if too few pairs are possible, which says how many, or if nothing is left to train on.
    """
    clips = kept_out(_with_held_out(clips, split))
    given = given_pairs(clips, split.seed)
    chosen = pl.concat([given, draw(*left_to_draw(clips, given, split))])
    chosen = chosen.with_columns(pl.col("pair").cast(SPLITS))
    clips = _look_up(clips, "clip_id", chosen.select("clip_id", "pair"))
    clips = _look_up(clips, "group", chosen.select("group", image_of="pair"))
    held_out, kept, image_of = pl.col("held_out"), pl.col("kept_out"), pl.col("image_of")
    name = {name: pl.lit(name, SPLITS) for name in SPLITS.categories}
    word = pl.when(pl.col("pair").is_not_null()).then("pair").when(image_of == "val").then(name["val_more"])
    word = word.when((image_of == "tune") | held_out | kept).then(name["dropped"]).otherwise(name["train"])
    clips = clips.with_columns(word.alias("split"))
    if "train" not in (counts := clips["split"].value_counts())["split"]:
        raise ValueError(f"split: nothing is left to train on ({dict(counts.iter_rows())}); lower val or tune")
    trained = clips.filter(split="train")["speaker"].unique().drop_nulls().implode()
    reason = {name: pl.lit(name, REASONS) for name in REASONS.categories}
    speaker_or_image = pl.when(held_out).then(reason["speaker_held_out"]).otherwise(reason["image_held_out"])
    reason = pl.when(image_of == "tune").then(reason["tune_image"]).otherwise(speaker_or_image)
    return clips.with_columns(
        pl.when(split="dropped").then(reason).alias("reason"),
        pl.when(pl.col("split").is_in(["val", "val_more"]))
        .then(pl.col("speaker").is_in(trained))
        .alias("speaker_seen"),
    ).drop("pair", "image_of", "held_out", "kept_out", "reportable")


def _look_up(clips: pl.DataFrame, key: str, table: pl.DataFrame) -> pl.DataFrame:
    """The clips with the other columns of a table, matched by key; null without a match. Copies only the key."""
    columns = clips.select(key).join(table, on=key, how="left", maintain_order="left")
    return clips.hstack(columns.drop(key))


def _with_held_out(clips: pl.DataFrame, split: SplitConfig) -> pl.DataFrame:
    """The clips with stratum, held_out (whether the speaker is) and reportable (whether val or tune may have them)."""
    clips = _look_up(clips, "language", strata(clips.group_by("language").len("clips"), split))
    pool = speakers_to_hold_out(clips)
    speakers = _held_out(pool, split)
    known = pool["speaker"].null_count() < len(pool)
    clips = clips.with_columns(pl.col("speaker").is_in(speakers.implode()).fill_null(False).alias("held_out"))
    return clips.with_columns((pl.col("held_out") if known else pl.lit(True)).alias("reportable"))


def _held_out(clips: pl.DataFrame, split: SplitConfig) -> pl.Series:
    """The speakers who are held out, sorted."""
    spoken = clips.drop_nulls("speaker").group_by("speaker", "language").len("clips")
    spoken = spoken.sort(["speaker", "clips", "language"], descending=[False, True, False])
    speakers = spoken.unique("speaker", keep="first", maintain_order=True)
    chance = pl.Series("chance", chance_of_names(speakers["speaker"], split.seed, "speaker"))
    rank = pl.col("chance").rank("ordinal").over("language")
    all_but_one = pl.len().over("language") - 1
    wanted = pl.max_horizontal((pl.len().over("language") * split.held_out_speakers).round(), 1)
    return speakers.with_columns(chance).filter(rank <= pl.min_horizontal(wanted, all_but_one))["speaker"].sort()


def write(manifest: Path, images: Path, split: SplitConfig, out: Path, page: Page | None = None) -> None:
    """Assign splits, call `page` with what it should show, and write splits.parquet.

    If splits.parquet exists, page and log say what has changed. It is written last, so that a run after an interruption
    compares with the same file again. Raises ValueError as `compact` and `assign` do.
    """
    with parquet.naming(manifest):
        spellings = labels.changes(pl.scan_parquet(manifest))
    pictures = parquet.read(images, columns=["image_id", "phash"])
    with parquet.naming(manifest):
        clips = compact(pl.scan_parquet(manifest), pictures, split.near_duplicate_bits)
    clips = assign(clips, split)
    changed = changes(clips, out) if out.is_file() else None
    if page is not None:
        page(clips, spellings, changed)
    with atomic(out) as temporary:
        columns = clips.lazy().select(COLUMNS).with_columns(ids.text("clip_id"))
        columns.sink_parquet(temporary, compression_level=1)  # most of it is hashes
    for before, now, n in [] if changed is None else changed.iter_rows():
        log.info("changed: %d clips were %s and are now %s", n, before or "absent", now or "absent")
    log.info(
        "%s: %s", out, ", ".join(f"{n} {name}" for name, n in clips["split"].value_counts().sort("split").iter_rows())
    )


def changes(clips: pl.DataFrame, previous: Path) -> pl.DataFrame:
    """What differs from an earlier splits.parquet: columns before, now (null: absent), clips; empty if nothing does."""
    with parquet.naming(previous):
        before = pl.scan_parquet(previous).select(
            ids.number("clip_id").alias("clip_id"), pl.col("split").cast(SPLITS).alias("before")
        )
        both = before.join(clips.lazy().select("clip_id", now="split"), on="clip_id", how="full", coalesce=True)
        moved = both.filter(pl.col("before").ne_missing(pl.col("now"))).group_by("before", "now").len("clips")
        return moved.collect(engine="streaming").sort("before", "now", nulls_last=True)
