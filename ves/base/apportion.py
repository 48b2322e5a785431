"""Apportionment: whole numbers that add up to a total, in proportion to weights.

`shares` and `quotas` round by largest remainders (Hamilton); they differ in what they keep to: no share above what is
available, or none below a least one. `proportional` is the divisor method of Webster, which takes from nobody when the
total grows.
"""

import numpy as np
from jaxtyping import Float64, Int64


def shares(
    total: int, weights: Float64[np.ndarray, " n"], available: Int64[np.ndarray, " n"]
) -> Int64[np.ndarray, " n"]:
    """Divide `total` in proportion to `weights`, by largest remainders, giving none more than is available.

    Everyone with any available gets at least one; where `total` is too small for that, the heaviest do. What one cannot
    take goes to the others in proportion. The sum is `total`, or all there is if that is less.
    """
    target, least = min(total, int(available.sum())), np.zeros_like(available)
    heaviest = np.argsort(-weights, kind="stable")
    least[heaviest[available[heaviest] > 0][:target]] = 1
    weights, low, high = np.maximum(weights, 1e-9), 0.0, 1e18
    for _ in range(200):  # bisect for the scale at which the shares, held within their bounds, add up
        scale = (low + high) / 2
        low, high = (scale, high) if np.clip(scale * weights, least, available).sum() < target else (low, scale)
    return _rounded(np.clip(high * weights, least, available), target, available)


def quotas(total: int, weights: np.ndarray, least: int) -> np.ndarray:
    """Divide `total`, at least `least` each and the rest in proportion to `weights`, by largest remainders."""
    return _rounded(
        least + (total - least * len(weights)) * weights / weights.sum(), total, np.full(len(weights), total)
    )


def _rounded(
    exact: Float64[np.ndarray, " n"], total: int, available: Int64[np.ndarray, " n"]
) -> Int64[np.ndarray, " n"]:
    """Shares that add up to `total`, rounded so that their sum stays: up those of the largest remainders, in order,
    where more is available; the others down."""
    whole = np.floor(exact + 1e-9).astype(np.int64)  # a share that is a whole number may come out a little below it
    first = np.argsort(-np.where(whole < available, exact - whole, -1.0), kind="stable")
    whole[first[: total - int(whole.sum())]] += 1
    return whole


def proportional(total: int, available: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Divide `total` in proportion to what each has available, by the divisor method of Webster (Sainte-Lague).

    Everyone with any available gets at least one; where `total` is too small for that, those with the most do. Unlike
    with largest remainders (`shares`), a larger total takes from nobody: what a lower cap chooses is a part of what a
    higher one chooses.
    """
    least = np.zeros_like(available)
    most = np.argsort(-available, kind="stable")
    least[most[available[most] > 0][:total]] = 1
    if (left := min(total, int(available.sum())) - int(least.sum())) == 0:
        return least

    def seats(divisor: float) -> Int64[np.ndarray, " n"]:
        return np.clip(np.floor(divisor * available + 0.5).astype(np.int64), least, available)

    low, high = 0.0, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if (seats(middle) - least).sum() <= left else (low, middle)
    share = seats(low * (1 - 1e-12)) if left < (available - least).sum() else available.copy()
    price = np.where(share < available, (share + 0.5) / np.maximum(available, 1), np.inf)  # ties, in their order
    share[np.argsort(price, kind="stable")[: min(total, int(available.sum())) - int(share.sum())]] += 1
    return share
