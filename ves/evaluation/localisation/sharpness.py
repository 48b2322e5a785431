"""How sharp a heatmap is, which the paper shows in pictures: its mass inside the named object, and its entropy.

A cosine is no mass: it may be negative, and its level and scale mean nothing between objectives (one that is trained
on means may place all patches of a picture at 0.6). What a reader of a heatmap sees, and what the protocols above
compare, is unchanged by level and scale. So the mass of a patch is its similarity above that of the least similar patch
of the picture, as a share of the sum over the picture's patches: non-negative, sums to 1, and the same for any rising
line a h + b of the heat. Every patch equal to the least but one: entropy 0. No patch above another: undefined (NaN).

`inside` is the mass on the object, a patch that it covers in part counting in part; of a heat that does not know the
picture it is the object's share of it. `entropy` is that of the mass over the log of the number of patches: 1 for mass
spread evenly. A low entropy says sharp, not right.

Dimension key
    P patches
"""

import numpy as np
from jaxtyping import Bool, Float


def mass(heat: Float[np.ndarray, " P"], shown: Bool[np.ndarray, " P"]) -> Float[np.ndarray, " P"]:
    """Each patch's share of the similarity above the least; 0 for patches of padding. NaN where it is undefined."""
    above = np.where(shown, heat - heat[shown].min(), 0.0).astype(np.float64)
    total = above.sum()
    return above / total if np.isfinite(total) and total > 0 else np.full(len(heat), np.nan)


def inside(mass: Float[np.ndarray, " P"], coverage: Float[np.ndarray, " P"]) -> float:
    """Mass on the object, from its coverage of each patch (0..1); NaN for an object that covers nothing."""
    return float(mass @ coverage) if coverage.any() else float("nan")


def entropy(mass: Float[np.ndarray, " P"], shown: Bool[np.ndarray, " P"]) -> float:
    """Entropy of the mass over its greatest, log of the patches shown; NaN for fewer than two."""
    if np.isnan(mass).any() or shown.sum() < 2:
        return float("nan")
    some = mass[mass > 0]
    return float(-(some * np.log(some)).sum() / np.log(shown.sum())) + 0.0  # of -0.0, 0.0
