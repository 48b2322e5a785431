"""The order of training: a bijection in every epoch, even over what it can be, and a formula of the place."""

import tracemalloc

import numpy as np
import pytest

from ves.training.order import Order


@pytest.mark.parametrize("clips", [1, 2, 3, 10, 255, 256, 257, 1000, 5000])
def test_every_epoch_is_a_permutation(clips):
    epochs = Order(clips, seed=3).take(0, 3 * clips).reshape(3, clips)
    assert all(np.array_equal(np.sort(epoch), np.arange(clips)) for epoch in epochs)


@pytest.mark.parametrize("clips", [10, 255, 256, 257, 1000, 5000])
def test_every_epoch_has_an_order_of_its_own(clips):
    first, second = Order(clips, seed=3).take(0, 2 * clips).reshape(2, clips)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, np.arange(clips))


def test_what_stands_at_a_place_depends_on_nothing_else():
    whole = Order(10, seed=3).take(0, 30)
    assert np.array_equal(Order(10, seed=3).take(7, 16), whole[7:23]), "also across the ends of epochs"
    assert not np.array_equal(Order(10, seed=4).take(0, 10), whole[:10])


def chi_square(counts: np.ndarray) -> float:
    expected = counts.sum() / counts.size
    return float(((counts - expected) ** 2 / expected).sum())


def test_every_clip_is_as_likely_everywhere_and_beside_any_other():
    """Chi-square over 1,000 seeds; both limits are exceeded by chance once in 10,000 times, and seeds are fixed."""
    clips, seeds = 6, 1000
    orders = np.stack([Order(clips, seed).take(0, clips) for seed in range(seeds)])
    where = np.stack([np.bincount(orders[:, place], minlength=clips) for place in range(clips)])
    assert chi_square(where) < 62  # 25 degrees of freedom
    pairs = np.bincount(orders[:, 0] * clips + orders[:, 1], minlength=clips**2)
    assert chi_square(pairs[[a * clips + b for a in range(clips) for b in range(clips) if a != b]]) < 67  # 29


def test_neighbours_lie_far_apart():
    """Clips that follow each other in the manifest are of one shard: in training they must not."""
    order = Order(100_000, seed=0).take(0, 100_000)
    assert np.corrcoef(order[:-1], order[1:])[0, 1] == pytest.approx(0, abs=0.02)
    assert np.abs(np.diff(order)).mean() == pytest.approx(100_000 / 3, rel=0.02)


def test_nothing_is_made_of_24_million_clips():
    order = Order(24_000_000, seed=0)
    tracemalloc.start()
    taken = order.take(10**12, 1024)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
    assert 0 <= taken.min() <= taken.max() < 24_000_000
    assert len(np.unique(taken)) == 1024
