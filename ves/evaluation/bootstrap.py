"""95 % intervals by bootstrap over images, of retrieval and of localisation alike.

Images are resampled with replacement, each with all of its queries or nouns, since those of one picture succeed and
fail together; every resample gives the number anew. The interval is the percentile interval (Efron 1979), with the
percentiles further out where images are few (Hesterberg 2015: as Student's t is wider than the normal distribution).
All values of one call share the resamples. A single image has no interval.

Dimension key
    N nouns    K values of each noun    B resamples    Q queries    I images
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int
from scipy import special  # scipy.stats takes seconds to load

RESAMPLES = 2000
SEED = 0
TAIL = 0.025
CAPTION = f"95 % intervals from {RESAMPLES:,} resamples of the images"  # under every figure and table with intervals


@lru_cache(maxsize=2)
def resamples(images: int) -> Int[np.ndarray, "B I"]:
    """How often each image is in each resample: samples of one multinomial distribution, always the same."""
    weights = np.random.default_rng(SEED).multinomial(images, np.full(images, 1 / images), RESAMPLES).astype(np.int32)
    weights.flags.writeable = False
    return weights


def interval(resampled: Float[np.ndarray, "B *m"], images: int) -> Float[np.ndarray, "2 *m"]:
    """Low and high end of each value; NaN for one image, and where a resample leaves the value undefined (NaN)."""
    if images < 2:
        return np.full((2, *resampled.shape[1:]), np.nan)
    tail = float(special.ndtr(np.sqrt(images / (images - 1)) * special.stdtrit(images - 1, TAIL)))
    return np.quantile(resampled, [tail, 1 - tail], axis=0)


def places(images: list[str]) -> Int[np.ndarray, "Q"]:
    """The place of each query's image among all images, by id, so that no result depends on the order of the rows."""
    return np.unique(np.array(images), return_inverse=True)[1]


def noun_weights(images: Int[np.ndarray, " N"]) -> Float[np.ndarray, "B N"]:
    """How often each noun is in each resample; any numbers of images will do."""
    names, image = np.unique(images, return_inverse=True)
    return resamples(len(names))[:, image].astype(float)


def means(values: Float[np.ndarray, "N K"], weights: Float[np.ndarray, "B N"]) -> Float[np.ndarray, "B K"]:
    """The mean of each resample over the values that are not NaN; NaN where all are."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return (weights @ np.where(known, values, 0.0)) / (weights @ known.astype(float))


def class_means(
    values: Float[np.ndarray, "N K"], classes: Sequence[str], weights: Float[np.ndarray, "B N"]
) -> Float[np.ndarray, "B K"]:
    """The mean over classes of the mean within each; a class without a value in a resample is left out of it."""
    named = np.array(classes)
    each = np.stack([means(values[named == one], weights[:, named == one]) for one in sorted(set(classes))])
    known = ~np.isnan(each)
    with np.errstate(invalid="ignore"):
        return np.where(known, each, 0.0).sum(0) / known.sum(0)
