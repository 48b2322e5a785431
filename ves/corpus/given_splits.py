"""Splits that a corpus itself states, clip by clip (`given_split`): what they fix, and what is left to draw.

* val, tune: the pairs are one clip for each picture given so, by chance; further clips of it follow their picture, as
  for pairs that are drawn (ves.corpus.splits.assign), whatever is given for them.
* train: never drawn for val. Nothing else is promised: what is about a picture of val or tune is not trained on.
* Where val is given, none is drawn, and no speaker is held out: who speaks in val is the corpus' own affair. Where tune
  is given, none is drawn. What is not given is drawn: val among clips without a given split, of speakers without one;
  tune among these and, where val is given, among those given train.
"""

import logging

import polars as pl

from ves.config.experiment import SplitConfig
from ves.corpus.held_out_pairs import chance_of_hashes

log = logging.getLogger(__name__)

PAIRS = ("val", "tune")


def speakers_to_hold_out(clips: pl.DataFrame) -> pl.DataFrame:
    """The clips of speakers that may be held out: none of one who has a given split, none at all where val is given."""
    stated = clips.drop_nulls("given_split")
    if stated.is_empty():
        return clips
    if "val" in stated["given_split"]:
        return clips.clear()
    return clips.join(stated.drop_nulls("speaker").select("speaker").unique(), on="speaker", how="anti")


def pairs(clips: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The pairs that are given, from columns clip_id, group, language, given_split: clip_id, group, language, pair.

    A picture (group) given both is in val.
    """
    given = clips.filter(pl.col("given_split").is_in(PAIRS))
    chance = pl.Series("chance", chance_of_hashes(given["clip_id"], seed, "given"))
    ordered = given.with_columns(chance).sort(pl.col("given_split") == "tune", "chance", "clip_id")
    return ordered.unique("group", keep="first", maintain_order=True).select(
        "clip_id", "group", "language", pair=pl.col("given_split").cast(pl.String)
    )


def left_to_draw(clips: pl.DataFrame, given: pl.DataFrame, split: SplitConfig) -> tuple[pl.DataFrame, SplitConfig]:
    """The clips, no longer reportable where their given split or picture forbids it, and how many pairs are to draw."""
    kinds = given["pair"].unique()
    wanted = split.model_copy(update={kind: 0 for kind in PAIRS if kind in kinds})
    allowed = pl.col("given_split").is_null()
    if "val" in kinds:
        allowed |= pl.col("given_split") == "train"
    free = ~pl.col("group").is_in(given["group"].implode())
    return clips.with_columns(pl.col("reportable") & allowed & free), wanted


def summary(clips: pl.DataFrame) -> str:
    """What was given and what became of it, a paragraph of splits.md; empty where nothing is given.

    From columns split, speaker, given_split. What leaks between the given splits is also logged, as a warning.
    """
    given = clips.drop_nulls("given_split")
    if given.is_empty():
        return ""
    counts = ", ".join(f"{n} {name}" for name, n in given["given_split"].value_counts().sort("given_split").iter_rows())
    parts = [f"The corpus gives the split of {len(given)} of {len(clips)} clips: {counts}."]
    known = {name: clips.filter(split=name)["speaker"].drop_nulls().unique() for name in ("train", "val")}
    leaks = [
        (
            given.filter(pl.col("given_split") == "train", pl.col("split") != "train").height,
            "clips given train are about pictures of val or tune (the same to the eye), so they are not trained on",
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
