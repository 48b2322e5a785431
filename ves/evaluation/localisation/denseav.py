"""Prompted segmentation as DenseAV measures it: how well the heat of a word separates the pixels of its object.

Protocol of DenseAV (CVPR 2024; denseav/eval_utils.py @2221b8c): the heat of a word is the mean over the audio tokens
of its time, widened by 0.2 s at each end; one min-max over the whole set; then, for each class, all pixels of all
pictures prompted with it in one pool. AP is the area under precision and recall in steps, one step for each distinct
heat (as scikit-learn and torchmetrics define it: equal heats enter together). IoU is the best of 20 thresholds, evenly
spaced from the least to the greatest heat of the pool, both included; a pixel is kept when its heat is strictly
greater. mAP and mIoU are means over classes. The min-max is left out here because it changes neither number: it is one
increasing linear function for all pixels, and the thresholds move with it (the tests apply it, and agree).

So heats of different pictures compete in one pool, and the threshold is chosen on what is measured, for each class.
`per image` asks the same of each picture alone: AP and the best of 20 thresholds of its own pixels.

One thing differs from the reference code: padding after the clip's end is left out of the mean even where the widened
time reaches into it, and a word's own tokens are always included. By the reference code's rule, mAP of dense and of
hybrid was 0.3 points lower in the default run (a reviewer's own code).

Undefined values are NaN, and tables leave them out: AP and IoU where the object has no pixel or the heat is not finite;
IoU of a constant heat, since no threshold keeps a pixel (the reference code counts 0). A constant heat has the AP of
chance, the share of the object. Where the object has all pixels, AP is 1.

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
class SortedPixels:
    """Heats in ascending order, of all pixels and of the object's: all that the metrics need."""

    everywhere: Float32[np.ndarray, " S"]
    inside: Float32[np.ndarray, " I"]

    @property
    def is_defined(self) -> bool:
        """Whether the object has pixels and the heat is finite. NaN and inf sort to the ends."""
        return len(self.inside) > 0 and bool(np.isfinite(self.everywhere[[0, -1]]).all())


def sort_pixels(heat: Float32[np.ndarray, " S"], mask: Bool[np.ndarray, " S"]) -> SortedPixels:
    """The pixels of one picture."""
    return SortedPixels(np.sort(heat), np.sort(heat[mask]))


def pool(pictures: Sequence[SortedPixels]) -> SortedPixels:
    """All pixels of several pictures as one pool: 4 bytes each, twice while they are sorted."""
    return SortedPixels(
        np.sort(np.concatenate([one.everywhere for one in pictures])),
        np.sort(np.concatenate([one.inside for one in pictures])),
    )


def average_precision(pixels: SortedPixels) -> float:
    """Sum over distinct heats, descending, of the gain in recall times the precision there; from 0 to 1, or NaN."""
    if not pixels.is_defined:
        return float("nan")
    first = np.flatnonzero(np.append(True, pixels.inside[1:] != pixels.inside[:-1]))  # of equal heats
    kept = len(pixels.everywhere) - np.searchsorted(pixels.everywhere, pixels.inside[first], "left")
    hits = len(pixels.inside) - first
    gain = -np.diff(hits, append=0)
    return float((gain * (hits / kept)).sum() / len(pixels.inside))


def best_iou(pixels: SortedPixels) -> float:
    """The best intersection over union of the 20 thresholds; from 0 to 1, or NaN."""
    if not pixels.is_defined or pixels.everywhere[0] == pixels.everywhere[-1]:
        return float("nan")
    thresholds = np.linspace(pixels.everywhere[0], pixels.everywhere[-1], THRESHOLDS, dtype=np.float32)
    kept = len(pixels.everywhere) - np.searchsorted(pixels.everywhere, thresholds, "right")
    hits = len(pixels.inside) - np.searchsorted(pixels.inside, thresholds, "right")
    return float((hits / (kept + len(pixels.inside) - hits)).max())


def window(start_s: float, end_s: float, seconds: float, tokens: int) -> slice:
    """Audio tokens of a word's widened time, as the reference code counts them: `tokens` divide `seconds` evenly.

    From the floor of the start to the ceiling of the end, clipped to the clip (the reference code fails instead).
    """
    first = np.floor(tokens * (start_s - WIDENED_S) / seconds)
    last = np.ceil(tokens * (end_s + WIDENED_S) / seconds)
    return slice(max(0, int(first)), min(tokens, int(last)))
