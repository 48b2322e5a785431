"""Figures and table of the words of each language: where they point, and whether those for one thing lie together."""

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ves.base.files import atomic
from ves.config.experiment import run_config
from ves.evaluation.provenance import refuse_other_split
from ves.evaluation.truth import NoTruth
from ves.evaluation.words import Words, collect, translations
from ves.report.drawing import plots
from ves.store.embeddings import load

DPI = 150
COLUMNS = {"language": pl.String, "kind": pl.String, "text": pl.String, "n": pl.Int64, "pointing": pl.Float64}
MAPPED = 6  # kinds on the map: of more, a plane shows nothing
MOST = 60  # kinds in the figure of pointing: those with the most nouns
COLOURS = ("#1f2a44", "#c2452d", "#e9a93f", "#5f8f7a", "#7b4fa3", "#3f8fc4")
MARKS = ("o", "s", "^", "D", "v", "P")


def write(run: Path, store: Path, truth: Path, table: Path, map_figure: Path, pointing_figure: Path) -> None:
    """Write words.csv, words.png and pointing_by_word.png of one run's embeddings of val.

    Where the corpus does not say when nouns are spoken, or what they name, the table is empty and the figures say why.
    """
    config, embeddings = run_config(run), load(store)
    refuse_other_split(embeddings, store, config.data.splits)
    with plots.our_style():
        try:
            words = collect(embeddings, config.data, truth)
            rows, name = words.table, config.run
            figures = [words_figure(words, translations(words), name), pointing_figure_of(rows, name)]
        except NoTruth as reason:
            rows, figures = pl.DataFrame(schema=COLUMNS), [_nothing(str(reason))] * 2
        for figure, path in zip(figures, (map_figure, pointing_figure), strict=True):
            plots.save(figure, path)
    with atomic(table) as temporary:
        rows.with_columns(pl.col("pointing").round(2)).write_csv(temporary)


def _nothing(why: str) -> Figure:
    """A figure that says why it is empty."""
    figure = plots.figure(8.0, 1.0, DPI)
    figure.text(0.5, 0.5, plain([f"Words are not compared: {why}"])[0], ha="center", fontsize=9)
    return figure


def plain(names: list[str]) -> list[str]:
    """Names in which a dollar sign begins no mathematics."""
    return [name.replace("$", r"\$") for name in names]


def words_figure(words: Words, pairs: pl.DataFrame, run: str) -> Figure:
    """The map of some kinds; beside it the table of translations, where there are two languages with common words."""
    figure = plots.figure(12.0 if len(pairs) else 6.4, 5.8, DPI)
    axes = figure.subplots(1, 2 if len(pairs) else 1, width_ratios=[1.1, 1] if len(pairs) else None, squeeze=False)[0]
    _map(axes[0], words)
    if len(pairs):
        _matrix(axes[1], words.languages, pairs)
    figure.suptitle(f"Words of {len(words.languages)} languages, as {run} hears them", fontsize=11)
    return figure


def mapped_kinds(table: pl.DataFrame) -> list[str]:
    """The kinds on the map: of those with a word in the most languages, MAPPED in the order of a hash."""
    spread = table.group_by("kind").agg(pl.col("language").n_unique())
    widest = spread.filter(pl.col("language") == pl.col("language").max())["kind"].to_list()
    return sorted(widest, key=lambda kind: hashlib.sha256(kind.encode()).digest())[:MAPPED]


def principal_plane(tokens: Float[np.ndarray, "M D"]) -> Float[np.ndarray, "M 2"]:
    """Coordinates in the plane of the two largest principal components."""
    centred = tokens - tokens.mean(0)
    left, scale, _ = np.linalg.svd(centred, full_matrices=False)
    return np.pad(left * scale, ((0, 0), (0, 2)))[:, :2]


def _map(axes: Axes, words: Words) -> None:
    """A mark for each word, coloured by its kind, with the beginning of its language's name."""
    kinds = mapped_kinds(words.table)
    rows = words.table["kind"].is_in(kinds).to_numpy()
    shown, places = words.table.filter(rows), principal_plane(words.tokens[rows])
    for kind, colour, mark in zip(kinds, COLOURS, MARKS, strict=False):
        of_kind = (shown["kind"] == kind).to_numpy()
        axes.plot(*places[of_kind].T, mark, color=colour, ms=6, label=plain([kind])[0], alpha=0.85)
    beginnings = plain([language[:3] for language in shown["language"]])
    for (x, y), beginning in zip(places, beginnings, strict=True):
        axes.annotate(beginning, (x, y), (4, 3), textcoords="offset points", fontsize=6, color="#555555")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("#bbbbbb")
    axes.set_title(
        "Words for some things, chosen by a hash: mean audio tokens,\nin the plane of their two largest components",
        fontsize=9,
    )
    axes.legend(loc="best", fontsize=8, frameon=True, framealpha=0.9)


def _matrix(axes: Axes, languages: list[str], pairs: pl.DataFrame) -> None:
    """Percent of things whose nearest word in the language of the column is the right one."""
    values = np.full((len(languages), len(languages)), np.nan)
    for language, other, _, translated, _ in pairs.iter_rows():
        values[languages.index(language), languages.index(other)] = translated
    _shade(axes, values, plain(languages), plain(languages))
    mean, chance = (pairs[name].to_numpy().mean() for name in ("translated", "chance"))
    axes.set_title(
        "Things whose nearest word in the language of the column is the right one (%):\n"
        f"mean {mean:.0f}, chance {chance:.1f}",
        fontsize=9,
    )


def pointing_figure_of(table: pl.DataFrame, run: str) -> Figure:
    """Percent of the nouns of each word that point to their thing: kinds down, languages across, the best first."""

    def overall(by: str) -> pl.DataFrame:
        weighted = (pl.col("pointing") * pl.col("n")).sum() / pl.col("n").sum()
        return table.group_by(by).agg(weighted.alias("mean"), pl.col("n").sum())

    kinds = (
        overall("kind")
        .sort("n", "kind", descending=[True, False])
        .head(MOST)
        .sort("mean", "kind", descending=[True, False])
    )
    languages = overall("language").sort("mean", "language", descending=[True, False])
    values = np.full((len(kinds), len(languages)), np.nan)
    row, column = kinds["kind"].to_list(), languages["language"].to_list()
    for language, kind, value in table.select("language", "kind", "pointing").iter_rows():
        if kind in row:
            values[row.index(kind), column.index(language)] = value
    figure = plots.figure(2.2 + 0.55 * len(languages), 1.6 + 0.2 * len(kinds), DPI)
    axes = figure.add_subplot()
    names = [
        [f"{name}  {mean:.0f}" for name, mean in zip(plain(part[by].to_list()), part["mean"], strict=True)]
        for part, by in ((kinds, "kind"), (languages, "language"))
    ]
    _shade(axes, values, *names)
    left_out = table["kind"].n_unique() - len(kinds)
    more = f"; {left_out} rarer kinds are not shown" if left_out else ""
    axes.set_title(f"Spoken nouns of {run} that point to their thing (%), and their means{more}", fontsize=9)
    return figure


def _shade(axes: Axes, values: Float[np.ndarray, "R C"], rows: list[str], columns: list[str]) -> None:
    """A cell for each value in 0..100, darker where it is higher, with its number; white where there is none."""
    axes.imshow(values, cmap="YlGnBu", vmin=0, vmax=100, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            axes.text(
                j, i, f"{value:.0f}", ha="center", va="center", fontsize=6, color="white" if value > 60 else "#222222"
            )
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right", fontsize=7)
    axes.set_yticks(range(len(rows)), rows, fontsize=7)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
