"""A clip as models see it, made by hand: tokens of 0.1 s, a patch that lights up while a word is said."""

from typing import Any

import numpy as np
from PIL import Image

from ves.media.audio import RATE, FrameGrid
from ves.report.clips.spoken import Spoken
from ves.report.clips.viewing import Viewing

GRID = 4  # patches a side
TOKENS = 20
BALL, SHIRT = (1, 2), (2, 1)  # row and column of the patch of each thing
WORDS = [
    Spoken("एक", "a", "other", -1, 0.1, 0.25),
    Spoken("गेंद", "ball", "noun", 0, 0.3, 0.6),
    Spoken("कमीज़", "shirt", "noun", 1, 1.0, 1.4),
]


def box(size: tuple[int, int], place: tuple[int, int]) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of a patch (stretch), by arithmetic of its own."""
    (width, height), (row, column) = size, place
    return column * width // GRID, row * height // GRID, (column + 1) * width // GRID, (row + 1) * height // GRID


def similarity(strength: float) -> np.ndarray:
    """float32 [T, rows, columns]: 0, but for the patch of a noun while it is said."""
    found = np.zeros((TOKENS, GRID, GRID), np.float32)
    for word, (row, column) in zip(WORDS[1:], (BALL, SHIRT), strict=True):
        found[round(word.start_s * 10) : round(word.end_s * 10), row, column] = strength
    return found


def make_viewing(size: tuple[int, int] = (320, 160), **changes: Any) -> Viewing:
    """Two seconds about a picture of a ball and a shirt; a strong run and a weak one."""
    noise = np.random.default_rng(0).integers(110, 146, (size[1], size[0], 3), np.uint8)
    tone = np.sin(np.arange(2 * RATE) * 2 * np.pi * 220 / RATE) * 9000
    masks = []
    for place in (BALL, SHIRT):
        x0, y0, x1, y1 = box(size, place)
        mask = np.zeros(size[::-1], bool)
        mask[y0:y1, x0:x1] = True
        masks.append(mask)
    given: dict[str, Any] = {
        "name": "hindi-00000001",
        "clip_id": f"{1:032x}",
        "language": "Hindi",
        "words": WORDS,
        "transcript": "",
        "picture": Image.fromarray(noise),
        "samples": tone.astype(np.int16),
        "shown": WORDS[1:],
        "masks": masks,
        "similarity": {"dense": similarity(0.8), "global": similarity(0.2)},
        "valid": np.ones(TOKENS, bool),
        "frames": FrameGrid((800,), (800,), 2),
        "image_size": 56,
        "fit": "stretch",
    }
    return Viewing(**given | changes)


def make_untimed_viewing(**changes: Any) -> Viewing:
    """The same where nobody timed the words."""
    return make_viewing(words=[], shown=[], masks=[], transcript="एक गेंद और एक कमीज़", **changes)
