"""The picture of splits.md: how many clips of each language are in which split."""

from pathlib import Path

import polars as pl
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager

FONTS = Path(__file__).parent / "fonts"  # languages of own pairs may be named in their scripts
LATIN = FONTS / "NotoSans-Regular.ttf"

# of one language the bars stand one before the other, from the floor, the longest and widest behind
COLOURS = {"train": "#9db4c8", "dropped": "#d9d2c5", "val_more": "#e8a33d", "val": "#b3402a", "tune": "#3b5b7a"}
STRIPES = {"high": "#ffffff", "mid": "#f1f1f1", "low": "#ffffff"}
INK = "#1b1b1f"
DPI, HEIGHT, WIDTH_EACH, MARGIN, LEAST_WIDTH = 110, 5.5, 0.19, 1.5, 5.0  # inches but for DPI


def draw(languages: pl.DataFrame, path: Path) -> None:
    """A PNG of `ves.split_page.by_language`; the same counts give the same bytes."""
    with rc_context({"font.family": _families()}):
        _figure(languages).savefig(path, format="png", metadata={"Software": None})


def _families() -> list[str]:
    """Our fonts, known to matplotlib by these names: the next has what one lacks."""
    files = [LATIN, *sorted(set(FONTS.glob("*.ttf")) - {LATIN})]
    for file in files:
        fontManager.addfont(file)
    return [FontProperties(fname=file).get_name() for file in files]


def _figure(languages: pl.DataFrame) -> Figure:
    languages = languages.sort("all", "language", descending=[True, False])
    width = max(LEAST_WIDTH, MARGIN + WIDTH_EACH * len(languages))
    figure = Figure(figsize=(width, HEIGHT), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _bars(axes, languages)
    _strata(axes, languages)
    axes.set_yscale("log")
    axes.set_ylim(0.7, 2.5 * languages["all"].to_numpy().max())
    axes.set_xlim(-0.6, len(languages) - 0.4)
    axes.set_xticks(range(len(languages)), languages["language"].cast(pl.String).to_list())
    axes.tick_params(axis="x", labelrotation=90 if len(languages) > 12 else 0, length=0, labelsize=8)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_ylabel("clips (logarithmic)", fontsize=9, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=6, frameon=False, fontsize=9)
    return figure


def _bars(axes: Axes, languages: pl.DataFrame) -> None:
    """One bar for each language and split, in front of those that are longer."""
    for place, row in enumerate(languages.iter_rows(named=True)):
        longest = sorted(COLOURS, key=lambda name: (-row[name], name))
        for depth, name in enumerate(longest):
            axes.bar(place, row[name], 0.88 - 0.14 * depth, color=COLOURS[name], zorder=2 + depth)
    for name, colour in COLOURS.items():
        axes.bar(0, 0, color=colour, label=name)


def _strata(axes: Axes, languages: pl.DataFrame) -> None:
    """A stripe behind the languages of each stratum, with its name."""
    for stratum, n in languages.group_by("stratum", maintain_order=True).len().iter_rows():
        first = languages["stratum"].index_of(stratum)
        assert first is not None
        axes.axvspan(first - 0.5, first + n - 0.5, color=STRIPES[stratum], zorder=0, linewidth=0)
        if first:
            axes.axvline(first - 0.5, color=INK, linewidth=0.6, linestyle=":", zorder=1)
        axes.text(first - 0.4, 0.99, stratum, transform=axes.get_xaxis_transform(), va="top", fontsize=9, color=INK)
