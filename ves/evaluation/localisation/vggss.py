"""The protocol of VGG-SS and of the papers that compare on it: half of the pixels against a box.

Protocol of "Localizing Visual Sounds the Hard Way" (CVPR 2021; test.py and utils.py @8fe8cbb): the heat is brought to
0..1 within each picture, and the pixels above its median are kept, always about half of them; cIoU of a picture is
intersection over union with the boxes (of weights between 0 and 1 where annotators differ); a success has at least
0.5. Reported are the share of successes, which is called cIoU, and AUC, the area (trapezoid) under that share over the
thresholds 0, 0.05, ... 1. The rule bounds what can be reached: with half of the picture kept, the cIoU of an object
that covers `share` of it is at most share / 0.5, or 0.5 / share if that is less (`ceiling`); on VGG-SS itself 50.5 % of
the clips can succeed.

`size_adaptive` is the variant of SSLalignment (@e7ae3c5, test.py): as many pixels are kept as the object has, less
those that tie with the last. It removes that bound, but it is given the size of the object.

Undefined values are NaN, and tables leave them out: where the object has no pixel (the reference code counts 0), where
the heat is not finite, and where no pixel is kept. None is kept of a constant heat under either rule, and under the
adaptive one of a heat that has at least as many pixels at its maximum as the object has (so for every object of one
pixel).

Dimension key
    S pixels    N pictures
"""

import numpy as np
from jaxtyping import Bool, Float, Float32

SUCCESS = 0.5


def _undefined(heat: Float32[np.ndarray, " S"]) -> bool:
    return not np.isfinite(heat).all() or bool(heat.min() == heat.max())


def top_half(heat: Float32[np.ndarray, " S"]) -> Bool[np.ndarray, " S"] | None:
    """The pixels that the rule keeps: those above the median (of an even number, the upper one), always the maximum.

    The latter is how the reference code treats a heat with half of its pixels at the maximum. None where undefined.
    """
    if _undefined(heat):
        return None
    middle = len(heat) // 2
    return (heat > np.partition(heat, middle)[middle]) | (heat == heat.max())


def size_adaptive(heat: Float32[np.ndarray, " S"], size: int) -> Bool[np.ndarray, " S"] | None:
    """The pixels strictly above the `size`-th hottest, so at most size - 1. None where undefined."""
    if _undefined(heat) or not 0 < size <= len(heat):
        return None
    kept = heat > np.partition(heat, len(heat) - size)[len(heat) - size]
    return kept if kept.any() else None


def ciou(kept: Bool[np.ndarray, " S"] | None, truth: Float[np.ndarray, " S"] | Bool[np.ndarray, " S"]) -> float:
    """The truth that is kept, over the truth and whatever else is kept; truth in 0..1. NaN where undefined."""
    if kept is None or not truth.any():
        return float("nan")
    hits = truth * kept
    wrong = np.count_nonzero(kept) - np.count_nonzero(hits)
    total = np.count_nonzero if truth.dtype == bool else np.sum  # the same, 60 times as fast
    return float(total(hits) / (total(truth) + wrong))


def success(cious: Float[np.ndarray, "*N"]) -> Float[np.ndarray, "*N"]:
    """1 where cIoU reaches 0.5, else 0; NaN stays. Its mean is what papers call cIoU."""
    return np.where(np.isnan(cious), np.nan, cious >= SUCCESS)


def area(cious: Float[np.ndarray, "*N"]) -> Float[np.ndarray, "*N"]:
    """Each picture's part of AUC: the area under its own step of success, by the trapezoid rule. Their mean is AUC."""
    steps = np.stack([cious >= 0.05 * i for i in range(21)], axis=-1).astype(float)
    return np.where(np.isnan(cious), np.nan, np.trapezoid(steps, dx=0.05, axis=-1))


def ceiling(size: int, pixels: int) -> float:
    """The greatest cIoU that a heat without ties can have under `top_half`, for an object of `size` of `pixels`."""
    kept = pixels - pixels // 2 - 1
    return min(kept, size) / max(kept, size) if size and kept else float("nan")
