"""Shares of a total: they add up, and keep to their bounds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ves.base.apportion import shares


def _shares(total: int, weights: list[float], available: list[int]) -> list[int]:
    return shares(total, np.array(weights, float), np.array(available, np.int64)).tolist()


def test_shares_by_eye():
    assert _shares(10, [5, 3, 2], [99, 99, 99]) == [5, 3, 2]
    assert _shares(10, [5, 3, 2], [99, 1, 99]) == [6, 1, 3]
    assert _shares(10, [1_000, 1, 1], [99, 99, 99]) == [8, 1, 1]  # each at least one
    assert _shares(2, [1, 2, 3], [9, 9, 9]) == [0, 1, 1]  # too few for all
    assert _shares(10, [5, 3, 2], [1, 0, 2]) == [1, 0, 2]  # all there is
    assert _shares(0, [1, 1], [5, 5]) == [0, 0]


parties = st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 50)), min_size=1, max_size=12)


@given(st.integers(0, 400), parties)
def test_shares_add_up_and_are_within_what_there_is(total: int, parties: list[tuple[int, int]]):
    weights, available = zip(*parties, strict=True)
    got = _shares(total, list(weights), list(available))
    assert sum(got) == min(total, sum(available))
    assert all(0 <= g <= a for g, a in zip(got, available, strict=True))


@given(st.integers(0, 400), parties)
def test_all_get_one_where_there_is_enough(more: int, parties: list[tuple[int, int]]):
    weights, available = zip(*parties, strict=True)
    got = _shares(sum(a > 0 for a in available) + more, list(weights), list(available))
    assert [g > 0 for g in got] == [a > 0 for a in available]


@given(st.integers(20, 400), st.lists(st.integers(1, 1_000), min_size=1, max_size=12))
def test_shares_are_in_proportion(total: int, weights: list[int]):
    got = _shares(total, [float(w) for w in weights], [10_000] * len(weights))
    exact = [total * w / sum(weights) for w in weights]
    ones = sum(e < 1 for e in exact)  # they get one each, at the cost of the others
    assert all(abs(g - e) <= 1 + ones for g, e in zip(got, exact, strict=True))
