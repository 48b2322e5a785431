"""What random ranks would score, exactly, and the names in the reports of retrieval.

Separate from ves.evaluation.retrieval.metrics: tables and figures need only this, and torch takes seconds to load.
"""

from collections import Counter
from fractions import Fraction
from math import comb

import numpy as np
from jaxtyping import Float, Int

DIRECTIONS = ("A2V", "V2A")
CUTOFFS = (1, 5, 10, 50)
OTHERS = ("max_mean", "mean_mean")  # the plain similarities under which every run is also reported
OWN = "own"  # the run's own objective, among the similarities of a table of ranks

Report = dict[str, float]  # the metrics of one direction, by name


def informative(metric: str, gallery: int) -> bool:
    """Whether a metric depends on the ranks: R@k is 100 for any ranks where k is the whole gallery or more, and tables
    leave it empty."""
    return not metric.startswith("R@") or int(metric.removeprefix("R@")) < gallery


def _beyond(right: int, gallery: int) -> Float[np.ndarray, "ranks"]:
    """P(rank > r) for r = 0 .. gallery when the order is random and `right` of the items are: the first r are wrong."""
    r = np.arange(gallery)
    return np.concatenate([[1.0], np.cumprod(np.maximum(gallery - right - r, 0) / (gallery - r))])


def chance(right: Int[np.ndarray, "Q"], gallery: int) -> Report:
    """The expectation of `summary` in a gallery in random order, where query q has right[q] right items.

    Exact, not sampled: R@k = 1 - C(G-m, k)/C(G, k) and the mean rank (G+1)/(m+1) for m right items among G, as
    fractions; MRR and the median are those of the ranks of all queries, whose distribution is known.
    Raises ValueError where there is no query, or a query has no right item.
    """
    if not len(right) or right.min() < 1 or right.max() > gallery:
        raise ValueError(f"{len(right)} queries on a gallery of {gallery} items: no chance level without a right item")
    share = {m: Fraction(count, len(right)) for m, count in Counter(right.tolist()).items()}
    expected = {
        f"R@{k}": float(100 * sum(p * (1 - Fraction(comb(gallery - m, k), comb(gallery, k))) for m, p in share.items()))
        if k < gallery
        else 100.0
        for k in CUTOFFS
    }
    expected["mean_rank"] = float(sum(p * Fraction(gallery + 1, m + 1) for m, p in share.items()))
    beyond = np.sum([float(p) * _beyond(m, gallery) for m, p in sorted(share.items())], axis=0)
    expected["median_rank"] = _median(beyond)
    expected["MRR"] = float((-np.diff(beyond) / np.arange(1, gallery + 1)).sum())
    return expected | {"n": len(right)}


def _median(beyond: Float[np.ndarray, "ranks"]) -> float:
    """The median of a distribution of ranks; where exactly half lies at or below a rank, half way to the next rank that
    occurs."""
    half, mass = 0.5 + 1e-12, -np.diff(beyond)  # sums of floats: a half may come out a little above
    low = int(np.argmax(beyond <= half))
    if beyond[low] < 1 - half:
        return float(low)
    later = np.flatnonzero(mass[low:] > 1e-12)
    return (low + low + 1 + int(later[0])) / 2 if len(later) else float(low)
