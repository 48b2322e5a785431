"""Which pairs are held out. They are drawn at random, whatever the order of the rows, or given by the corpus.

A corpus may give the split of its clips (`given_split`). The rest is drawn, by these rules:

* val, tune: each picture with such clips has one of them as its pair, at random. Its other clips follow the picture, as
  for drawn pairs (ves.corpus.splits.assign), whatever their given split is.
* train: such a clip is never drawn for val. But it is still not trained on if its picture is in val or tune.
* held_out: the picture of such a clip is never trained on. Val and tune are drawn from its clips as from those without
  a given split, and what is not drawn is dropped.
* If the corpus gives val, none is drawn and no speaker is held out: the corpus decides who speaks in val. If it gives
  tune, none is drawn. Otherwise val is drawn from clips without a given split whose speakers have none either. Tune is
  drawn from these clips too and, if the corpus gives val, also from those given as train.
"""

import logging

import numpy as np
import polars as pl
from jaxtyping import Int64

from ves.base.apportion import shares
from ves.base.hashing import chance_of_hashes
from ves.config.experiment import SplitConfig

log = logging.getLogger(__name__)

PAIRS = ("val", "tune")
HELD_OUT = "held_out"


def draw(clips: pl.DataFrame, split: SplitConfig) -> pl.DataFrame:
    """Draw val and tune pairs, as ves.corpus.splits.assign says, from columns clip_id, group, language, reportable,
    kept_out.

    Returns clip_id, group, language, pair ("val" or "tune"), with each group at most once. Val and tune are drawn
    together and then separated at random within each language, so that neither is harder. If there are too few
    pairs, it raises ValueError, which says how many are possible.
    """
    candidates = _candidates(clips, split.seed)
    languages = clips.group_by("language").len("clips").sort("language")
    total, drawn = split.val + split.tune, candidates.clear()
    while (
        len(drawn) < total and not candidates.is_empty()
    ):  # again, because several languages may have counted on one group
        available = _counts(languages, candidates)
        quota = shares(total - len(drawn), languages["clips"].to_numpy().astype(np.float64), available)
        for place in np.argsort(available, kind="stable").tolist():  # the language with the fewest images chooses first
            mine = candidates.filter(pl.col("language") == languages["language"][place]).head(int(quota[place]))
            drawn = pl.concat([drawn, mine])
            candidates = candidates.join(mine, on="group", how="anti", maintain_order="left")
    if len(drawn) < total:
        raise ValueError(
            f"split: val needs {split.val} pairs and tune {split.tune}, but only {len(drawn)} are possible, one for "
            "each image (or recording) that a held-out speaker speaks about; lower split.val or split.tune, or raise "
            "split.held_out_speakers"
        )
    counts = _counts(languages, drawn)
    spare = np.maximum(counts - 1, 0)  # each language leaves at least one pair to val, if val can have them all
    available = spare if spare.sum() >= split.tune else counts
    tune = languages.select("language", pl.Series("tune", shares(split.tune, counts.astype(np.float64), available)))
    drawn = drawn.with_columns(pl.Series("chance", chance_of_hashes(drawn["clip_id"], split.seed, "tune or val")))
    drawn = drawn.join(tune, on="language", how="left", maintain_order="left")
    tuned = pl.col("chance").rank("ordinal").over("language") <= pl.col("tune")
    pair = pl.when(tuned).then(pl.lit("tune")).otherwise(pl.lit("val"))
    return drawn.select("clip_id", "group", "language", pair=pair)


def _candidates(clips: pl.DataFrame, seed: int) -> pl.DataFrame:
    """One reportable clip for each pair of group and language that has any, in the order of drawing: by an exponential
    clock whose rate is the weight of the group (Efraimidis and Spirakis 2006)."""
    lost = clips.group_by("group").agg((~pl.col("reportable") & ~pl.col("kept_out")).sum().alias("lost"))
    clips = clips.filter("reportable").select("clip_id", "group", "language")
    clips = clips.with_columns(pl.Series("chance", chance_of_hashes(clips["clip_id"], seed, "clip")))
    clips = clips.sort("chance", "clip_id").unique(["group", "language"], keep="first", maintain_order=True)
    clips = clips.join(lost, on="group", how="left", maintain_order="left")
    chance = pl.Series("chance", chance_of_hashes(clips["clip_id"], seed, "image"))
    clips = clips.with_columns(clock=-chance.log() * (1 + clips["lost"]))
    return clips.sort("clock", "clip_id").select("clip_id", "group", "language")


def _counts(languages: pl.DataFrame, clips: pl.DataFrame) -> Int64[np.ndarray, " languages"]:
    counts = languages.join(clips.group_by("language").len("n"), on="language", how="left", maintain_order="left")
    return counts["n"].fill_null(0).to_numpy().astype(np.int64)


def speakers_to_hold_out(clips: pl.DataFrame) -> pl.DataFrame:
    """The clips of speakers who may be held out: those without a given split, and nobody if the corpus gives val."""
    stated = clips.filter(pl.col("given_split").is_not_null() & (pl.col("given_split") != HELD_OUT))
    if stated.is_empty():
        return clips
    if "val" in stated["given_split"]:
        return clips.clear()
    return clips.join(stated.drop_nulls("speaker").select("speaker").unique(), on="speaker", how="anti")


def given_pairs(clips: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The pairs that the corpus gives: columns clip_id, group, language, given_split -> clip_id, group, language, pair.

    A picture (group) that is given for both is in val.
    """
    given = clips.filter(pl.col("given_split").is_in(PAIRS))
    chance = pl.Series("chance", chance_of_hashes(given["clip_id"], seed, "given"))
    ordered = given.with_columns(chance).sort(pl.col("given_split") == "tune", "chance", "clip_id")
    return ordered.unique("group", keep="first", maintain_order=True).select(
        "clip_id", "group", "language", pair=pl.col("given_split").cast(pl.String)
    )


def kept_out(clips: pl.DataFrame) -> pl.DataFrame:
    """The clips with the column `kept_out`: whether their picture (group) has a clip that is given held_out."""
    groups = clips.filter(pl.col("given_split") == HELD_OUT)["group"].unique()
    return clips.with_columns(kept_out=pl.col("group").is_in(groups.implode()))


def left_to_draw(clips: pl.DataFrame, given: pl.DataFrame, split: SplitConfig) -> tuple[pl.DataFrame, SplitConfig]:
    """The clips, not reportable if their given split or picture forbids it, and the numbers of pairs to draw."""
    kinds = given["pair"].unique()
    wanted = split.model_copy(update={kind: 0 for kind in PAIRS if kind in kinds})
    allowed = pl.col("given_split").is_null() | (pl.col("given_split") == HELD_OUT)
    if "val" in kinds:
        allowed |= pl.col("given_split") == "train"
    free = ~pl.col("group").is_in(given["group"].implode())
    return clips.with_columns(pl.col("reportable") & allowed & free), wanted


def summary_of_given(clips: pl.DataFrame) -> str:
    """The paragraph of splits.md about the given split and what became of it; empty if there is none.

    It needs columns split, speaker, given_split. Overlaps between the given splits are also logged as warnings.
    """
    stated = clips.drop_nulls("given_split")
    kept, given = stated.filter(given_split=HELD_OUT), stated.filter(pl.col("given_split") != HELD_OUT)
    pairs = kept["split"].cast(pl.String).is_in(PAIRS).sum()
    held = f"The corpus keeps {len(kept)} clips and their pictures from training; {pairs} are pairs of val and tune."
    if given.is_empty():
        return "" if kept.is_empty() else held
    counts = ", ".join(f"{n} {name}" for name, n in given["given_split"].value_counts().sort("given_split").iter_rows())
    parts = [f"The corpus gives the split of {len(given)} of {len(clips)} clips: {counts}."]
    parts += [] if kept.is_empty() else [held]
    known = {name: clips.filter(split=name)["speaker"].drop_nulls().unique() for name in ("train", "val")}
    leaks = [
        (
            given.filter(pl.col("given_split") == "train", pl.col("split") != "train").height,
            "clips given train are about pictures of val or tune (or near-duplicates), so they are not trained on",
        ),
        (
            given.filter(pl.col("given_split") == "tune", pl.col("split").is_in(["val", "val_more"])).height,
            "clips given tune are about pictures of val, so they are not in tune",
        ),
        (
            known["val"].is_in(known["train"].implode()).sum(),
            f"of {len(known['val'])} known speakers of val also speak in train",
        ),
    ]
    for count, text in leaks:
        if count:
            log.warning("the given splits overlap: %d %s", count, text)
            parts.append(f"{count} {text}.")
    return " ".join(parts)
