"""Prompted segmentation as DenseAV measures it: how well does the heat of a word tell its pixels from the others?

Protocol of DenseAV (CVPR 2024; denseav/eval_utils.py @2221b8c): the heat of a word is the mean over the audio tokens
of its time, widened by 0.2 s at each end; one min-max over the whole set; then, for each class, all pixels of all
pictures prompted with it in one pool. AP is the area under precision and recall in steps, one step for each distinct
heat (as scikit-learn and torchmetrics define it: equal heats enter together). IoU is the best of 20 thresholds, evenly
spaced from the least to the greatest heat of the pool, both included; a pixel is kept when its heat is strictly
greater. mAP and mIoU are means over classes. The min-max is left out here because it changes neither number: it is one
rising line for all pixels, and the thresholds move with it (the tests keep it, and agree).

So heats of different pictures compete in one pool, and the threshold is chosen on what is measured, for each class.
`per image` asks the same of each picture alone: AP and the best of 20 thresholds of its own pixels.

One thing is not to the letter: padding behind the clip's end, which the reference code averages too where the widened
time reaches into it, is left out of the mean, and a word's own tokens are always in it. By the letter dense and hybrid
of the default run had 0.3 points of mAP less (a reviewer's own code).

Undefined, and then NaN, which tables leave out: AP and IoU without any pixel of the object or with a heat that is not
finite; IoU of a constant heat, of which no threshold keeps a pixel (the reference code counts 0). A constant heat has
the AP of chance, the share of the object. Where all pixels are the object's, AP is 1.

Dimension key
    S pixels    I pixels of the object
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

THRESHOLDS = 20
WIDENED_S = 0.2  # at each end of a word


@dataclass(frozen=True, eq=False)
class Ranked:
    """Heats in rising order, of all pixels and of those of the object: all that the metrics need to know."""

    everywhere: Float32[np.ndarray, " S"]
    inside: Float32[np.ndarray, " I"]

    @property
    def judged(self) -> bool:
        """Whether there is something to find, and a finite heat to find it by. NaN and inf sort to the ends."""
        return len(self.inside) > 0 and bool(np.isfinite(self.everywhere[[0, -1]]).all())


def ranked(heat: Float32[np.ndarray, " S"], mask: Bool[np.ndarray, " S"]) -> Ranked:
    """The pixels of one picture."""
    return Ranked(np.sort(heat), np.sort(heat[mask]))


def pooled(pictures: Sequence[Ranked]) -> Ranked:
    """All pixels of several pictures as one pool: 4 bytes each, twice while they are sorted."""
    return Ranked(
        np.sort(np.concatenate([one.everywhere for one in pictures])),
        np.sort(np.concatenate([one.inside for one in pictures])),
    )


def average_precision(pixels: Ranked) -> float:
    """Sum over distinct heats, falling, of the recall gained there times the precision so far; from 0 to 1, or NaN."""
    if not pixels.judged:
        return float("nan")
    first = np.flatnonzero(np.append(True, pixels.inside[1:] != pixels.inside[:-1]))  # of equal heats
    kept = len(pixels.everywhere) - np.searchsorted(pixels.everywhere, pixels.inside[first], "left")
    found = len(pixels.inside) - first
    gained = -np.diff(found, append=0)
    return float((gained * (found / kept)).sum() / len(pixels.inside))


def best_iou(pixels: Ranked) -> float:
    """The best intersection over union of the 20 thresholds; from 0 to 1, or NaN."""
    if not pixels.judged or pixels.everywhere[0] == pixels.everywhere[-1]:
        return float("nan")
    thresholds = np.linspace(pixels.everywhere[0], pixels.everywhere[-1], THRESHOLDS, dtype=np.float32)
    kept = len(pixels.everywhere) - np.searchsorted(pixels.everywhere, thresholds, "right")
    found = len(pixels.inside) - np.searchsorted(pixels.inside, thresholds, "right")
    return float((found / (kept + len(pixels.inside) - found)).max())


def window(start_s: float, end_s: float, seconds: float, tokens: int) -> slice:
    """Audio tokens of a word, widened, as the reference code counts them: of `tokens` that share `seconds` evenly.

    From the floor of the start to the ceiling of the end, cut to what is there (the reference code fails instead).
    """
    first = np.floor(tokens * (start_s - WIDENED_S) / seconds)
    last = np.ceil(tokens * (end_s + WIDENED_S) / seconds)
    return slice(max(0, int(first)), min(tokens, int(last)))
