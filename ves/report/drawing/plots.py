"""What all plots share: our fonts, a style that no matplotlibrc of the user changes, and PNG files that carry no date.

The same numbers give the same bytes.
"""

from contextlib import AbstractContextManager
from pathlib import Path

from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager

from ves.base.files import atomic
from ves.report.drawing.lettering import FONTS

LATIN = FONTS / "NotoSans-Regular.ttf"


def families() -> list[str]:
    """The names by which matplotlib knows our fonts. Languages may be named in their scripts: what one font lacks, the
    next has."""
    files = [LATIN, *sorted(set(FONTS.glob("[!.]*.ttf")) - {LATIN})]
    for file in files:
        fontManager.addfont(file)
    return [FontProperties(fname=file).get_name() for file in files]


def our_style() -> AbstractContextManager[None]:
    """matplotlib's own defaults, with our fonts and open at the top and on the right."""
    ours = {"font.family": families(), "axes.spines.top": False, "axes.spines.right": False}
    return style.context(["default", ours])


def figure(width: float, height: float, dpi: int) -> Figure:
    """An empty figure, so many inches wide and high."""
    made = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
    FigureCanvasAgg(made)
    return made


def save(plot: Figure, path: Path) -> None:
    """Write a PNG, whole or not at all."""
    with atomic(path) as temporary:
        plot.savefig(temporary, format="png", metadata={"Software": None})
