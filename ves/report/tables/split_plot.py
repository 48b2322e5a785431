"""The picture in splits.md: the number of clips of each language in each split."""

from pathlib import Path

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ves.report.drawing import plots
from ves.report.drawing.page import INK

COLOURS = {"train": "#3b5b7a", "dropped": "#b9b2a3", "val_more": "#e8a33d", "val": "#b3402a", "tune": "#6a9a5b"}
MARKS = {
    "train": "o",
    "dropped": "x",
    "val_more": "D",
    "val": "s",
    "tune": "^",
}  # without colours too
STRIPES = {"high": "#ffffff", "mid": "#f1f1f1", "low": "#ffffff"}
DPI, WIDTH, HEIGHT_EACH, MARGIN = 110, 8.0, 0.2, 1.3  # inches but for DPI


def draw(languages: pl.DataFrame, path: Path) -> None:
    """Write a PNG of `ves.report.tables.splits.by_language`."""
    with plots.our_style():
        plots.save(_figure(languages), path)


def _figure(languages: pl.DataFrame) -> Figure:
    languages = languages.sort("all", "language", descending=[True, False])
    figure = plots.figure(WIDTH, MARGIN + HEIGHT_EACH * len(languages), DPI)
    axes = figure.add_subplot()
    _strata(axes, languages)
    _marks(axes, languages)
    axes.set_xscale("log")
    axes.set_xlim(0.7, 8 * languages["all"].to_numpy().max())
    axes.set_ylim(len(languages) - 0.5, -0.5)  # the most frequent on top
    names = (
        languages["language"].cast(pl.String).str.replace_all("$", r"\$", literal=True)
    )  # or it would be mathematics
    axes.set_yticks(range(len(languages)), names.to_list())
    axes.tick_params(labelsize=8)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("clips (logarithmic)", fontsize=9, color=INK)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=6, frameon=False, fontsize=9)
    return figure


def _marks(axes: Axes, languages: pl.DataFrame) -> None:
    """A mark for each language and split at its number of clips, on a line for each language; none for 0."""
    places = languages.with_row_index("place")
    axes.hlines(places["place"].to_numpy(), 0.7, languages["all"].to_numpy(), color="#dddddd", linewidth=0.7, zorder=1)
    for name, colour in COLOURS.items():
        there = places.filter(pl.col(name) > 0)
        axes.plot(there[name].to_numpy(), there["place"].to_numpy(), MARKS[name], color=colour, label=name, ms=4.5)


def _strata(axes: Axes, languages: pl.DataFrame) -> None:
    """A stripe behind the languages of each stratum, with its name."""
    for stratum, n in languages.group_by("stratum", maintain_order=True).len().iter_rows():
        first = languages["stratum"].index_of(stratum)
        assert first is not None
        axes.axhspan(first - 0.5, first + n - 0.5, color=STRIPES[stratum], zorder=0, linewidth=0)
        if first:
            axes.axhline(first - 0.5, color=INK, linewidth=0.6, linestyle=":", zorder=1)
        where = axes.get_yaxis_transform()
        axes.text(0.99, first, stratum, transform=where, ha="right", va="center", fontsize=9, color=INK)
