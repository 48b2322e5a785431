"""The page of the splits, from a few clips that can be counted by eye."""

import polars as pl

from ves.config.experiment import SplitConfig
from ves.report.tables.splits import by_language, compose

SPLIT = SplitConfig(seed=7, val=1, tune=1, held_out_speakers=0.25, near_duplicate_bits=3, high=0.5, mid=0.85)
CLIPS = pl.DataFrame(
    [  # split, stratum, language, image, speaker, reason, speaker_seen
        ("train", "high", "a|b", 0, "S", None, None),
        ("train", "high", "a|b", 0, None, None, None),
        ("val", "high", "a|b", 1, "T", None, False),
        ("val_more", "low", "c", 1, "S", None, True),
        ("dropped", "low", "c", 2, "T", "speaker_held_out", None),
    ],
    ["split", "stratum", "language", "image", "speaker", "reason", "speaker_seen"],
    orient="row",
).with_columns(given_split=pl.lit(None, pl.String))
NOTHING = pl.DataFrame(schema=["column", "old", "new", "clips"])


def page(changed: pl.DataFrame | None = None, spellings: pl.DataFrame = NOTHING, clips: pl.DataFrame = CLIPS) -> str:
    return compose(clips, by_language(clips), spellings, changed, SPLIT, "s.png")


def test_counts_by_eye():
    text = page()
    for line in (
        "| train | 2 | 1 | 1 |",  # clips, images, speakers
        "| val_more | 1 | 1 | 1 |",
        "| speaker_held_out | 1 |",
        "| high | a\\|b | 3 | 2 | 0 | 1 | 0 | 0 |",
        "| low | 2 | 0 | 0 | 0 | 1 | 1 |",
        "Of val_more, 1 clips are by speakers who also occur in train.",
        "1 of 5 clips have no known speaker",
        "Not in val: c (",
        "![Clips of each language and split](s.png)",
    ):
        assert line in text.splitlines() or line in text, line
    assert "## Changed" not in text
    assert "## Spellings" not in text


def test_what_changed_is_told_only_where_something_did():
    changed = pl.DataFrame(
        [("train", "val", 3), ("dropped", None, 2), (None, "train", 9)], ["before", "now", "clips"], orient="row"
    )
    text = page(changed)
    assert "3 clips are in another split, 9 are new and 2 gone" in text
    assert "| train | val | 3 |\n| dropped | - | 2 |\n| - | train | 9 |" in text
    assert page(changed.clear()) == page()


def test_spellings_are_listed():
    text = page(spellings=pl.DataFrame([("language", "see", "c", 2)], ["column", "old", "new", "clips"], orient="row"))
    assert "## Spellings" in text
    assert "| language | see | c | 2 |" in text


def test_without_known_speakers_it_says_so():
    assert "No clip has a known speaker" in page(clips=CLIPS.with_columns(speaker=pl.lit(None, pl.String)))


def test_a_label_ends_no_cell_and_no_line():
    text = page(clips=CLIPS.with_columns(pl.col("language").replace("c", "c\n|\td")))
    assert "| low | c \\| d | 2 | 0 | 0 | 0 | 1 | 1 |" in text.splitlines()
