"""Strips: the sound of one clip on an axis of time, and under it, every 200 ms, what each run sees.

A small picture is the mean over the tokens of its 200 ms, as a spotlight or in colours; all share the one scale of the
clip (Viewing.scale), so that moments and runs compare. A line holds 5 s; a clip that needs more than MOST_LINES gets
longer steps.
"""

from math import ceil

from PIL import Image

from ves.report.clips.timeline import TICKS, WAVE, WORDS, Axis, draw_bands, draw_seconds, draw_wave, draw_words
from ves.report.clips.viewing import Viewing
from ves.report.drawing.overlay import tint
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
from ves.report.drawing.spotlight import lit
from ves.report.drawing.transliteration import transliterate

STEP_S = 0.2
STEPS, FEWEST = 25, 12  # in a line; a short clip's is shorter
MOST_LINES = 12
CELL = (80, 80)  # a small picture fits in
SLOT = 84
LEFT = MARGIN + 34  # of the axis; run names stand before it
PICTURE = (220, 150)
KEY = "{measure} of each moment to each patch, one scale for all"
SPOT = "Lit: more like the sound of the moment than the median patch; neither lit nor dim: nothing stands out"


def step_of(seconds: float) -> float:
    """Seconds from one small picture to the next."""
    return max(STEP_S, seconds / (STEPS * MOST_LINES))


def _head(page: Image.Image, viewing: Viewing, values: bool) -> int:
    """Picture, description and scale; returns the y below."""
    size = size_within(viewing.picture, PICTURE)
    page.paste(viewing.picture.resize(size, Image.Resampling.LANCZOS), (MARGIN, MARGIN))
    x = MARGIN + size[0] + 2 * GAP
    width = page.width - x - MARGIN
    y = paragraph(page, (x, MARGIN - 6), viewing.heading, 15, width, QUIET, "")
    y = paragraph(page, (x, y + 2), viewing.description, 24, width, INK, viewing.language)
    y = paragraph(page, (x, y + 2), transliterate(viewing.description), 15, width, QUIET, "")
    y = paragraph(page, (x, y + 2), viewing.gloss, 15, width, QUIET, "")
    key = KEY.format(measure=viewing.measure.capitalize()) if values else SPOT
    key = f"{key}; a picture every {step_of(viewing.seconds):.3g} s"
    y = paragraph(page, (x, y + 8), key, 13, width, QUIET, "") + 6
    below = bar(page, (x, y), 260, viewing.scale, 13) if values else lights(page, (x, y), 260, 13)
    return max(below, MARGIN + size[1])


def _line(page: Image.Image, viewing: Viewing, axis: Axis, y: int, values: bool) -> int:
    """One line of at most STEPS steps from y down; returns the y below."""
    draw_bands(page, axis, y, y + WAVE + WORDS * bool(viewing.words), viewing.words)
    draw_wave(page, axis, y, viewing.samples)
    y += WAVE
    if viewing.words:
        draw_words(page, axis, y, viewing.words, viewing.language)
        y += WORDS
    draw_seconds(page, axis, y)
    y += TICKS + 4
    size, step = size_within(viewing.picture, CELL), step_of(viewing.seconds)
    small, geometry = viewing.picture.resize(size, Image.Resampling.LANCZOS), viewing.geometry(size)
    starts = [axis.start_s + number * step for number in range(STEPS)]
    tall = row_height(viewing.similarity, size[1])
    for run in viewing.similarity:
        upright(page, run, MARGIN - 4, y, tall)
        for start in starts:
            if start + step / 2 < min(viewing.seconds, axis.end_s):
                heat, scale = viewing.over(run, start, start + step), viewing.scale
                panel = tint(small, geometry.on_picture(heat), scale) if values else lit(small, heat, geometry, scale)
                page.paste(panel, (axis.x(start + step / 2) - size[0] // 2, y + (tall - size[1]) // 2))
        y += tall + 6
    return y + GAP


def compose(viewing: Viewing, values: bool = False) -> Image.Image:
    """The strip of one clip; `values`: in colours with their scale."""
    steps = max(1, round(viewing.seconds / (step := step_of(viewing.seconds))))
    lines = ceil(steps / STEPS)
    across = max(FEWEST, min(steps, STEPS))
    height = row_height(viewing.similarity, size_within(viewing.picture, CELL)[1]) + 6
    deep = WAVE + WORDS + TICKS + GAP + 8 + len(viewing.similarity) * height
    page = Image.new("RGB", (LEFT + across * SLOT + MARGIN, 900 + lines * deep), PAPER)
    y = _head(page, viewing, values) + GAP
    for number in range(lines):
        start = number * STEPS * step
        y = _line(page, viewing, Axis(LEFT, across * SLOT, start, start + across * step), y, values)
    return page.crop((0, 0, page.width, y + MARGIN - GAP))
