"""The picture in comparisons.md: differences of the first objective to each other one, with their intervals.

To the right of the line the first is better, in ranks too, whose axis is turned round.
"""

from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ves.evaluation.bootstrap import CAPTION
from ves.report import labels
from ves.report.drawing import plots
from ves.report.drawing.page import INK, QUIET

SHOWN = {"R@1": "R@1 (points)", "R@10": "R@10 (points)", "median_rank": "median rank"}
FIRST_BETTER, UNDECIDED, SECOND_BETTER = "#3b5b7a", "#8b8b96", "#b3402a"
DPI, WIDTH, HEIGHT_EACH, MARGIN = 150, 8.0, 0.3, 1.5  # inches but for DPI


def draw(rows: pl.DataFrame, path: Path) -> None:
    """Write a PNG of the rows of comparisons.csv, whose cells are text; without any row, of a sentence."""
    with plots.our_style():
        plots.save(_figure(rows), path)


def _figure(rows: pl.DataFrame) -> Figure:
    rows = rows.filter(pl.col("metric").is_in(list(SHOWN)))
    if rows.is_empty():
        figure = plots.figure(WIDTH, MARGIN, DPI)
        figure.suptitle("One objective: there is nothing to compare", fontsize=10, color=QUIET)
        return figure
    shown = [metric for metric in SHOWN if metric in rows["metric"]]
    lines = rows.select("protocol", "second", "direction").unique(maintain_order=True)
    figure = plots.figure(WIDTH, MARGIN + HEIGHT_EACH * len(lines), DPI)
    columns = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axes, metric in zip(columns, shown, strict=True):
        of_metric = lines.join(rows.filter(metric=metric), on=lines.columns, how="left", maintain_order="left")
        _draw(axes, of_metric, metric)
    names = [f"{second}, {way}: {labels.cell('protocol', protocol)}" for protocol, second, way in lines.iter_rows()]
    columns[0].set_yticks(range(len(names)), [name.replace("$", r"\$") for name in names])
    columns[0].set_ylim(len(names) - 0.5, -0.5)
    first = rows["first"][0].replace("$", r"\$")
    figure.suptitle(f"{first} against each other one: right of the line {first} is better", fontsize=10, color=INK)
    seeds = " and of the seeds" if rows["about"][0] == "objectives" else ""
    figure.supxlabel(f"Bars: {CAPTION}{seeds}; grey where they hold zero", fontsize=8, color=QUIET)
    return figure


def _draw(axes: Axes, rows: pl.DataFrame, metric: str) -> None:
    """A point for each line, with its interval, coloured where that does not hold zero."""
    axes.axvline(0, color=INK, linewidth=0.8)
    low_is_good = not metric.startswith("R@")
    ends = rows.select(pl.col("difference", "low", "high").cast(pl.Float64)).to_numpy()
    for place, (value, low, high) in enumerate(ends.tolist()):
        if np.isnan(value):
            continue
        better = (high < 0 if low_is_good else low > 0, low > 0 if low_is_good else high < 0)
        colour = FIRST_BETTER if better[0] else SECOND_BETTER if better[1] else UNDECIDED
        if not np.isnan(low):
            axes.plot([low, high], [place, place], color=colour, linewidth=1.8, solid_capstyle="butt")
        axes.plot(value, place, "o", color=colour, markersize=5)
    if low_is_good:
        axes.invert_xaxis()
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_title(SHOWN[metric], fontsize=9, color=INK)
    axes.tick_params(labelsize=8)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.6)
