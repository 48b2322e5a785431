"""Pages of heatmaps, composed: one clip with its words and runs (a plate), and some clips at a glance (the overview).

Every panel is the picture as it was given, unsquashed. Lengths are pixels of the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from ves import lettering
from ves.geometry import Geometry
from ves.localisation import hottest
from ves.overlay import MARK, OBJECT, Box, Scale, colour_bar, mark, outline, scale_of, tint
from ves.spoken import Spoken

INK, QUIET, PAPER = "#1b1b1f", "#6a6a73", "#ffffff"
MARGIN, GAP = 28, 14
PLATE_BOX, OVERVIEW_BOX = (250, 200), (216, 162)  # a panel fits in
WIDEST_CAPTION = 190  # column of a narrow picture: its words need room
OVERVIEW_ROWS = 6
MEANING = "Cosine similarity of what is said to each patch, one scale"
MOST_SIMILAR, NAMED = "the most similar patch", "the object named"


@dataclass(frozen=True, eq=False)
class Plate:
    """What is known of one clip. `heats` holds, per run, one heatmap [rows, columns] for each of `spoken`."""

    clip_id: str
    language: str
    description: str  # in its script; empty where unknown
    gloss: str
    picture: Image.Image
    image_size: int
    fit: str
    spoken: Sequence[Spoken]
    masks: Sequence[np.ndarray | None]  # of the object that each of `spoken` names, at the picture's resolution
    heats: Mapping[str, Sequence[np.ndarray]]

    @property
    def scale(self) -> Scale:
        """One for all panels: from the least to the greatest similarity of any run, word and patch that shows some."""
        rows, columns = next(iter(self.heats.values()))[0].shape
        shown = Geometry(*self.picture.size, self.image_size, self.fit).patch_mask(rows, columns)
        return scale_of(heat.ravel()[shown] for heats in self.heats.values() for heat in heats)


def size_within(picture: Image.Image, box: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the picture, as large as fits in a box, its aspect ratio kept."""
    ratio = min(box[0] / picture.width, box[1] / picture.height)
    return max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio))


def panel(plate: Plate, run: str, word: int, size: tuple[int, int]) -> Image.Image:
    """The picture with the heatmap of one word over it, the object outlined, the hottest patch marked."""
    heat, mask = plate.heats[run][word], plate.masks[word]
    geometry = Geometry(*size, plate.image_size, plate.fit)  # of the picture as drawn: the same square, other pixels
    laid = tint(plate.picture.resize(size, Image.Resampling.LANCZOS), geometry.on_picture(heat), plate.scale)
    if mask is not None:
        outline(laid, Image.fromarray(mask.astype(np.uint8) * 255))
    mark(laid, geometry.patch_boxes(*heat.shape)[hottest(heat.ravel(), geometry.patch_mask(*heat.shape))])
    return laid


def _paragraph(
    page: Image.Image, at: tuple[int, int], text: str, size: int, width: int, colour: str, language: str
) -> int:
    """Write `text` below y, in lines of `width`, flush right where the script is; returns the y below it."""
    x, y = at
    lines = lettering.wrap(text, size, width, language)
    extents = [lettering.measure(line, size, language) for line in lines]
    widest = max((extent.width for extent in extents), default=0)
    for line, extent in zip(lines, extents, strict=True):
        y += max(extent.above, round(size * 0.95))
        left = x + (widest - extent.width if lettering.right_to_left(line) else 0)
        lettering.draw(page, (left, y), line, size, colour, language)
        y += max(extent.below, round(size * 0.3)) + round(size * 0.1)
    return y


def _bar(page: Image.Image, at: tuple[int, int], width: int, scale: Scale) -> int:
    """The colours of a scale with numbers at its ends and its middle; returns the y below."""
    x, y = at
    page.paste(colour_bar(width, 12), (x, y))
    for place, value in ((0, scale.low), (0.5, (scale.low + scale.high) / 2), (1, scale.high)):
        text = f"{value:.2f}".replace("-", "−")
        length = lettering.measure(text, 13).width
        lettering.draw(page, (x + round(place * (width - length)), y + 27), text, 13, QUIET)
    return y + 36


def _legend(page: Image.Image, at: tuple[int, int], width: int, plate: Plate) -> int:
    """What colours and lines mean; returns the y below."""
    x, y = at
    y = _paragraph(page, (x, y), f"{MEANING} for all panels", 13, width, QUIET, "")
    y = _bar(page, (x, y + 6), width, plate.scale) + 4
    entries = [(MARK, MOST_SIMILAR)]
    if any(mask is not None for mask in plate.masks):
        entries.append((OBJECT, NAMED))
    pen = ImageDraw.Draw(page)
    for colour, text in entries:
        pen.rectangle((x, y, x + 17, y + 17), fill="#57407a")
        pen.rectangle((x + 4, y + 4, x + 13, y + 13), outline=colour, width=2)
        _paragraph(page, (x + 25, y), text, 13, width - 25, QUIET, "")
        y += 24
    return y


def _run_name(page: Image.Image, name: str, x: int, top: int, height: int) -> None:
    """Upright along the left edge of a row."""
    extent = lettering.measure(name, 17)
    strip = Image.new("RGB", (extent.width + 2, 24), PAPER)
    lettering.draw(strip, (1, 17), name, 17, INK)
    turned = strip.rotate(90, expand=True)
    page.paste(turned, (x, top + (height - turned.height) // 2))


def _captions(page: Image.Image, plate: Plate, columns: Sequence[int], top: int, width: int) -> int:
    """The word, its English, its time, above each column; returns the y below them."""
    sizes = [lettering.fitting(word.text, 23, width, plate.language) for word in plate.spoken]
    extents = [
        lettering.measure(word.text, size, plate.language) for word, size in zip(plate.spoken, sizes, strict=True)
    ]
    baseline = top + max(extent.above for extent in extents)
    below = baseline + max(6, *(extent.below for extent in extents))
    for word, x, size in zip(plate.spoken, columns, sizes, strict=True):
        lettering.draw(page, (x, baseline), word.text, size, INK, plate.language)
        lettering.draw(page, (x, below + 16), word.english, 15, QUIET)
        when = lettering.measure(word.when, 13).width
        lettering.draw(page, (x + width - when, below + 16), word.when, 13, QUIET)
    return below + 26


def compose(plate: Plate) -> tuple[Image.Image, dict[tuple[str, int], Box]]:
    """The plate, a row of panels for each run and a column for each word, with the box of each panel in it."""
    size = size_within(plate.picture, PLATE_BOX)
    first, column = max(size[0], WIDEST_CAPTION), max(size[0], WIDEST_CAPTION - 30)
    start = MARGIN + first + GAP + 34
    columns = [start + i * (column + GAP) for i in range(len(plate.spoken))]
    width = max(columns[-1] + column + MARGIN, 800)
    page = Image.new("RGB", (width, 1200 + len(plate.heats) * (size[1] + GAP)), PAPER)
    title = plate.language if plate.description else f"{plate.language}, clip {plate.clip_id[:8]}"
    y = _paragraph(page, (MARGIN, MARGIN - 6), title, 15, width - 2 * MARGIN, QUIET, "")
    y = _paragraph(page, (MARGIN, y + 2), plate.description, 27, width - 2 * MARGIN, INK, plate.language)
    y = _paragraph(page, (MARGIN, y + 2), plate.gloss, 16, width - 2 * MARGIN, QUIET, "")
    top = _captions(page, plate, columns, y + 18, column)
    page.paste(plate.picture.resize(size, Image.Resampling.LANCZOS), (MARGIN, top))
    bottom = _legend(page, (MARGIN, top + size[1] + GAP), first, plate)
    boxes: dict[tuple[str, int], Box] = {}
    for row, run in enumerate(plate.heats):
        down = top + row * (size[1] + GAP)
        _run_name(page, run, start - 32, down, size[1])
        for word, x in enumerate(columns):
            page.paste(panel(plate, run, word, size), (x, down))
            boxes[run, word] = (x, down, x + size[0], down + size[1])
        bottom = max(bottom, down + size[1])
    return page.crop((0, 0, width, bottom + MARGIN)), boxes


def _row(page: Image.Image, plate: Plate, y: int, lefts: Sequence[int]) -> int:
    """One clip of the overview: its first noun, the picture, a panel for each run; returns the y below."""
    roles = [word.role for word in plate.spoken]
    word = roles.index("noun") if "noun" in roles else 0
    spoken, size = plate.spoken[word], size_within(plate.picture, OVERVIEW_BOX)
    width = lefts[0] - MARGIN - 2 * GAP
    down = _paragraph(page, (MARGIN, y), plate.language, 14, width, QUIET, "")
    down = _paragraph(page, (MARGIN, down + 4), spoken.text, 29, width, INK, plate.language)
    down = _paragraph(page, (MARGIN, down), spoken.english, 17, width, QUIET, "")
    down = _bar(page, (MARGIN, down + 14), width, plate.scale)
    panels = [
        plate.picture.resize(size, Image.Resampling.LANCZOS),
        *(panel(plate, run, word, size) for run in plate.heats),
    ]
    for left, drawn in zip(lefts, panels, strict=True):
        page.paste(drawn, (left + (OVERVIEW_BOX[0] - size[0]) // 2, y))
    return max(down, y + size[1])


def overview(plates: Sequence[Plate]) -> Image.Image:
    """The first OVERVIEW_ROWS clips in rows: a spoken noun, the picture, and its heatmap by each run."""
    names = ["picture", *plates[0].heats]
    lefts = [MARGIN + 200 + i * (OVERVIEW_BOX[0] + GAP) for i in range(len(names))]
    page = Image.new("RGB", (lefts[-1] + OVERVIEW_BOX[0] + MARGIN, MARGIN + 400 * OVERVIEW_ROWS), PAPER)
    for left, name in zip(lefts, names, strict=True):
        centre = left + (OVERVIEW_BOX[0] - lettering.measure(name, 17).width) // 2
        lettering.draw(page, (centre, MARGIN + 10), name, 17, INK)
    y = MARGIN + 26
    for plate in plates[:OVERVIEW_ROWS]:
        y = _row(page, plate, y, lefts) + GAP
    key = f"{MEANING} in each row. White: {MOST_SIMILAR}." + f" Blue: {NAMED}." * any(
        mask is not None for mask in plates[0].masks
    )
    y = _paragraph(page, (MARGIN, y), key, 13, page.width - 2 * MARGIN, QUIET, "")
    return page.crop((0, 0, page.width, y + MARGIN // 2))
