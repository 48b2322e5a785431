"""95 % intervals of means over nouns, by bootstrap over images: nouns of one picture are no independent evidence.

Images are drawn with replacement, each with all of its nouns, and the mean is formed anew; the interval is between the
2.5th and the 97.5th percentile of these means (Efron's percentile interval). All values of one call see the same draws.

Dimension key
    N nouns    K values of each noun    B draws
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

DRAWS = 1000
SEED = 0
LEVELS = (2.5, 97.5)


def weights(images: Int[np.ndarray, " N"]) -> Float[np.ndarray, "B N"]:
    """How often each noun stands in each draw. Images are drawn by rank, so their numbers may be any."""
    names, image = np.unique(images, return_inverse=True)
    count = len(names)
    return np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), size=DRAWS)[:, image].astype(float)


def means(values: Float[np.ndarray, "N K"], drawn: Float[np.ndarray, "B N"]) -> Float[np.ndarray, "B K"]:
    """The mean of each draw over what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return (drawn @ np.where(known, values, 0.0)) / (drawn @ known.astype(float))


def class_means(
    values: Float[np.ndarray, "N K"], classes: Sequence[str], drawn: Float[np.ndarray, "B N"]
) -> Float[np.ndarray, "B K"]:
    """The mean over classes of the mean within each; a class without a value in a draw is left out of that draw."""
    named = np.array(classes)
    each = np.stack([means(values[named == one], drawn[:, named == one]) for one in sorted(set(classes))])
    known = ~np.isnan(each)
    with np.errstate(invalid="ignore"):
        return np.where(known, each, 0.0).sum(0) / known.sum(0)


def interval(drawn: Float[np.ndarray, "B K"], images: int) -> Float[np.ndarray, "2 K"]:
    """Low and high of each value; NaN when there is one image only, or a draw in which the value is undefined."""
    if images < 2:
        return np.full((2, drawn.shape[1]), np.nan)
    return np.percentile(drawn, LEVELS, axis=0)
