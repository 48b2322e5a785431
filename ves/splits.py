"""Who is held out: which clips train, which are reported on, which choices are made on, and which belong to none.

Speakers are held out first, then images: the other order leaves next to nothing. A picture and its near-duplicates
(ves.near_duplicates) are one image here. No image, no near-duplicate of one and, in tune and val, no known speaker is
shared with train. Every choice is by hash of an id and the seed, so the order of the rows never matters.
"""

import logging
from pathlib import Path

import polars as pl

from ves import given_splits, parquet
from ves.config import SplitConfig
from ves.draws import chance_of_names, draw
from ves.files import atomic
from ves.near_duplicates import groups

log = logging.getLogger(__name__)

SPLITS = pl.Enum(["train", "tune", "val", "val_more", "dropped"])
STRATA = pl.Enum(["high", "mid", "low"])
REASONS = pl.Enum(["tune_image", "speaker_held_out"])
COLUMNS = ("clip_id", "split", "stratum", "reason", "speaker_seen")


def assign(manifest: pl.DataFrame, images: pl.DataFrame, split: SplitConfig) -> pl.DataFrame:
    """The split of each clip: clip_id, split, stratum, reason (of `dropped`), speaker_seen (of val and val_more: does
    its speaker occur in train; null if unknown), sorted by clip_id.

    1. Of the speakers of each language (the one they speak most), the share `held_out_speakers` is held out, at least
       one where there are two. A clip of unknown speaker is of none of them, unless no speaker of the corpus is known:
       then every clip may be reported on, and the summary says so.
    2. `val` and `tune` pairs are drawn among images that a held-out speaker speaks about, one clip of such a speaker
       per image: languages in proportion to their clips (so each stratum is), every language at least once where it can
       be. An image is drawn with a weight of 1 / (1 + the clips that training loses by it). That costs little, and it
       also makes up for images with many clips being more often spoken about by someone held out.
    3. The other clips of val images are `val_more`, those of tune images `dropped` (tune_image); what held-out speakers
       say of other images is `dropped` (speaker_held_out); the rest is `train`.

    A corpus may give the split of its clips (`given_split`: train, tune, val or null); ves.given_splits says what that
    changes of all this.

    Raises ValueError that says how many pairs there could be if they are too few, or if nothing is left to train on.
    """
    clips = _clips(manifest, images, split)
    given = given_splits.pairs(clips, split.seed)
    chosen = pl.concat([given, draw(*given_splits.left_to_draw(clips, given, split))])
    clips = clips.join(chosen.select("clip_id", "pair"), on="clip_id", how="left", maintain_order="left")
    clips = clips.join(chosen.select("group", image_of="pair"), on="group", how="left", maintain_order="left")
    held, image_of = pl.col("held_out"), pl.col("image_of")
    word = pl.when(pl.col("pair").is_not_null()).then("pair").when(image_of == "val").then(pl.lit("val_more"))
    word = word.when((image_of == "tune") | held).then(pl.lit("dropped")).otherwise(pl.lit("train"))
    clips = clips.with_columns(word.cast(SPLITS).alias("split"))
    if "train" not in (counts := clips["split"].value_counts())["split"]:
        raise ValueError(f"split: nothing is left to train on ({dict(counts.iter_rows())}); lower val or tune")
    trained = clips.filter(split="train")["speaker"].unique().drop_nulls().implode()
    reason = pl.when(image_of == "tune").then(pl.lit("tune_image")).otherwise(pl.lit("speaker_held_out"))
    return clips.with_columns(
        pl.when(split="dropped").then(reason).cast(REASONS).alias("reason"),
        pl.when(pl.col("split").is_in(["val", "val_more"]))
        .then(pl.col("speaker").is_in(trained))
        .alias("speaker_seen"),
    ).select(COLUMNS)


def strata(clips_of_language: pl.DataFrame, split: SplitConfig) -> pl.DataFrame:
    """Columns language, clips -> language, stratum. From the most clips down, languages are `high` until these hold the
    share `high` of all clips, `mid` until they hold `mid`, then `low`."""
    ordered = clips_of_language.sort(["clips", "language"], descending=[True, False])
    before = (pl.col("clips").cum_sum() - pl.col("clips")) / pl.col("clips").sum()
    stratum = pl.when(before < split.high).then(pl.lit("high")).when(before < split.mid).then(pl.lit("mid"))
    return ordered.select("language", stratum.otherwise(pl.lit("low")).cast(STRATA).alias("stratum"))


def _clips(manifest: pl.DataFrame, images: pl.DataFrame, split: SplitConfig) -> pl.DataFrame:
    """The clips by clip_id with stratum, group of near-duplicate images, and whether their speaker is held out."""
    images = images.select("image_id", "phash").sort("image_id")
    group = pl.Series("group", groups(images["phash"].to_numpy(), split.near_duplicate_bits), pl.UInt32)
    log.info(
        "%d images are %d to the eye; the largest group has %d",
        len(images),
        group.n_unique(),
        group.value_counts()["count"].max(),
    )
    clips = manifest.select("clip_id", "image_id", "language", "speaker", "given_split").sort("clip_id")
    stratum = strata(clips.group_by("language").len("clips"), split)
    clips = clips.join(stratum, on="language", how="left", maintain_order="left")
    clips = clips.join(images.select("image_id", group), on="image_id", how="left", maintain_order="left")
    if missing := clips["group"].null_count():
        raise ValueError(
            f"{missing} clips of the manifest are of images that images.parquet lacks; run the merge again"
        )
    pool = given_splits.speakers_to_hold_out(clips)
    held = _held_out(pool, split)
    known = pool["speaker"].null_count() < len(pool)
    reportable = pl.col("held_out") if known else pl.lit(True)
    clips = clips.with_columns(pl.col("speaker").is_in(held.implode()).fill_null(False).alias("held_out"))
    return clips.with_columns(reportable.alias("reportable")).drop("image_id")


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


def write(manifest: Path, images: Path, split: SplitConfig, out: Path, summary: Path) -> None:
    """Assign, and write splits.parquet and a page (Markdown) that counts it. Raises ValueError as `assign` does."""
    clips = parquet.read(manifest, columns=["clip_id", "image_id", "language", "speaker", "given_split"])
    splits = assign(clips, parquet.read(images, columns=["image_id", "phash"]), split)
    with atomic(summary) as temporary:
        temporary.write_text(
            summarise(splits.join(clips, on="clip_id", how="inner", maintain_order="left"), split), "utf-8"
        )
    with atomic(out) as temporary:
        splits.write_parquet(temporary)
    log.info(
        "%s: %s", out, ", ".join(f"{n} {name}" for name, n in splits["split"].value_counts().sort("split").iter_rows())
    )


def summarise(clips: pl.DataFrame, split: SplitConfig) -> str:
    """splits.md, from the columns of splits.parquet with image_id, language, speaker and given_split of each clip."""
    names = SPLITS.categories.to_list()
    counts = [pl.len().alias("all"), *((pl.col("split") == name).sum().alias(name) for name in names)]
    by_language = (
        clips.group_by("stratum", "language")
        .agg(counts)
        .sort("stratum", "all", "language", descending=[False, True, False])
    )
    by_stratum = clips.group_by("stratum").agg(counts).sort("stratum")
    distinct = pl.col("image_id", "speaker").drop_nulls().n_unique()
    by_split = clips.group_by("split").agg(pl.len().alias("clips"), distinct).sort("split")
    dropped = clips.drop_nulls("reason").group_by("reason").len("clips").sort("reason")
    unknown = clips["speaker"].null_count()
    speakers = (
        f"{split.held_out_speakers:.0%} of each language's speakers are held out. {unknown} of {len(clips)} clips "
    )
    speakers += "have no known speaker; they are never in tune or val."
    if unknown == len(clips):
        speakers = "No clip has a known speaker: speakers of val may occur in train."
    elif "val" in clips["given_split"]:
        speakers = f"Val is given, so no speaker is held out; {unknown} of {len(clips)} clips have no known speaker."
    val = clips.filter(pl.col("split") == "val_more")["speaker_seen"]
    return "\n".join(
        [
            "# Splits\n",
            f"Seed {split.seed}. {speakers} {given_splits.summary(clips)}".rstrip() + "\n",
            _table(by_split.rename({"image_id": "images", "speaker": "speakers"})),
            f"Of val_more, {val.sum()} clips are by speakers who also occur in train.\n",
            "## Dropped\n", _table(dropped),
            "## Strata\n",
            f"Languages by clips: high until they hold {split.high:.0%} of all, mid until {split.mid:.0%}, then low.\n",
            _table(by_stratum),
            "## Languages\n", _table(by_language),
        ]
    )  # fmt: skip


def _table(frame: pl.DataFrame) -> str:
    rows = [frame.columns, ["---"] * frame.width, *frame.iter_rows()]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows) + "\n"
