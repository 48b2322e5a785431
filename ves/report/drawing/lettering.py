"""Text in the scripts of India: the font for a character, the length of a line, the line drawn on a picture.

HarfBuzz shapes it (conjuncts, reordered vowel signs, Nastaliq), through matplotlib: its wheel carries libraqm whole,
while Pillow's takes FriBidi from the system and, where there is none, sets every letter side by side.

Sizes and positions are pixels, y down; a line stands on its baseline. The fonts and their licence:
ves/report/drawing/fonts/README.md.
"""

import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from math import ceil
from pathlib import Path

import numpy as np
from matplotlib.ft2font import FT2Font, LoadFlags
from PIL import Image

FONTS = Path(__file__).parent / "fonts"
INDIC = ("Devanagari", "Bengali", "Gujarati", "Gurmukhi", "Kannada", "Malayalam", "Oriya", "Tamil", "Telugu")
FAMILIES = ("NotoSans", "NotoSansLatinExt", *(f"NotoSans{script}" for script in INDIC), "NotoNastaliqUrdu")
FORMS = {"Marathi": "mr", "Nepali": "ne"}  # languages with letter forms of their own in these fonts


@dataclass(frozen=True, eq=False)
class _Shaped:
    """The ink of one run, uint8 [height, width]; its upper left corner from the pen, and how far the pen moves."""

    ink: np.ndarray
    left: int
    above: int
    advance: float


@dataclass(frozen=True)
class Extent:
    """The size of a line of text: how far the pen moves, and how far the ink reaches above and below the baseline."""

    width: int
    above: int
    below: int


@cache
def characters(family: str) -> frozenset[int]:
    """Code points that a font has."""
    return frozenset(FT2Font(FONTS / f"{family}-Regular.ttf").get_charmap())


@cache
def _font(family: str, size: int) -> FT2Font:
    font = FT2Font(FONTS / f"{family}-Regular.ttf")
    font.set_size(size, 72)  # at 72 dots per inch a point is a pixel
    return font


def font_for(character: str, before: str | None = None) -> str:
    """The family for a character: that of the text before it if it has the character, else the first that has it.

    Raises ValueError that names a character no font has.
    """
    candidates = FAMILIES if before is None else (before, *FAMILIES)
    for family in candidates:
        if ord(character) in characters(family):
            return family
    name = unicodedata.name(character, "no name")
    raise ValueError(
        f"no font for {character!r} (U+{ord(character):04X}, {name}); "
        "ves/report/drawing/fonts/README.md says how to add one"
    )


def right_to_left(text: str) -> bool:
    """The direction of a line is that of its first letter."""
    strong = (unicodedata.bidirectional(character) for character in text)
    return next((kind in ("R", "AL") for kind in strong if kind in ("L", "R", "AL")), False)


def _runs(text: str) -> list[tuple[str, str]]:
    """(family, stretch of text) from left to right. Stretches of one font are shaped as one, in their own direction."""
    runs: list[tuple[str, str]] = []
    for character in text:
        family = font_for(character, runs[-1][0] if runs else None)
        if runs and runs[-1][0] == family:
            runs[-1] = (family, runs[-1][1] + character)
        elif runs and right_to_left(character):  # a space between two directions belongs to the line's own
            words = runs[-1][1].rstrip()
            spaces, runs[-1] = runs[-1][1][len(words) :], (runs[-1][0], words)
            runs.append((family, spaces + character))
        else:
            runs.append((family, character))
    return runs[::-1] if right_to_left(text) else runs


@lru_cache(maxsize=4096)
def _shaped(family: str, text: str, size: int, language: str | None) -> _Shaped:
    font = _font(family, size)
    font.set_text(text, 0.0, LoadFlags.NO_HINTING, language=language)
    font.draw_glyphs_to_bitmap(antialiased=True)
    advance, height = (length / 64 for length in font.get_width_height())  # FreeType counts in 64ths
    above = int(height - font.get_descent() / 64) + 1  # the bitmap begins one row above the highest glyph
    return _Shaped(font.get_image().copy(), int(font.get_bitmap_offset()[0] / 64), above, advance)


def _line(text: str, size: int, language: str | None) -> list[_Shaped]:
    tag = FORMS.get(language or "")
    return [_shaped(family, stretch, size, tag) for family, stretch in _runs(text)]


def measure(text: str, size: int, language: str | None = None) -> Extent:
    """Length and reach of a line; `language` is its English name. Raises ValueError for a character no font has."""
    line = _line(text, size, language)
    below = (run.ink.shape[0] - run.above for run in line)
    return Extent(
        ceil(sum(run.advance for run in line)), max((run.above for run in line), default=0), max(below, default=0)
    )


def draw(
    canvas: Image.Image, at: tuple[int, int], text: str, size: int, colour: str, language: str | None = None
) -> None:
    """Write a line from `at`: x of its left end, y of its baseline. Raises ValueError for a character no font has."""
    x, y = at
    for run in _line(text, size, language):
        canvas.paste(colour, (round(x) + run.left, y - run.above), Image.fromarray(run.ink))
        x += run.advance


def wrap(text: str, size: int, width: int, language: str | None = None) -> list[str]:
    """Lines no longer than `width`, broken at spaces; a word that is longer than that has a line of its own."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and measure(longer, size, language).width <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def fitting(text: str, size: int, width: int, language: str | None = None) -> int:
    """The greatest size, at most `size` and at least half of it, at which the line is no longer than `width`."""
    sizes = range(size, size // 2, -1)
    return next((smaller for smaller in sizes if measure(text, smaller, language).width <= width), size // 2)
