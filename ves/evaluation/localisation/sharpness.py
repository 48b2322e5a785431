"""How sharp a heatmap is, which the paper shows in pictures: its mass inside the named object, and its entropy.

A cosine is not a mass: it may be negative, and its level and scale cannot be compared between objectives (one that is
trained on means may place all patches of a picture at 0.6). What a reader sees in a heatmap, and what the protocols
compare, does not depend on level and scale. So the mass of a patch is its similarity minus the least in the picture, as
a share of the sum over the picture's patches: non-negative, with sum 1, and the same for a h + b with any a > 0. If all
patches but one equal the least, entropy is 0; if all are equal, it is undefined (NaN).

`inside` is the mass on the object; a patch that it covers in part counts in part. For a heat that knows nothing of the
picture it is the object's share of the picture. `entropy` is the entropy of the mass over the log of the number of
patches: 1 for mass spread evenly. A low entropy means sharp, not right.

Dimension key
    P patches
"""

import numpy as np
from jaxtyping import Bool, Float


def patch_mass(heat: Float[np.ndarray, " P"], shown: Bool[np.ndarray, " P"]) -> Float[np.ndarray, " P"]:
    """Each patch's share of the similarity above the least; 0 for patches of padding. NaN where undefined."""
    above = np.where(shown, heat - heat[shown].min(), 0.0).astype(np.float64)
    total = above.sum()
    return above / total if np.isfinite(total) and total > 0 else np.full(len(heat), np.nan)


def inside(mass: Float[np.ndarray, " P"], coverage: Float[np.ndarray, " P"]) -> float:
    """Mass on the object, from its coverage of each patch (0..1); NaN for an object that covers no patch."""
    return float(mass @ coverage) if coverage.any() else float("nan")


def entropy(mass: Float[np.ndarray, " P"], shown: Bool[np.ndarray, " P"]) -> float:
    """Entropy of the mass over its maximum, the log of the number of patches shown; NaN for fewer than two."""
    if np.isnan(mass).any() or shown.sum() < 2:
        return float("nan")
    some = mass[mass > 0]
    return float(-(some * np.log(some)).sum() / np.log(shown.sum())) + 0.0  # of -0.0, 0.0
