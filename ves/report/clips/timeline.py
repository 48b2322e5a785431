"""Sound on an axis of time: its waveform, the words where they are said, seconds.

Lengths are pixels of the page, y down.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

import numpy as np
from jaxtyping import Int16
from PIL import Image, ImageDraw

from ves.media.audio import RATE
from ves.report.clips.spoken import Spoken
from ves.report.drawing import lettering
from ves.report.drawing.page import INK, QUIET, centred

SOUND, BAND, LINE = "#8a7aa8", "#f1ecf7", "#d6d6dc"
WAVE = 56  # height of a waveform
WORDS = 50  # of the words under it
TICKS = 22  # of the numbers under these


@dataclass(frozen=True)
class Axis:
    """Seconds from `start_s` to `end_s` from x = `left` over `width` pixels."""

    left: int
    width: int
    start_s: float
    end_s: float

    def x(self, second: float | int) -> int:
        return self.left + round((second - self.start_s) / (self.end_s - self.start_s) * self.width)

    def shows(self, start_s: float, end_s: float) -> bool:
        """Whether any of a stretch lies on it."""
        return start_s < self.end_s and end_s > self.start_s


def draw_bands(page: Image.Image, axis: Axis, top: int, bottom: int, words: Iterable[Spoken]) -> None:
    """A pale band behind each of the words."""
    pen = ImageDraw.Draw(page)
    for word in words:
        if axis.shows(word.start_s, word.end_s):
            start, end = axis.x(max(word.start_s, axis.start_s)), axis.x(min(word.end_s, axis.end_s))
            pen.rectangle((start + 1, top, max(end - 1, start + 1), bottom), fill=BAND)  # neighbours stay apart


def draw_wave(page: Image.Image, axis: Axis, top: int, samples: Int16[np.ndarray, " n"]) -> None:
    """Least and greatest sample of each column of pixels; the loudest of the whole recording fills the height."""
    pen, middle = ImageDraw.Draw(page), top + WAVE / 2
    loudest = max(int(np.abs(samples.astype(np.int32)).max(initial=0)), 1)
    pen.line((axis.left, middle, axis.left + axis.width, middle), fill=LINE)
    edges = np.linspace(axis.start_s, axis.end_s, axis.width + 1) * RATE
    for column, (first, last) in enumerate(zip(edges[:-1].astype(int), edges[1:].astype(int), strict=True)):
        part = samples[first : max(last, first + 1)].astype(np.int32)
        if len(part):
            low, high = (float(value) / loudest * WAVE / 2 for value in (part.min(), part.max()))
            pen.line((axis.left + column, middle - high, axis.left + column, middle - low), fill=SOUND)


def draw_words(page: Image.Image, axis: Axis, top: int, words: Iterable[Spoken], language: str) -> None:
    """The words about the middles of their times, the English below where it finds room."""
    for word in words:
        middle = (word.start_s + word.end_s) / 2
        if axis.start_s <= middle < axis.end_s:
            room = axis.x(word.end_s) - axis.x(word.start_s)
            size = lettering.fitting(word.text, 18, room, language)
            centred(page, axis.x(middle), top + 24, word.text, size, INK, language)
            size = lettering.fitting(word.english, 13, room)
            if lettering.measure(word.english, size).width <= room + 6:
                centred(page, axis.x(middle), top + 44, word.english, size, QUIET, "")


def draw_seconds(page: Image.Image, axis: Axis, y: int) -> None:
    """Ticks from `y` down, with their numbers: at every second, or as many as find room."""
    pen = ImageDraw.Draw(page)
    pen.line((axis.left, y, axis.left + axis.width, y), fill=QUIET)
    step = max(1, ceil((axis.end_s - axis.start_s) * 40 / axis.width))
    for second in range(ceil(axis.start_s / step) * step, int(axis.end_s) + 1, step):
        pen.line((axis.x(second), y, axis.x(second), y + 4), fill=QUIET)
        centred(page, axis.x(second), y + 19, f"{second} s", 13, QUIET, "")
