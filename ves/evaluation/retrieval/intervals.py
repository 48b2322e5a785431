"""Error bars of retrieval: 95 % intervals by bootstrap over images, the gallery fixed; and differences between models.

Images are resampled, each with all its queries, since clips of one picture succeed and fail together. The gallery stays
as it is: an interval says how much a number would move with other queries of the same kind against this gallery, not
against a larger one (ves.evaluation.bootstrap has the interval itself). Where all queries of a group agree (no hit, or
no miss), all resamples are the same and say nothing; the open end is then that of Clopper and Pearson for that many
images, 1 - 0.025^(1/images) from the edge.

Seeds are the other source of error. A difference of two objectives with at least three seeds is resampled over seeds
and images together (the pigeonhole bootstrap, Owen 2007); for the seeds in closed form, since the variance over all
resamples of a few seeds is known. Two corrections keep a few seeds from misleading: the variance between S seeds is
divided by S - 1, since three of them show two thirds of it, and the effect of a seed on single images, which that
bootstrap counts three times, counts once. Interval and p-value are those of Student's t with Satterthwaite's degrees of
freedom: near S - 1 where seeds decide, near the number of images where these do (the interval is then too wide rather
than too narrow). Runs of one seed are pairs: they saw the same clips in the same order.

Dimension key
    S seeds    Q queries    I images    B resamples    M metrics
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import special  # scipy.stats takes seconds to load

from ves.evaluation.bootstrap import TAIL, interval, resamples
from ves.evaluation.retrieval.chance import CUTOFFS

METRICS = (*(f"R@{k}" for k in CUTOFFS), "mean_rank", "median_rank", "MRR")
PIECE = 1 << 24  # numbers in memory at once for a median
FEWEST_SEEDS = 3  # from which on there is a p-value

Interval = tuple[float, float]


def _linear(ranks: Int[np.ndarray, "S Q"]) -> Float[np.ndarray, "L S Q"]:
    """What each query contributes to the metrics that are means: recalls, rank, reciprocal rank."""
    hits = [100.0 * (ranks <= k) for k in CUTOFFS]
    return np.stack([*hits, ranks.astype(float), 1 / ranks])


def _medians(
    ranks: Int[np.ndarray, "Q"], image: Int[np.ndarray, "Q"], weights: Int[np.ndarray, "B I"]
) -> Float[np.ndarray, "B"]:
    """Median rank of each resample: the mean of the middle two of an even number."""
    order = np.argsort(ranks, kind="stable")
    ascending, image = ranks[order], image[order]
    medians = []
    for piece in np.array_split(weights, max(1, len(weights) * len(ranks) // PIECE)):
        reached = np.cumsum(piece[:, image], axis=1)
        total = reached[:, -1:]
        low, high = ((reached < middle).sum(1) for middle in ((total + 1) // 2, total // 2 + 1))
        medians.append((ascending[low] + ascending[high]) / 2)
    return np.concatenate(medians)


def metrics(
    ranks: Int[np.ndarray, "S Q"], image: Int[np.ndarray, "Q"], weights: Int[np.ndarray, "B I"]
) -> Float[np.ndarray, "B S M"]:
    """METRICS of each seed when image i counts weights[., i] times; `image` holds the place of each query's image."""
    images = weights.shape[1]
    sums = np.stack(
        [[np.bincount(image, row, images) for row in of_metric] for of_metric in _linear(ranks)], axis=-1
    )  # S I L
    counted = weights @ np.bincount(image, minlength=images)
    means = np.einsum("bi,sil->bsl", weights, sums, optimize=True) / counted[:, None, None]
    middle = np.stack([_medians(row, image, weights) for row in ranks], axis=1)
    return np.concatenate([means[..., :-1], middle[..., None], means[..., -1:]], axis=-1)


def _once(image: Int[np.ndarray, "Q"]) -> Int[np.ndarray, "1 I"]:
    """Weights that count every image once: the sample itself."""
    return np.ones((1, image.max() + 1), dtype=np.int64)


def _opened(resampled: Float[np.ndarray, "B"], low: float, high: float, images: int) -> Interval:
    """The interval of a recall in percent, from its resamples; where all agree, the open end is that of Clopper and
    Pearson."""
    edge = 100 * (1 - TAIL ** (1 / images))
    if high == 0 or not resampled.any():
        return 0.0, edge
    return (100 - edge, 100.0) if low == 100 or (resampled == 100).all() else (low, high)


@dataclass(frozen=True)
class Estimate:
    """A metric: mean over seeds, standard deviation over seeds (None of one), 95 % interval over images.

    With one image the ends are NaN, except of a recall on which all queries agree.
    """

    value: float
    deviation: float | None
    low: float
    high: float


def estimates(ranks: Int[np.ndarray, "S Q"], image: Int[np.ndarray, "Q"]) -> dict[str, Estimate]:
    """Each of METRICS, with the interval of the mean over these seeds. `image` is as `places` gives it.

    Raises ValueError without queries.
    """
    if not len(image):
        raise ValueError("no queries: there is nothing to resample")
    images = int(image.max()) + 1
    point = metrics(ranks, image, _once(image))[0]  # S M
    resampled = metrics(ranks, image, resamples(images)).mean(1)  # B M
    low, high = interval(resampled, images)
    deviation = point.std(0, ddof=1) if len(point) > 1 else None
    by_metric = {}
    for i, name in enumerate(METRICS):
        value, ends = float(point[:, i].mean()), (float(low[i]), float(high[i]))
        if name.startswith("R@"):
            ends = _opened(resampled[:, i], *ends, images)
        by_metric[name] = Estimate(value, None if deviation is None else float(deviation[i]), *ends)
    return by_metric


@dataclass(frozen=True)
class Difference:
    """First minus second: the mean over seeds, its 95 % interval, and a p-value where there is one."""

    value: float
    low: float
    high: float
    p: float | None


def differences(
    first: Int[np.ndarray, "S Q"], second: Int[np.ndarray, "S Q"], image: Int[np.ndarray, "Q"]
) -> dict[str, Difference]:
    """Each of METRICS, paired by seed and query.

    With fewer than FEWEST_SEEDS seeds it is the difference of these checkpoints alone: the interval is over images
    alone, and there is no p-value, since nothing is known about what another training would give. Raises ValueError
    without queries.
    """
    if not len(image):
        raise ValueError("no queries: there is nothing to resample")
    weights = resamples(int(image.max()) + 1)
    point = (metrics(first, image, _once(image)) - metrics(second, image, _once(image)))[0]  # S M
    resampled = metrics(first, image, weights) - metrics(second, image, weights)  # B S M
    if len(first) < FEWEST_SEEDS:
        low, high = interval(resampled.mean(1), weights.shape[1])
        rows = zip(METRICS, point.mean(0).tolist(), low.tolist(), high.tolist(), strict=True)
        return {name: Difference(value, below, above, None) for name, value, below, above in rows}
    return {name: _with_seeds(point[:, i], resampled[..., i], weights.shape[1]) for i, name in enumerate(METRICS)}


def _with_seeds(point: Float[np.ndarray, "S"], resampled: Float[np.ndarray, "B S"], images: int) -> Difference:
    """The difference of two objectives: seeds and images resampled together."""
    seeds, value = len(point), float(point.mean())
    by_seed, by_image = float(point.var(ddof=1)) / seeds, float(resampled.mean(1).var(ddof=1))
    # both contain the effect of a seed on single images, twice in the spread of seeds in a resample: once is right
    both = float(resampled.var(1, ddof=1).mean()) / seeds
    variance = max(2 * by_seed + by_image - both, by_seed, by_image)
    if variance == 0 or images < 2:
        return Difference(value, value, value, None)
    freedom = variance**2 / (by_seed**2 / (seeds - 1) + by_image**2 / (images - 1))
    error, freedom = variance**0.5, max(freedom, seeds - 1)
    reach = float(special.stdtrit(freedom, 1 - TAIL)) * error
    return Difference(value, value - reach, value + reach, float(2 * special.stdtr(freedom, -abs(value) / error)))
