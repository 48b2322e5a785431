"""95 % intervals of means over nouns, by bootstrap over images: nouns of one picture are no independent evidence.

Images are drawn with replacement, each with all of its nouns, and the mean is formed anew; the interval is between the
2.5th and the 97.5th percentile of these means (Efron's percentile interval). All values of one call see the same draws.
Retrieval has draws of its own (`draws`, `ends`), whose tails ves.evaluation.retrieval.intervals explains.

Dimension key
    N nouns    K values of each noun    B draws    Q queries    I images
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int
from scipy import special  # scipy.stats takes seconds to load

DRAWS = 1000
SEED = 0
LEVELS = (2.5, 97.5)
RESAMPLES = 2000
TAIL = 0.025


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


@lru_cache(maxsize=2)
def draws(images: int) -> Int[np.ndarray, "B I"]:
    """How often each image is in each resample: rows of one multinomial, the same each time."""
    found = np.random.default_rng(0).multinomial(images, np.full(images, 1 / images), RESAMPLES).astype(np.int32)
    found.flags.writeable = False
    return found


def ends(resampled: Float[np.ndarray, "B *m"], images: int) -> tuple[Float[np.ndarray, "*m"], Float[np.ndarray, "*m"]]:
    """The 95 % interval of each column of resampled values."""
    tail = 0.0
    if images > 1:
        tail = float(special.ndtr(np.sqrt(images / (images - 1)) * special.stdtrit(images - 1, TAIL)))
    low, high = np.quantile(resampled, [tail, 1 - tail], axis=0)
    return low, high


def places(images: list[str]) -> Int[np.ndarray, "Q"]:
    """The place of each query's image among all that occur, by id: no result depends on the order of the rows."""
    return np.unique(np.array(images), return_inverse=True)[1]
