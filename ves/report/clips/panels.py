"""Four-panel rows, as the sound-localisation literature shows its results: picture, heatmap, strongest region, cut-out.

The strongest region is joined to the hottest patch and nearer to the greatest value of its own heatmap than to the
median (Spotlight.region): above the middle of the range alone, that of a flat heatmap with one dark spot would be
everything but the spot. A flat heatmap has none. Lengths are pixels of the page.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from ves.report.clips.plate import Plate, meaning_of, panel
from ves.report.drawing import lettering
from ves.report.drawing.overlay import outline
from ves.report.drawing.page import GAP, INK, MARGIN, PAPER, QUIET, centred, lights, paragraph, size_within
from ves.report.drawing.spotlight import RIM

BOX = (230, 172)  # a panel fits in
LEFT = 190  # width of the words
COLUMNS = ("picture", "spotlight", "strongest region", "cut-out")
KEY = (
    "{run}: lit are the patches that are more like what is said than the median patch is, by {measure}; white "
    "dot: the most similar patch. {outlined}Strongest region, in orange: what is joined to that patch and nearer to "
    "its similarity than to the median. Where no patch stands out there is none (“flat”)."
)
OUTLINED = "Blue line: the object that the word names. "


def _four(plate: Plate, run: str, size: tuple[int, int]) -> list[Image.Image]:
    """The panels of a plate's first word."""
    picture = plate.picture.resize(size, Image.Resampling.LANCZOS)
    region = plate.spotlight(run, 0).region(plate.geometry(size).on_picture(plate.heats[run][0]))
    mask = Image.fromarray(region.astype(np.uint8) * 255)
    outlined = picture.copy()
    outline(outlined, mask, RIM)
    return [
        picture,
        panel(plate, run, 0, size),
        outlined,
        Image.composite(picture, Image.new("RGB", size, PAPER), mask),
    ]


def _row(page: Image.Image, plate: Plate, run: str, y: int, lefts: Sequence[int]) -> int:
    """One clip: its word and the four panels; returns the y below."""
    word, width = plate.spoken[0], LEFT - 2 * GAP
    size = size_within(plate.picture, BOX)
    down = paragraph(page, (MARGIN, y), plate.language, 13, width, QUIET, "")
    text = lettering.fitting(word.text, 27, width, plate.language)
    down = paragraph(page, (MARGIN, down + 2), word.text, text, width, INK, plate.language)
    down = paragraph(page, (MARGIN, down + 2), meaning_of(word), 15, width, QUIET, "")
    down = lights(page, (MARGIN, down + 10), width, 12)
    for left, picture in zip(lefts, _four(plate, run, size), strict=True):
        page.paste(picture, (left + (BOX[0] - size[0]) // 2, y))
    return max(down, y + size[1])


def compose(plates: Sequence[Plate], run: str) -> Image.Image:
    """A row for each of these plates (of one word each: Viewing.first) by one run."""
    lefts = [MARGIN + LEFT + i * (BOX[0] + GAP) for i in range(len(COLUMNS))]
    page = Image.new("RGB", (lefts[-1] + BOX[0] + MARGIN, 200 + 300 * len(plates)), PAPER)
    for left, name in zip(lefts, COLUMNS, strict=True):
        centred(page, left + BOX[0] // 2, MARGIN + 10, name, 17, INK, "")
    y = MARGIN + 26
    for plate in plates:
        y = _row(page, plate, run, y, lefts) + GAP
    known = any(mask is not None for plate in plates for mask in plate.masks[:1])
    key = KEY.format(run=run, measure=plates[0].measure, outlined=OUTLINED * known)
    y = paragraph(page, (MARGIN, y), key, 13, page.width - 2 * MARGIN, QUIET, "")
    return page.crop((0, 0, page.width, y + MARGIN // 2))
