"""A plate: one clip on a page, a row of heatmaps for each run and a column for each word.

Every panel has the aspect ratio of the picture and is a spotlight (ves.report.drawing.spotlight) or, for who asks for
values, a map of colours. Lengths are pixels of the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image, ImageDraw

from ves.evaluation.localisation.pointing import centres_inside, hottest
from ves.media.geometry import Geometry
from ves.report.clips.spoken import Spoken
from ves.report.clips.viewing import COSINE, Viewing
from ves.report.drawing import lettering
from ves.report.drawing.overlay import OBJECT, Box, Scale, mark, outline, scale_of, tint
from ves.report.drawing.page import (
    GAP,
    INK,
    MARGIN,
    PAPER,
    QUIET,
    bar,
    lights,
    paragraph,
    row_height,
    size_within,
    upright,
)
from ves.report.drawing.spotlight import Spotlight, lit, of_patches, say_flat
from ves.report.drawing.transliteration import transliterate

PLATE_BOX = (250, 200)  # a panel fits in
WIDEST_CAPTION = 190  # column of a narrow picture: its words need room
MEANING = "{measure} of what is said to each patch, one scale for all panels"
SPOT = (
    "Lit: patches that are more like what is said than the median patch is; orange: the strongest region. A panel dims "
    "as much as its best patch stands out; where none does, it is flat."
)
MOST_SIMILAR, NAMED = "most similar patch", "the object named"


@dataclass(frozen=True, eq=False)
class Plate:
    """What a plate shows of one clip. `heats` has, for each run, one heatmap [rows, columns] for each of `spoken`."""

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
    measure: str = COSINE

    @cached_property
    def scale(self) -> Scale:
        """One for all panels: that of every run, every word and the patches that show some of the picture."""
        rows, columns = next(iter(self.heats.values()))[0].shape
        shown = self.geometry(self.picture.size).patch_mask(rows, columns)
        return scale_of(heat.ravel()[shown] for heats in self.heats.values() for heat in heats)

    def geometry(self, size: tuple[int, int]) -> Geometry:
        """The geometry of the picture at another size (width, height): the same square, other pixels."""
        return Geometry(*size, self.image_size, self.fit)

    def spotlight(self, run: str, word: int) -> Spotlight:
        return of_patches(self.heats[run][word], self.geometry(self.picture.size), self.scale)

    def best(self, run: str, word: int) -> int:
        """The patch that a run finds most similar to a word."""
        heat = self.heats[run][word]
        return hottest(heat.ravel(), self.geometry(self.picture.size).patch_mask(*heat.shape))

    def right(self, run: str, word: int) -> bool | None:
        """Whether the centre of that patch lies on the object that the word names: the pointing game. None where the
        object is not known."""
        if (mask := self.masks[word]) is None:
            return None
        boxes = self.geometry(self.picture.size).patch_boxes(*self.heats[run][word].shape)
        return bool(centres_inside(boxes, mask)[self.best(run, word)])


def plate_of(viewing: Viewing) -> Plate:
    """The plate of a clip: the mean heat of each of the words or moments that it shows."""
    return Plate(
        clip_id=viewing.clip_id if viewing.language else "",  # one's own picture needs no id
        language=viewing.heading,
        description=viewing.description,
        gloss=viewing.gloss,
        picture=viewing.picture,
        image_size=viewing.image_size,
        fit=viewing.fit,
        spoken=viewing.shown,
        masks=viewing.masks,
        heats={run: [viewing.over(run, w.start_s, w.end_s) for w in viewing.shown] for run in viewing.similarity},
        measure=viewing.measure,
    )


def meaning_of(word: Spoken) -> str:
    """For captions: a word in Latin letters, and in English."""
    return " · ".join(line for line in (transliterate(word.text), word.english) if line)


def panel(plate: Plate, run: str, word: int, size: tuple[int, int], values: bool = False) -> Image.Image:
    """The picture under the spotlight of one word (or in the colours of its values), the object outlined, the hottest
    patch marked."""
    heat, mask = plate.heats[run][word], plate.masks[word]
    geometry, picture = plate.geometry(size), plate.picture.resize(size, Image.Resampling.LANCZOS)
    if values:
        laid = tint(picture, geometry.on_picture(heat), plate.scale)
    else:
        laid = lit(picture, heat, geometry, plate.scale)
    if mask is not None:
        outline(laid, Image.fromarray(mask.astype(np.uint8) * 255))
    mark(laid, geometry.patch_boxes(*heat.shape)[plate.best(run, word)])
    if plate.spotlight(run, word).flat and not values:
        say_flat(laid)
    return laid


def _legend(page: Image.Image, at: tuple[int, int], width: int, plate: Plate, values: bool) -> int:
    """What light or colours, dots and lines mean; returns the y below."""
    x, y = at
    meaning = MEANING.format(measure=plate.measure.capitalize()) if values else SPOT
    y = paragraph(page, (x, y), meaning, 13, width, QUIET, "")
    y = bar(page, (x, y + 6), width, plate.scale, 13) if values else lights(page, (x, y + 6), width, 13)
    y, swatch = y + 4, Image.new("RGB", (18, 18), "#57407a")
    mark(swatch, np.array([0.0, 0.0, 18.0, 18.0]))
    page.paste(swatch, (x, y))
    paragraph(page, (x + 25, y), MOST_SIMILAR, 13, width - 25, QUIET, "")
    if any(mask is not None for mask in plate.masks):
        y += 24
        ImageDraw.Draw(page).rectangle((x, y, x + 17, y + 17), fill="#57407a")
        ImageDraw.Draw(page).rectangle((x + 4, y + 4, x + 13, y + 13), outline=OBJECT, width=2)
        paragraph(page, (x + 25, y), NAMED, 13, width - 25, QUIET, "")
    return y + 24


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


def compose(plate: Plate, values: bool = False) -> tuple[Image.Image, dict[tuple[str, int], Box]]:
    """The plate, a row of panels for each run and a column for each word, with the box of each panel in it; `values`:
    in colours with their scale."""
    size = size_within(plate.picture, PLATE_BOX)
    first, column = max(size[0], WIDEST_CAPTION), max(size[0], WIDEST_CAPTION - 30)
    start = MARGIN + first + GAP + 34
    columns = [start + i * (column + GAP) for i in range(len(plate.spoken))]
    width = max(columns[-1] + column + MARGIN, 800)
    tall = row_height(plate.heats, size[1])
    page = Image.new("RGB", (width, 1200 + len(plate.heats) * (tall + GAP)), PAPER)
    title = plate.language if plate.description or not plate.clip_id else f"{plate.language}, clip {plate.clip_id[:8]}"
    y = paragraph(page, (MARGIN, MARGIN - 6), title, 15, width - 2 * MARGIN, QUIET, "")
    y = paragraph(page, (MARGIN, y + 2), plate.description, 27, width - 2 * MARGIN, INK, plate.language)
    y = paragraph(page, (MARGIN, y + 2), plate.gloss, 16, width - 2 * MARGIN, QUIET, "")
    top = _captions(page, plate, columns, y + 18, column)
    page.paste(plate.picture.resize(size, Image.Resampling.LANCZOS), (MARGIN, top))
    bottom = _legend(page, (MARGIN, top + size[1] + GAP), first, plate, values)
    boxes: dict[tuple[str, int], Box] = {}
    for row, run in enumerate(plate.heats):
        down = top + row * (tall + GAP)
        upright(page, run, start - 32, down, tall)
        for word, x in enumerate(columns):
            page.paste(panel(plate, run, word, size, values), (x, down))
            boxes[run, word] = (x, down, x + size[0], down + size[1])
        bottom = max(bottom, down + tall)
    return page.crop((0, 0, width, bottom + MARGIN)), boxes
