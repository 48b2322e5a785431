"""Ranks and what is made of them, against loops, numbers checkable by eye, and simulated chance."""

import itertools
import statistics

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.retrieval import both_directions
from ves.evaluation.retrieval.chance import chance
from ves.evaluation.retrieval.metrics import ROWS, count_ties, rank_by_image, rank_queries, summary

pytestmark = pytest.mark.numbers

BY_EYE = torch.tensor(
    [
        [0.9, 0.1, 0.2, 0.3],  # clip 0 -> image 0: first
        [0.8, 0.4, 0.5, 0.1],  # clip 1 -> image 1: behind 0.8 and 0.5, third
        [0.7, 0.7, 0.7, 0.7],  # clip 2 -> image 2: ties with three, so first, or last when ties go against it
        [0.6, 0.5, 0.4, 0.3],  # clip 3 -> image 3: last
    ]
)


def slow_rank(scores: list[float], right: list[bool]) -> int:
    best = max(s for s, r in zip(scores, right, strict=True) if r)
    return 1 + sum(1 for s in scores if s > best)


def slow_ties(scores: list[float], right: list[bool]) -> int:
    best = max(s for s, r in zip(scores, right, strict=True) if r)
    return sum(1 for s, r in zip(scores, right, strict=True) if not r and s == best)


def test_ranks_by_eye():
    right = torch.eye(4, dtype=torch.bool)
    assert rank_queries(BY_EYE, right).tolist() == [1, 3, 1, 4]
    assert count_ties(BY_EYE, right).tolist() == [0, 0, 3, 0]
    assert rank_queries(BY_EYE.T, right).tolist() == [1, 3, 1, 2], (
        "columns: 0.4 is behind 0.7 and 0.5, and 0.3 behind 0.7"
    )
    assert count_ties(BY_EYE.T, right).tolist() == [0, 0, 0, 1]


def test_the_report_by_eye():
    report = both_directions(BY_EYE, torch.arange(4))
    assert report["A2V"] == {
        "R@1": 50.0, "R@5": 100.0, "R@10": 100.0, "R@50": 100.0, "mean_rank": 2.25, "median_rank": 2.0,
        "MRR": pytest.approx((1 + 1 / 3 + 1 + 1 / 4) / 4), "n": 4, "gallery": 4, "queries_with_ties": 1, "ties": 3,
        "pessimistic_mean_rank": 3.0, "pessimistic_median_rank": 3.5,
    }  # fmt: skip
    assert report["V2A"]["mean_rank"] == 7 / 4
    assert report["V2A"]["median_rank"] == 1.5
    assert report["V2A"]["pessimistic_median_rank"] == 2.0, "ranks 1 3 1 2 with one tie of the last: 1 3 1 3"


def test_any_clip_of_the_right_image_counts():
    scores = torch.tensor([[0.1, 0.9], [0.8, 0.7], [0.3, 0.2]])  # clips 0 and 1 show image 0, clip 2 image 1
    report = both_directions(scores, torch.tensor([0, 0, 1]))
    assert report["A2V"]["n"] == 3
    assert report["A2V"]["gallery"] == 2
    assert report["A2V"]["mean_rank"] == (2 + 1 + 2) / 3
    assert report["V2A"]["n"] == 2
    assert report["V2A"]["gallery"] == 3
    assert report["V2A"]["mean_rank"] == (1 + 3) / 2, "image 0 finds clip 1 first; image 1 finds its clip last"


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 10**6))
def test_ranks_and_ties_equal_loops(queries, gallery, seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, (queries, gallery)).astype(np.float32)  # few values, so that many tie
    right = rng.random((queries, gallery)) < 0.4
    right[np.arange(queries), rng.integers(0, gallery, queries)] = True
    given_scores, given_right = torch.from_numpy(scores), torch.from_numpy(right)
    assert rank_queries(given_scores, given_right).tolist() == [
        slow_rank(*row) for row in zip(scores, right, strict=True)
    ]
    assert count_ties(given_scores, given_right).tolist() == [
        slow_ties(*row) for row in zip(scores, right, strict=True)
    ]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=9))
def test_summary_equals_plain_python(found):
    report = summary(torch.tensor(found))
    for k in (1, 5, 10, 50):
        assert report[f"R@{k}"] == pytest.approx(100 * sum(rank <= k for rank in found) / len(found))
    assert report["mean_rank"] == pytest.approx(statistics.mean(found))
    assert report["median_rank"] == statistics.median(found)
    assert report["MRR"] == pytest.approx(sum(1 / rank for rank in found) / len(found))
    assert report["n"] == len(found)


@pytest.mark.parametrize("seed", range(3))
def test_metrics_do_not_depend_on_the_order_of_rows(seed):
    rng = np.random.default_rng(seed)
    scores, image = torch.from_numpy(rng.integers(0, 9, (12, 5)).astype(np.float32)), torch.arange(12) % 5
    clips, images = torch.from_numpy(rng.permutation(12)), torch.from_numpy(rng.permutation(5))
    moved = both_directions(scores[clips][:, images], images.argsort()[image[clips]])
    assert moved == both_directions(scores, image)


def brute_chance(right: list[int], gallery: int) -> dict[str, float]:
    """Every order of the gallery, for every query: the rank is the place of the first right item."""
    found = []
    for m in right:
        orders = set(itertools.permutations([True] * m + [False] * (gallery - m)))  # each as likely as any other
        places = [order.index(True) + 1 for order in orders]
        found += [(place, 1 / len(places)) for place in places]
    weight = len(right)
    found.sort()
    chances = np.cumsum([p for _, p in found]) / weight
    low = next(place for (place, _), c in zip(found, chances, strict=True) if c >= 0.5 - 1e-9)
    high = next(place for (place, _), c in zip(found, chances, strict=True) if c > 0.5 + 1e-9)
    return {f"R@{k}": 100 * sum(p for place, p in found if place <= k) / weight for k in (1, 5, 10, 50)} | {
        "mean_rank": sum(place * p for place, p in found) / weight,
        "median_rank": (low + high) / 2,
        "MRR": sum(p / place for place, p in found) / weight,
        "n": weight,
    }


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 7), st.data())
def test_chance_is_the_mean_over_all_orders(gallery, data):
    right = data.draw(st.lists(st.integers(1, gallery), min_size=1, max_size=4))
    assert chance(np.array(right), gallery) == pytest.approx(brute_chance(right, gallery), abs=1e-9)


@pytest.mark.parametrize("n", [1, 4, 7, 60, 1000])
def test_chance_of_one_right_item_is_checkable_by_eye(n):
    exact = chance(np.ones(n, dtype=np.int64), n)
    assert exact == {
        **{f"R@{k}": 100 * min(k, n) / n for k in (1, 5, 10, 50)},
        "mean_rank": (n + 1) / 2,
        "median_rank": (n + 1) / 2,
        "MRR": pytest.approx(sum(1 / rank for rank in range(1, n + 1)) / n),
        "n": n,
    }


def test_chance_of_several_right_items_by_eye():
    """One query with 1 and one with 2 right items among 3: ranks 1 2 3 equally often, and 1 twice as often as 2."""
    exact = chance(np.array([1, 2]), 3)
    assert exact["R@1"] == pytest.approx(100 * (1 / 3 + 2 / 3) / 2)
    assert exact["mean_rank"] == pytest.approx((2 + 4 / 3) / 2)
    assert exact["MRR"] == pytest.approx(((1 + 1 / 2 + 1 / 3) / 3 + (2 + 1 / 2) / 3) / 2)
    assert exact["median_rank"] == 1.5, "exactly half of all ranks are 1, and 2 is the next"


def test_chance_through_ranks_of_random_scores():
    """Galleries of unequal groups, 400 times over: every number within five standard errors."""
    generator = torch.Generator().manual_seed(1)
    image = torch.tensor([0, 0, 0, 1, 2, 2, 3, 4, 4, 4, 4, 5])
    found = [rank_by_image(torch.rand(6, 12, generator=generator), torch.arange(6), image)[0] for _ in range(400)]
    simulated, exact = summary(torch.cat(found)), chance(torch.bincount(image).numpy(), 12)
    spread = torch.cat(found).double().std().item() / 2400**0.5
    assert simulated["mean_rank"] == pytest.approx(exact["mean_rank"], abs=5 * spread)
    for k in (1, 5, 10):
        assert simulated[f"R@{k}"] == pytest.approx(exact[f"R@{k}"], abs=5 * 50 / 2400**0.5)
    assert simulated["MRR"] == pytest.approx(exact["MRR"], abs=5 * 0.5 / 2400**0.5)
    assert simulated["median_rank"] == exact["median_rank"]


def test_queries_ranked_in_pieces_are_ranked_alike():
    rng = np.random.default_rng(0)
    scores, query = torch.from_numpy(rng.integers(0, 9, (ROWS + 5, 7))), torch.from_numpy(rng.integers(0, 7, ROWS + 5))
    item = torch.arange(7)
    positives = query[:, None] == item
    rank, tied = rank_by_image(scores.float(), query, item)
    assert torch.equal(rank, rank_queries(scores.float(), positives))
    assert torch.equal(tied, count_ties(scores.float(), positives))


def test_what_has_no_rank_is_an_error():
    right = torch.eye(2, dtype=torch.bool)
    with pytest.raises(ValueError, match="query 1 and gallery item 0 is NaN"):
        rank_queries(torch.tensor([[0.0, 1.0], [float("nan"), 0.0]]), right)
    with pytest.raises(ValueError, match="query 1 has no right item"):
        rank_queries(torch.zeros(2, 2), torch.tensor([[True, False], [False, False]]))
    with pytest.raises(ValueError, match="no queries"):
        summary(torch.zeros(0, dtype=torch.long))
    with pytest.raises(ValueError, match="no queries"):
        rank_by_image(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), torch.arange(3))
    for right, gallery in (([], 4), ([1, 0], 4), ([5], 4)):
        with pytest.raises(ValueError, match="no chance level"):
            chance(np.array(right, dtype=np.int64), gallery)


def test_infinite_scores_have_ranks():
    scores = torch.tensor([[-torch.inf, 0.0, torch.inf]])
    assert rank_queries(scores, torch.tensor([[True, False, False]])).tolist() == [3]
    assert rank_queries(scores, torch.tensor([[False, False, True]])).tolist() == [1]
