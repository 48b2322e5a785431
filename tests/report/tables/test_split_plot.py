"""The picture of the splits: a mark for each language and split, at its count; the same bytes every time."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from ves.report.tables import split_plot
from ves.report.tables.splits import NAMES


def languages(n: int) -> pl.DataFrame:
    """Counts as ves.report.tables.splits.by_language gives them."""
    rng = np.random.default_rng(0)
    every = (2_000_000 / np.arange(1, n + 1)).astype(int)
    rows = []
    for i, clips in enumerate(every.tolist()):
        val, tune, more, dropped = (
            clips // 900,
            clips // 5000,
            clips // 40 + rng.integers(9),
            clips // 25 + rng.integers(9),
        )
        stratum = "high" if i < n / 9 else "mid" if i < n / 3 else "low"
        rows.append((stratum, f"Language{i}", clips, clips - val - tune - more - dropped, tune, val, more, dropped))
    return pl.DataFrame(rows, ["stratum", "language", "all", *NAMES], orient="row")


@pytest.mark.parametrize("n", [1, 3, 105])
def test_marks_are_at_the_counts(n: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    figures: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k))[1])
    counts = languages(n)
    split_plot.draw(counts, tmp_path / "s.png")
    (axes,) = figures[0].axes
    assert isinstance(axes, Axes)
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == counts["language"].to_list()
    assert axes.get_xscale() == "log"
    drawn = {}
    for line in axes.get_lines():
        if (name := str(line.get_label())) in NAMES:
            places, clips = line.get_ydata(), line.get_xdata()
            drawn |= {(labels[int(p)], name): int(n) for p, n in zip(np.array(places), np.array(clips), strict=True)}
    told = {(row["language"], name): row[name] for row in counts.iter_rows(named=True) for name in NAMES}
    assert drawn == {key: count for key, count in told.items() if count}
    assert {text.get_text() for text in axes.texts} == set(counts["stratum"])


def test_the_same_counts_give_the_same_bytes(tmp_path: Path):
    for name, counts in (("a", languages(12)), ("b", languages(12).reverse())):
        split_plot.draw(counts, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with Image.open(tmp_path / "a") as picture:
        assert picture.format == "PNG"
        assert not {"Software", "Creation Time"} & set(picture.info)


def test_names_are_no_mathematics(tmp_path: Path):
    split_plot.draw(languages(2).with_columns(language=pl.Series(["a $\\b$", "$$"])), tmp_path / "s.png")
    assert (tmp_path / "s.png").is_file()


def test_names_in_scripts_of_india_can_be_written(tmp_path: Path):
    """No font of matplotlib's has them; a glyph that is missing would be a warning, here an error."""
    for name, labels in (("a", ["हिन्दी", "বাংলা", "اردو"]), ("b", ["हिन्दी", "বাংলা", "اردد"])):
        split_plot.draw(languages(3).with_columns(language=pl.Series(labels)), tmp_path / name)
    assert (tmp_path / "a").read_bytes() != (tmp_path / "b").read_bytes()  # the letters are drawn, not boxes for them
