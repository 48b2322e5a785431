"""Figure 1: one spoken word in each row, its picture, and what every objective finds most similar to the word.

Rows are validation clips in the order of a hash, each in another language until there are no more; the word is the
first noun that names something in the picture. Neither a person nor a score picked them, so failures show. Without word
timings a row shows the moment of sharpest similarity (over all runs), and says so, with the transcript if there is one.
Columns go from the objective with the greatest weight on the best patch to the one with the least.

The panels are spotlights (ves.report.drawing.spotlight) and share one scale in each row: what is hardly dimmed in one
column stands out less than what is dark in another. Below each panel stand its numbers. Text is pixels, in the PDF too:
what shapes these scripts here gives pixels, not outlines. Lengths are points of the printed figure, ZOOM pixels each.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from ves.base.files import atomic
from ves.config.experiment import DataPaths
from ves.report.clips.comparison import compare
from ves.report.clips.lookup import Corpus
from ves.report.clips.plate import Plate, meaning_of, panel, plate_of
from ves.report.clips.viewing import Viewing
from ves.report.clips.views import views
from ves.report.drawing import lettering
from ves.report.drawing.page import INK, PAPER, QUIET, centred, coloured, paragraph, size_within
from ves.report.drawing.transliteration import transliterate

ZOOM = 4  # 288 pixels to an inch
WIDTH = 504  # 7 inches, both columns of a page
MARGIN, GAP, LEFT = 6, 6, 92
ASPECT, WIDEST = 0.76, 130  # of a panel's box, and how wide that is at most
RULE, SAID = "#d6d6dc", "#a3104f"  # between rows; the word within the description
RIGHT, WRONG = "#0b7a4b", "#b3261e"
KEY = (
    "Lit: the patches that are more like what is said than the median patch is; orange: the strongest region; white "
    "dot: the most similar patch.{outlined} A panel dims as much as that patch stands out, by one scale in each row; "
    "below it: {measure} of the median and of the most similar patch. Under each name: what it was trained to "
    "make large for pairs that belong together (max_mean: each moment of speech with its best patch; mean_mean: all "
    "speech with all patches). Rows are chosen by a hash, {what}."
)
OUTLINED = " Blue: the object that the word names; a model is right where the dot lies on it."
FIRST = "and the word is the first noun of each: no score had a say"
SHARPEST = "and the moment of each is that at which any patch is most like the speech, all models taken together"


def _said(page: Image.Image, viewing: Viewing, start_s: float, y: int) -> int:
    """The description over the whole width, with the word that starts at this second in colour; returns the y below."""
    x, width = MARGIN * ZOOM, (WIDTH - 2 * MARGIN) * ZOOM
    pieces = [(word.text, SAID if word.start_s == start_s else INK) for word in viewing.words]
    y = coloured(page, (x, y), pieces or [(viewing.transcript, INK)], 9 * ZOOM, width, viewing.language)
    letters = [(transliterate(word.text), SAID if word.start_s == start_s else QUIET) for word in viewing.words]
    y = coloured(page, (x, y + ZOOM), letters or [(transliterate(viewing.transcript), QUIET)], 6 * ZOOM, width, "")
    meanings = [(f"{word.english} ·", SAID if word.start_s == start_s else QUIET) for word in viewing.words[:-1]]
    meanings += [(word.english, SAID if word.start_s == start_s else QUIET) for word in viewing.words[-1:]]
    return coloured(page, (x, y + ZOOM), meanings, 6 * ZOOM, width, "") + 2 * ZOOM


def _word(page: Image.Image, plate: Plate, y: int) -> int:
    """The word, left of the panels; returns the y below."""
    word, x, width = plate.spoken[0], MARGIN * ZOOM, (LEFT - 2 * GAP) * ZOOM
    y = paragraph(page, (x, y), plate.language, 6 * ZOOM, width, QUIET, "")
    size = lettering.fitting(word.text, 14 * ZOOM, width, plate.language)
    y = paragraph(page, (x, y + ZOOM), word.text, size, width, SAID, plate.language)
    return paragraph(page, (x, y + ZOOM), meaning_of(word), 7 * ZOOM, width, INK, "")


def _numbers(page: Image.Image, plate: Plate, run: str, middle: int, y: int) -> None:
    """Below a panel: whether it is right, and the similarity of its median and its most similar patch."""
    spot, right = plate.spotlight(run, 0), plate.right(run, 0)
    verdict = {True: "right", False: "wrong", None: ""}[right]
    values = f"{spot.median:.2f} to {spot.top:.2f}".replace("-", "−")
    pieces = [(f"{verdict} · " if verdict else "", RIGHT if right else WRONG), (values, QUIET)]
    widths = [lettering.measure(text, 6 * ZOOM).width + ZOOM * text.endswith(" ") for text, _ in pieces]
    x = middle - sum(widths) // 2
    for (text, colour), width in zip(pieces, widths, strict=True):
        lettering.draw(page, (x, y), text, 6 * ZOOM, colour)
        x += width


def _row(page: Image.Image, viewing: Viewing, y: int, lefts: Sequence[int], box: tuple[int, int]) -> int:
    """One clip; returns the y below."""
    plate = plate_of(viewing)
    y = _said(page, viewing, plate.spoken[0].start_s, y)
    below = _word(page, plate, y)
    size = size_within(plate.picture, box)
    panels = [
        plate.picture.resize(size, Image.Resampling.LANCZOS),
        *(panel(plate, run, 0, size) for run in plate.heats),
    ]
    for left, picture in zip(lefts, panels, strict=True):
        page.paste(picture, (left + (box[0] - size[0]) // 2, y))
    for left, run in zip(lefts[1:], plate.heats, strict=True):
        _numbers(page, plate, run, left + box[0] // 2, y + size[1] + 8 * ZOOM)
    return max(below, y + size[1] + 10 * ZOOM)


def _objective(weights: Mapping[str, float]) -> str:
    """Such as "0.7 max_mean + 0.3 mean_mean": the similarities that a run was trained on, with their weights."""
    return " + ".join(name if weight == 1 else f"{weight:g} {name}" for name, weight in weights.items())


def compose(viewings: Sequence[Viewing], objectives: Mapping[str, Mapping[str, float]]) -> Image.Image:
    """The figure of these clips, a row for each, a column for each run; `objectives` are those of the runs."""
    names = ["picture", *viewings[0].similarity]
    wide = min((WIDTH - 2 * MARGIN - LEFT - (len(names) - 1) * GAP) // len(names), WIDEST)
    box = (wide * ZOOM, round(ASPECT * wide) * ZOOM)
    lefts = [(MARGIN + LEFT + i * (wide + GAP)) * ZOOM for i in range(len(names))]
    page = Image.new("RGB", (WIDTH * ZOOM, (100 + 400 * len(viewings)) * ZOOM), PAPER)
    for left, name in zip(lefts, names, strict=True):
        centred(page, left + box[0] // 2, (MARGIN + 8) * ZOOM, name, 9 * ZOOM, INK, "")
        centred(
            page, left + box[0] // 2, (MARGIN + 16) * ZOOM, _objective(objectives.get(name, {})), 6 * ZOOM, QUIET, ""
        )
    y, pen = (MARGIN + 22) * ZOOM, ImageDraw.Draw(page)
    for viewing in viewings:
        pen.line((MARGIN * ZOOM, y, page.width - MARGIN * ZOOM, y), fill=RULE, width=ZOOM // 2)
        y = _row(page, viewing.first(), y + 3 * ZOOM, lefts, box) + GAP * ZOOM
    timed = any(viewing.words for viewing in viewings)
    outlined = any(mask is not None for viewing in viewings for mask in viewing.masks)
    key = KEY.format(measure=viewings[0].measure, outlined=OUTLINED * outlined, what=FIRST if timed else SHARPEST)
    y = paragraph(page, (MARGIN * ZOOM, y), key, 7 * ZOOM, (WIDTH - 2 * MARGIN) * ZOOM, QUIET, "")
    return page.crop((0, 0, page.width, y + MARGIN * ZOOM))


def draw(runs: list[Path], data: DataPaths, pictures: Path, truth: Path, clips: int, out: Path) -> None:
    """Write the figure of `clips` validation clips by these runs (run directories, embedded) to `out`, a PNG, and
    beside it as PDF, 7 inches wide.

    Same input, same bytes. `truth` may be absent. Raises ValueError as ves.report.clips.views.views does.
    """
    comparison = compare(runs).by_locality()
    page = compose(
        views(comparison, Corpus(comparison.first, data, pictures, truth), clips),
        {run: stored.attrs["objective"] for run, stored in comparison.runs.items()},
    )
    dpi = 72 * ZOOM
    with atomic(out.with_suffix(".pdf")) as temporary:  # no dates: they would differ each time
        page.save(temporary, "PDF", resolution=dpi, quality=95, subsampling=0, creationDate=None, modDate=None)
    with atomic(out) as temporary:
        page.save(temporary, "PNG", dpi=(dpi, dpi), compress_level=4)
