"""Whole numbers that add up to a total, in proportion to something."""

import numpy as np
from jaxtyping import Float64, Int64


def shares(
    total: int, weights: Float64[np.ndarray, " n"], available: Int64[np.ndarray, " n"]
) -> Int64[np.ndarray, " n"]:
    """Divide `total` in proportion to `weights`, by largest remainders, giving none more than is available.

    Everyone who has any available gets at least one while `total` reaches round (the heaviest first where it does not);
    what one cannot take goes to the others in proportion. The sum is `total`, or all there is if that is less.
    """
    target, least = min(total, int(available.sum())), np.zeros_like(available)
    heaviest = np.argsort(-weights, kind="stable")
    least[heaviest[available[heaviest] > 0][:target]] = 1
    weights, low, high = np.maximum(weights, 1e-9), 0.0, 1e18
    for _ in range(200):  # bisect for the scale at which the shares, held within their bounds, add up
        scale = (low + high) / 2
        low, high = (scale, high) if np.clip(scale * weights, least, available).sum() < target else (low, scale)
    exact = np.clip(high * weights, least, available)
    given = np.floor(exact + 1e-9).astype(np.int64)
    first = np.argsort(-np.where(given < available, exact - given, -1.0), kind="stable")
    given[first[: target - int(given.sum())]] += 1
    return given


def proportional(total: int, available: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Divide `total` in proportion to what each has available, by the divisor method of Webster (Sainte-Lague).

    Everyone with any gets at least one while `total` reaches round, those with the most first. Unlike with largest
    remainders (ves.base.apportion.shares), a larger total takes from none: what a lower cap chooses is a part of
    what a higher one does.
    """
    given = np.zeros_like(available)
    most = np.argsort(-available, kind="stable")
    given[most[available[most] > 0][:total]] = 1
    if (left := min(total, int(available.sum())) - int(given.sum())) == 0:
        return given

    def seats(divisor: float) -> Int64[np.ndarray, " n"]:
        return np.clip(np.floor(divisor * available + 0.5).astype(np.int64), given, available)

    low, high = 0.0, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if (seats(middle) - given).sum() <= left else (low, middle)
    given = seats(low * (1 - 1e-12)) if left < (available - given).sum() else available.copy()
    price = np.where(given < available, (given + 0.5) / np.maximum(available, 1), np.inf)  # ties, in their order
    given[np.argsort(price, kind="stable")[: min(total, int(available.sum())) - int(given.sum())]] += 1
    return given


def quotas(total: int, weights: np.ndarray, least: int) -> np.ndarray:
    """Whole numbers that sum to `total`, at least `least` each and the rest by weight (largest remainder)."""
    exact = least + (total - least * len(weights)) * weights / weights.sum()
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: total - counts.sum()]] += 1
    return counts
