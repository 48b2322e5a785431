"""Figures of retrieval: recall by language, recall over K, and a histogram of ranks; each with 95 % intervals.

Runs differ by shade, line and mark, so that a print in grey shows them too.

Dimension key
    S seeds    Q queries    K cutoffs
"""

from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter

from ves.base import parquet
from ves.config.experiment import TableConfig
from ves.evaluation.bootstrap import CAPTION, interval, places, resamples
from ves.evaluation.retrieval.chance import CUTOFFS, informative
from ves.report.drawing import plots
from ves.report.drawing.page import INK
from ves.report.tables import ranks as rank_tables
from ves.report.tables.ranks import Ranks

STYLES = (  # colour (from dark to light in grey), line, mark, hatch
    ("#1f2a44", "-", "o", ""),
    ("#c2452d", "--", "s", "///"),
    ("#e9a93f", "-.", "^", "..."),
    ("#5f8f7a", (0, (5, 1, 1, 1, 1, 1)), "D", "xxx"),
    ("#9c9cab", (0, (2, 1)), "v", "\\\\\\"),
)
CHANCE = {"color": "#555555", "linestyle": ":", "linewidth": 1.3}
BOUNDS = (1, 5, 10, 20, 50, 100, 200, 500)  # and on: last ranks of the bars
DPI = 150
WAYS = {"A2V": "A2V: a clip looks for its image", "V2A": "V2A: an image looks for its clip"}
RECALLS = ("R@10", "R@5", "R@1")  # by language: the first that depends on the ranks in this gallery
PLAIN = FuncFormatter(lambda value, _: f"{value:,g}")


def draw(config: TableConfig, results: Path, groups: Path, by_language: Path, over_k: Path, histogram: Path) -> None:
    """Write the three PNG files from retrieval_by.csv (`groups`) and the ranks of every run in config.table.

    Raises as `ves.report.tables.ranks.read` does.
    """
    by_way = {way: rank_tables.some(config, results, "paper", direction=way, similarity="own") for way in WAYS}
    with plots.our_style():
        gallery = by_way["A2V"].gallery
        metric = next((name for name in RECALLS if informative(name, gallery)), RECALLS[-1])
        rows = _languages(groups, metric)
        plots.save(_by_language(config.table, rows, metric, gallery, len(config.seeds)), by_language)
        plots.save(_over_k(config.table, by_way, len(config.seeds)), over_k)
        plots.save(_histogram(config.table, by_way, len(config.seeds)), histogram)


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=9)


def _over(seeds: int) -> str:
    """How many trainings a value is a mean over."""
    return "one training each" if seeds == 1 else f"mean of {seeds} trainings"


def _languages(groups: Path, metric: str) -> pl.DataFrame:
    """The rows of retrieval_by.csv that the figure shows, of one metric: all languages together, then each, by its
    training clips."""
    with parquet.naming(groups):
        numbers = dict.fromkeys(("value", "low", "high"), pl.Float64)
        rows = pl.read_csv(groups, schema_overrides={"group": pl.String, "train_clips": pl.Int64} | numbers)
    rows = rows.filter(protocol="multi_positive", direction="A2V", metric=metric)
    rows = rows.filter(pl.col("by").is_in(["all", "language"]))
    everything = pl.col("by") == "all"
    return rows.sort(everything, "train_clips", "group", descending=[True, True, False], nulls_last=True)


def _by_language(table: list[str], rows: pl.DataFrame, metric: str, gallery: int, seeds: int) -> Figure:
    """A line for each language: recall by each run, and beside it the number of clips to train on."""
    shown = rows.filter(loss=table[0])
    names = shown["group"].str.replace_all("$", r"\$", literal=True).to_list()
    figure = plots.figure(8.0, 1.4 + len(names) * (0.14 + 0.1 * len(table)), DPI)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 1])
    step = 0.7 / len(table)
    for i, (loss, (colour, _, mark, _)) in enumerate(zip(table, _styles(table), strict=True)):
        own = rows.filter(loss=loss)
        value, low, high = (own[name].to_numpy() for name in ("value", "low", "high"))
        y = np.arange(len(own)) + (i - (len(table) - 1) / 2) * step
        left.errorbar(
            value, y, xerr=np.stack([value - low, high - value]), fmt=mark, color=colour, label=loss, ms=4.5,
            elinewidth=1.2, markeredgecolor=INK, markeredgewidth=0.4,
        )  # fmt: skip
    left.axvline(rows.filter(loss="chance", by="all")["value"][0], label="chance", **CHANCE)
    for place in range(0, len(names), 2):
        left.axhspan(place - 0.5, place + 0.5, color="#f4f4f4", zorder=0, linewidth=0)
    labels = [f"{name}, n = {n:,}" for name, n in zip(names, shown["n"].to_list(), strict=True)]
    left.set_yticks(range(len(names)), labels)
    left.set_ylim(len(names) - 0.5, -0.5)
    left.set_xlim(0, None)
    text = f"{metric} (%) of all clips, val and val_more, each looking for its image\namong {gallery:,}"
    left.set_xlabel(f"{text}; {CAPTION}; {_over(seeds)}", fontsize=9)
    _training_set(right, shown)
    for axes in (left, right):
        axes.tick_params(labelsize=8)
        axes.tick_params(axis="y", length=0)
        axes.minorticks_off()
    _legend(figure, left)
    return figure


def _training_set(axes: Axes, shown: pl.DataFrame) -> None:
    """The number of clips of each language in train, where there are any."""
    trained = shown.with_row_index("place").filter(pl.col("train_clips") > 0)
    place, clips = trained["place"].to_numpy(), trained["train_clips"].to_numpy()
    axes.plot(clips, place, "o", color="#555555", ms=4)
    for x, y in zip(clips, place, strict=True):
        axes.text(x * 1.25, y, f"{x:,}", va="center", fontsize=7)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(PLAIN)
    if len(clips):
        axes.set_xlim(clips.min() / 3, clips.max() * 8)
    axes.set_xlabel("clips to train on\n(logarithmic)", fontsize=9)


def _styles(table: list[str]) -> list[tuple]:
    return [STYLES[i % len(STYLES)] for i in range(len(table))]


def _shares(ranks: Ranks, name: str, low: Int[np.ndarray, "K"], high: Int[np.ndarray, "K"]) -> Float[np.ndarray, "3 K"]:
    """Percent of queries with a rank in low..high, for each pair of bounds: mean over seeds, and interval."""
    image = places(ranks.image_id)
    inside = (ranks.ranks[name][..., None] >= low) & (ranks.ranks[name][..., None] <= high)  # S Q K
    hits = np.zeros((image.max() + 1, len(low)))
    np.add.at(hits, image, inside.mean(0))
    weights, queries = resamples(len(hits)), np.bincount(image)
    resampled = 100 * (weights @ hits) / (weights @ queries)[:, None]
    return np.stack([100 * hits.sum(0) / len(image), *interval(resampled, len(hits))])


def _over_k(table: list[str], by_way: dict[str, Ranks], seeds: int) -> Figure:
    """Recall against K, both directions, with chance K / n."""
    figure = plots.figure(8.0, 3.9, DPI)
    for axes, (way, one) in zip(figure.subplots(1, 2, sharey=True), by_way.items(), strict=True):
        k = np.geomspace(1, one.gallery, 60).round().astype(int)
        k = np.unique([*k, *(cutoff for cutoff in CUTOFFS if cutoff < one.gallery)])
        marked = np.flatnonzero(np.isin(k, CUTOFFS)).tolist()
        for name, (colour, line, mark, _) in zip(table, _styles(table), strict=True):
            value, low, high = _shares(one, name, np.ones_like(k), k)
            axes.fill_between(k, np.maximum(low, 1e-6), high, color=colour, alpha=0.22, linewidth=0)
            axes.plot(k, value, color=colour, linestyle=line, marker=mark, markevery=marked, ms=4, label=name)
        axes.plot(k, 100 * k / one.gallery, label="chance", **CHANCE)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(PLAIN)
        axes.set_xlim(1, max(2, one.gallery))
        axes.set_yscale("log")  # small recalls are what is compared, and chance is a straight line
        axes.yaxis.set_major_formatter(PLAIN)
        axes.set_ylim(80 / one.gallery, 110)
        axes.grid(color="#e6e6e6", linewidth=0.6)
        axes.set_title(f"{WAYS[way]}, n = {len(one.query):,}", fontsize=9)
        axes.set_xlabel(f"K of {one.gallery:,} (logarithmic)", fontsize=9)
        axes.tick_params(labelsize=8)
    figure.axes[0].set_ylabel("R@K (%, logarithmic)", fontsize=9)
    figure.supxlabel(f"Bands: {CAPTION}; {_over(seeds)}", fontsize=8)
    _legend(figure, figure.axes[0])
    return figure


def _bars(gallery: int) -> tuple[Int[np.ndarray, "K"], Int[np.ndarray, "K"]]:
    """First and last rank of each bar: 1, 2 to 5, 6 to 10, ... up to the size of the gallery."""
    bounds = {*BOUNDS, *(1000 * 10**i * scale for i in range(6) for scale in (1, 2, 5))}
    last = np.array([*sorted(bound for bound in bounds if bound < gallery), gallery])
    return np.append(1, last[:-1] + 1), last


def _histogram(table: list[str], by_way: dict[str, Ranks], seeds: int) -> Figure:
    """Share of queries by rank, in bars that widen, with the share by chance."""
    figure = plots.figure(8.0, 6.0, DPI)
    for axes, (way, one) in zip(figure.subplots(2, 1), by_way.items(), strict=True):
        first, last = _bars(one.gallery)
        width = 0.84 / len(table)
        for i, (name, (colour, _, _, hatch)) in enumerate(zip(table, _styles(table), strict=True)):
            value, low, high = _shares(one, name, first, last)
            x = np.arange(len(first)) + (i - (len(table) - 1) / 2) * width
            bars = axes.bar(
                x, value, width, yerr=np.stack([value - low, high - value]), color=colour, hatch=hatch, label=name,
                edgecolor="white", linewidth=0.4, error_kw={"elinewidth": 0.9, "ecolor": "#000000"},
            )  # fmt: skip
            assert bars.errorbar is not None
            bars.errorbar.lines[2][0].set_path_effects([withStroke(linewidth=2.4, foreground="white")])  # on dark bars
        expected = 100 * (last - first + 1) / one.gallery
        edges = np.arange(len(first) + 1) - 0.5
        axes.stairs(expected, edges, label="chance", **CHANCE)
        spans = [f"{a:,}" if a == b else f"{a:,} to {b:,}" for a, b in zip(first, last, strict=True)]
        axes.set_xticks(range(len(first)), spans)
        axes.set_xlim(-0.5, len(first) - 0.5)
        axes.tick_params(labelsize=8)
        axes.set_ylabel("queries (%)", fontsize=9)
        axes.set_title(f"{WAYS[way]}, n = {len(one.query):,}", fontsize=9)
    figure.axes[-1].set_xlabel(f"rank of the right one, in groups. Whiskers: {CAPTION}; {_over(seeds)}", fontsize=9)
    _legend(figure, figure.axes[0])
    return figure
