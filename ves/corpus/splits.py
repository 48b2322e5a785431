"""Who is held out: which clips train, which are reported on, which choices are made on, and which belong to none.

Speakers are held out first, then images: the other order leaves next to nothing. A picture and its near-duplicates
(ves.corpus.near_duplicates) are one image here. No image, no near-duplicate of one and, in tune and val, no known
speaker is shared with train. Every choice is by hash of an id and the seed, so the order of the rows never matters.
Clips are handled as numbers (`compact`): as texts, 24 M of them fill a workstation.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import polars as pl

from ves.base import ids, parquet
from ves.base.files import atomic
from ves.base.hashing import chance_of_names
from ves.config.experiment import SplitConfig
from ves.corpus.held_out_pairs import draw, given_pairs, left_to_draw, speakers_to_hold_out
from ves.corpus.near_duplicates import groups
from ves.sources import labels
from ves.sources.labels import strata

log = logging.getLogger(__name__)

GIVEN = ("train", "tune", "val")  # splits that a corpus may state
SPLITS = pl.Enum(["train", "tune", "val", "val_more", "dropped"])
REASONS = pl.Enum(["tune_image", "speaker_held_out"])
# of clips with their split (`assign`), ves.sources.labels.changes of the manifest, and `changes` since the split before
Page = Callable[[pl.DataFrame, pl.DataFrame, pl.DataFrame | None], None]
COLUMNS = ("clip_id", "split", "stratum", "reason", "speaker_seen")


def compact(manifest: pl.LazyFrame, images: pl.DataFrame, near_duplicate_bits: int) -> pl.DataFrame:
    """The clips of a manifest, sorted by clip_id: clip_id (ves.base.ids), language, speaker and given_split (each an
    Enum), image (its place among all by image_id), group (the least such place among its near-duplicates).

    Raises ValueError if `images` (image_id, phash) lacks an image of a clip.
    """
    images = images.select("image_id", "phash").sort("image_id")
    group = pl.Series("group", groups(images["phash"].to_numpy(), near_duplicate_bits), pl.UInt32)
    largest = group.value_counts()["count"].max()
    log.info("%d images are %d to the eye; the largest group has %d", len(images), group.n_unique(), largest)
    texts = ("language", "speaker", "given_split")
    said = pl.collect_all([manifest.select(pl.col(text).drop_nulls().unique()) for text in texts], engine="streaming")
    kinds = {text: set(found[text]) for text, found in zip(texts, said, strict=True)}
    kinds["given_split"] |= set(GIVEN)
    clips = manifest.select(
        ids.number("clip_id").alias("clip_id"),
        pl.col("image_id").cast(pl.Enum(images["image_id"]), strict=False).to_physical().alias("image"),
        *(pl.col(text).cast(pl.Enum(sorted(kind))) for text, kind in kinds.items()),
    )
    clips = clips.collect(engine="streaming").sort("clip_id")
    if missing := clips["image"].null_count():
        raise ValueError(
            f"{missing} clips of the manifest are of images that images.parquet lacks; run the merge again"
        )
    return clips.with_columns(group.gather(clips["image"]))


def assign(clips: pl.DataFrame, split: SplitConfig) -> pl.DataFrame:
    """The split of each clip: to the columns of `compact`, adds split, stratum, reason (of `dropped`), speaker_seen (of
    val and val_more: does its speaker occur in train; null if unknown).

    1. Of the speakers of each language (the one they speak most), the share `held_out_speakers` is held out, at least
       one where there are two. A clip of unknown speaker is of none of them, unless no speaker of the corpus is known:
       then every clip may be reported on, and the summary says so.
    2. `val` and `tune` pairs are drawn among images that a held-out speaker speaks about, one clip of such a speaker
       per image: languages in proportion to their clips (so each stratum is), every language at least once where it can
       be. An image is drawn with a weight of 1 / (1 + the clips that training loses by it). That costs little, and it
       also makes up for images with many clips being more often spoken about by someone held out.
    3. The other clips of val images are `val_more`, those of tune images `dropped` (tune_image); what held-out speakers
       say of other images is `dropped` (speaker_held_out); the rest is `train`.

    A corpus may give the split of its clips (`given_split`: train, tune, val or null); ves.corpus.held_out_pairs says
    what that changes of all this.

    Raises ValueError that says how many pairs there could be if they are too few, or if nothing is left to train on.
    """
    clips = _with_held_out(clips, split)
    given = given_pairs(clips, split.seed)
    chosen = pl.concat([given, draw(*left_to_draw(clips, given, split))])
    chosen = chosen.with_columns(pl.col("pair").cast(SPLITS))
    clips = _look_up(clips, "clip_id", chosen.select("clip_id", "pair"))
    clips = _look_up(clips, "group", chosen.select("group", image_of="pair"))
    held, image_of = pl.col("held_out"), pl.col("image_of")
    name = {name: pl.lit(name, SPLITS) for name in SPLITS.categories}
    word = pl.when(pl.col("pair").is_not_null()).then("pair").when(image_of == "val").then(name["val_more"])
    word = word.when((image_of == "tune") | held).then(name["dropped"]).otherwise(name["train"])
    clips = clips.with_columns(word.alias("split"))
    if "train" not in (counts := clips["split"].value_counts())["split"]:
        raise ValueError(f"split: nothing is left to train on ({dict(counts.iter_rows())}); lower val or tune")
    trained = clips.filter(split="train")["speaker"].unique().drop_nulls().implode()
    reason = {name: pl.lit(name, REASONS) for name in REASONS.categories}
    reason = pl.when(image_of == "tune").then(reason["tune_image"]).otherwise(reason["speaker_held_out"])
    return clips.with_columns(
        pl.when(split="dropped").then(reason).alias("reason"),
        pl.when(pl.col("split").is_in(["val", "val_more"]))
        .then(pl.col("speaker").is_in(trained))
        .alias("speaker_seen"),
    ).drop("pair", "image_of", "held_out", "reportable")


def _look_up(clips: pl.DataFrame, key: str, table: pl.DataFrame) -> pl.DataFrame:
    """The clips with the other columns of a table by its key; null where it has none. Copies nothing but the key."""
    found = clips.select(key).join(table, on=key, how="left", maintain_order="left")
    return clips.hstack(found.drop(key))


def _with_held_out(clips: pl.DataFrame, split: SplitConfig) -> pl.DataFrame:
    """The clips with stratum, held_out (is their speaker?) and reportable (may they be in val or tune?)."""
    clips = _look_up(clips, "language", strata(clips.group_by("language").len("clips"), split))
    pool = speakers_to_hold_out(clips)
    held = _held_out(pool, split)
    known = pool["speaker"].null_count() < len(pool)
    clips = clips.with_columns(pl.col("speaker").is_in(held.implode()).fill_null(False).alias("held_out"))
    return clips.with_columns((pl.col("held_out") if known else pl.lit(True)).alias("reportable"))


def _held_out(clips: pl.DataFrame, split: SplitConfig) -> pl.Series:
    """The speakers held out."""
    spoken = clips.drop_nulls("speaker").group_by("speaker", "language").len("clips")
    spoken = spoken.sort(["speaker", "clips", "language"], descending=[False, True, False])
    speakers = spoken.unique("speaker", keep="first", maintain_order=True)
    chance = pl.Series("chance", chance_of_names(speakers["speaker"], split.seed, "speaker"))
    rank = pl.col("chance").rank("ordinal").over("language")
    all_but_one = pl.len().over("language") - 1
    wanted = pl.max_horizontal((pl.len().over("language") * split.held_out_speakers).round(), 1)
    return speakers.with_columns(chance).filter(rank <= pl.min_horizontal(wanted, all_but_one))["speaker"].sort()


def write(manifest: Path, images: Path, split: SplitConfig, out: Path, page: Page | None = None) -> None:
    """Assign, and write splits.parquet; before that, `page` is handed what to show of it.

    Where splits.parquet is there already, page and log tell what has changed. It is written last: whoever is
    interrupted before that compares with the same one again. Raises ValueError as `compact` and `assign` do.
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
        log.info("changed: %d clips were %s before and are %s now", n, before or "not there", now or "not there")
    log.info(
        "%s: %s", out, ", ".join(f"{n} {name}" for name, n in clips["split"].value_counts().sort("split").iter_rows())
    )


def changes(clips: pl.DataFrame, previous: Path) -> pl.DataFrame:
    """What differs from a splits.parquet of before: before, now (null: not there), clips; empty if nothing does."""
    with parquet.naming(previous):
        before = pl.scan_parquet(previous).select(
            ids.number("clip_id").alias("clip_id"), pl.col("split").cast(SPLITS).alias("before")
        )
        both = before.join(clips.lazy().select("clip_id", now="split"), on="clip_id", how="full", coalesce=True)
        moved = both.filter(pl.col("before").ne_missing(pl.col("now"))).group_by("before", "now").len("clips")
        return moved.collect(engine="streaming").sort("before", "now", nulls_last=True)
