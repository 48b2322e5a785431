"""The page of comparisons: what its picture marks, and what is left out of both."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.colors import to_hex

from ves.report.tables import comparisons_page, forest_plot
from ves.report.tables.comparisons import COLUMNS

# metric, difference, low, high: dense finds more, hybrid ranks better, nobody knows; R@50 is of a gallery of 20
DIFFERENCES = [("R@1", "4.00", "1.00", "7.00"), ("R@10", "-2.00", "-5.00", "1.00"), ("R@50", "", "", "")]
DIFFERENCES += [("median_rank", "3.0", "1.0", "5.0")]


@pytest.fixture
def comparisons(tmp_path: Path) -> Path:
    """comparisons.csv of one other objective, by one seed."""
    about = {"first": "dense", "second": "hybrid_$1", "about": "these checkpoints", "protocol": "paper", "p": ""}
    about |= {"direction": "A2V", "seeds": "1", "n": "20", "images": "20"}
    rows = [about | dict(zip(COLUMNS[5:9], values, strict=True)) for values in DIFFERENCES]
    pl.DataFrame(rows).select(COLUMNS).with_columns(pl.all().replace("", None)).write_csv(
        file := tmp_path / "comparisons.csv"
    )
    return file


def page_text(comparisons: Path) -> str:
    out = comparisons.with_name("comparisons.md")
    comparisons_page.write(comparisons, out, comparisons.with_name("comparisons.png"))
    return out.read_text(encoding="utf-8")


def test_the_page_has_what_is_known_and_in_words(comparisons: Path) -> None:
    text = page_text(comparisons)
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert lines[0] == "| against | protocol | direction | metric | difference | low | high | seeds | n | images |"
    assert [line.split(" | ")[3] for line in lines[2:]] == ["R@1", "R@10", "median rank"]
    assert "one clip to a picture" in lines[2] and "![Differences with their intervals](comparisons.png)" in text
    assert "dense against each other objective, about these checkpoints" in text


def test_the_picture_is_the_same_each_time(comparisons: Path) -> None:
    pictures = []
    for _ in range(2):
        page_text(comparisons)
        pictures.append(comparisons.with_name("comparisons.png").read_bytes())
    assert pictures[0] == pictures[1]


def test_colours_say_who_is_better_and_fewer_ranks_are(comparisons: Path) -> None:
    rows = pl.read_csv(comparisons, infer_schema=False).drop_nulls("difference")
    figure = forest_plot._figure(rows)
    assert [axes.get_title() for axes in figure.axes] == ["R@1 (points)", "R@10 (points)", "median rank"]
    marks = [axes.lines[-1] for axes in figure.axes]
    assert [list(np.ravel(mark.get_xdata())) for mark in marks] == [[4.0], [-2.0], [3.0]]
    colours = [to_hex(mark.get_color()) for mark in marks]
    assert colours == [forest_plot.FIRST_BETTER, forest_plot.UNDECIDED, forest_plot.SECOND_BETTER]
    left, right = figure.axes[2].get_xlim()
    assert left > right, "fewer ranks lie to the right, where the first is better"
    assert figure.axes[0].get_yticklabels()[0].get_text() == r"hybrid_\$1, A2V: one clip to a picture"


def test_one_objective_is_compared_with_nothing(comparisons: Path) -> None:
    comparisons.write_text(",".join(COLUMNS) + "\n")
    assert comparisons_page.NOTHING in page_text(comparisons)
    assert comparisons.with_name("comparisons.png").stat().st_size > 0


def test_what_is_no_table_is_named(comparisons: Path) -> None:
    comparisons.write_bytes(b"")
    with pytest.raises(ValueError, match=r"comparisons\.csv: .* delete it and run again"):
        page_text(comparisons)
