"""splits.md: clips, images and speakers of each split, in all and by label; what was dropped, and what has changed."""

from pathlib import Path

import polars as pl

from ves.base.files import atomic
from ves.base.markdown import table
from ves.config.experiment import SplitConfig
from ves.corpus.held_out_pairs import summary_of_given
from ves.corpus.splits import SPLITS, Page
from ves.report.tables import split_plot

NAMES = tuple(SPLITS.categories)


def page_of(split: SplitConfig, summary: Path, plot: Path) -> Page:
    """For ves.corpus.splits.write: writes the plot (PNG) and the page (Markdown) that shows it and counts the clips."""

    def write(clips: pl.DataFrame, spellings: pl.DataFrame, changed: pl.DataFrame | None) -> None:
        counts = by_language(clips)
        split_plot.draw(counts, plot)
        with atomic(summary) as temporary:
            temporary.write_text(compose(clips, counts, spellings, changed, split, plot.name), "utf-8")

    return write


def by_language(clips: pl.DataFrame) -> pl.DataFrame:
    """Clips of each language, the most frequent first within its stratum: stratum, language, all, and one column for
    each split; from columns stratum, language, split."""
    counted = clips.group_by("stratum", "language").agg(_counts())
    return counted.sort("stratum", "all", "language", descending=[False, True, False])


def compose(
    clips: pl.DataFrame, languages: pl.DataFrame, spellings: pl.DataFrame, changed: pl.DataFrame | None,
    split: SplitConfig, plot: str,
) -> str:  # fmt: skip
    """The page, from clips with their split (ves.corpus.splits.assign), `by_language` of them,
    ves.sources.labels.changes of the manifest, ves.corpus.splits.changes where there was a split before, and the name
    of the picture beside the page."""
    distinct = pl.col("image", "speaker").drop_nulls().n_unique()
    by_split = clips.group_by("split").agg(pl.len().alias("clips"), distinct).sort("split")
    dropped = clips.drop_nulls("reason").group_by("reason").len("clips").sort("reason")
    by_stratum = languages.group_by("stratum").agg(pl.col("all", *NAMES).sum()).sort("stratum")
    val = clips.filter(pl.col("split") == "val_more")["speaker_seen"]
    return "\n".join(
        [
            "# Splits\n",
            f"Seed {split.seed}. {_speakers(clips, split)} {summary_of_given(clips)}".rstrip() + "\n",
            _table(by_split.rename({"image": "images", "speaker": "speakers"})),
            f"Of val_more, {val.sum()} clips are by speakers who also occur in train.\n",
            *_changed(changed),
            "## Dropped\n", _table(dropped),
            "## Strata\n",
            f"Languages by clips: high until they hold {split.high:.0%} of all, mid until {split.mid:.0%}, then low.\n",
            _table(by_stratum),
            "## Languages\n", f"![Clips of each language and split]({plot})\n",
            _without_val(languages),
            _table(languages),
            *_spellings(spellings),
        ]
    )  # fmt: skip


def _counts() -> list[pl.Expr]:
    return [pl.len().alias("all"), *((pl.col("split") == name).sum().alias(name) for name in NAMES)]


def _speakers(clips: pl.DataFrame, split: SplitConfig) -> str:
    """Which speakers are held out, and how many clips have no known speaker."""
    unknown = clips["speaker"].null_count()
    if unknown == len(clips):
        return "No clip has a known speaker: speakers of val may occur in train."
    if "val" in clips["given_split"]:
        return f"Val is given, so no speaker is held out; {unknown} of {len(clips)} clips have no known speaker."
    share = f"{split.held_out_speakers:.0%} of each language's speakers are held out."
    return f"{share} {unknown} of {len(clips)} clips have no known speaker; they are never in tune or val."


def _changed(changed: pl.DataFrame | None) -> list[str]:
    """The section on differences from the previous split; none where there are none, or there was no such split."""
    if changed is None or changed.is_empty():
        return []
    there = pl.col("before").is_not_null() & pl.col("now").is_not_null()
    moved, new, gone = (
        changed.filter(which)["clips"].sum() for which in (there, pl.col("before").is_null(), pl.col("now").is_null())
    )
    text = f"Since the split that was here before, {moved} clips are in another split, {new} are new and {gone} gone.\n"
    words = pl.col("before", "now").cast(pl.String).fill_null("-")
    return ["## Changed\n", text, _table(changed.with_columns(words))]


def _without_val(languages: pl.DataFrame) -> str:
    """A sentence on the languages without a pair in val."""
    absent = languages.filter(val=0)["language"].to_list()
    why = (
        "no speaker that may be held out speaks about an image in them, or val has fewer pairs than there are languages"
    )
    return f"Not in val: {', '.join(absent)} ({why}).\n" if absent else "Every language is in val.\n"


def _spellings(spellings: pl.DataFrame) -> list[str]:
    """The section on labels with another spelling than in the source; none where there are none."""
    return ["## Spellings\n", "Labels that the source spells otherwise.\n", _table(spellings)] if len(spellings) else []


def _table(frame: pl.DataFrame) -> str:
    return table(frame.columns, frame.iter_rows())
