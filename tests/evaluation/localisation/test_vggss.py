"""The protocol of VGG-SS: by hand, and against the reference code's steps, pixel by pixel."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ves.evaluation.localisation.vggss import area, ceiling, ciou, size_adaptive, success, top_half

pytestmark = pytest.mark.numbers


def slow_ciou(heats: list[float], truth: list[float]) -> float:
    """The steps of the reference code on a heat that is not constant: min-max, the median of a sorted list."""
    low, high = min(heats), max(heats)
    scaled = [1 - (high - heat) / (high - low) for heat in heats]
    threshold = sorted(scaled)[len(scaled) // 2]
    kept = [1 if value > threshold or value >= 1 else 0 for value in scaled]
    inside = sum(one * weight for one, weight in zip(kept, truth, strict=True))
    outside = sum(one for one, weight in zip(kept, truth, strict=True) if weight == 0)
    return inside / (sum(truth) + outside)


def slow_adaptive(heats: list[float], truth: list[float]) -> float | None:
    """SSLalignment's threshold: the heat at the place, from the top, of as many pixels as the truth has."""
    size = sum(weight != 0 for weight in truth)
    threshold = sorted(heats)[len(heats) - size]
    kept = [heat > threshold for heat in heats]
    if not any(kept):
        return None
    inside = sum(weight for one, weight in zip(kept, truth, strict=True) if one)
    outside = sum(one for one, weight in zip(kept, truth, strict=True) if weight == 0)
    return inside / (sum(truth) + outside)


def slow_area(cious: list[float]) -> float:
    """Trapezoids under the share of successes at 0, 0.05, ... 1."""
    rates = [sum(value >= 0.05 * i for value in cious) / len(cious) for i in range(21)]
    return sum(0.05 * (a + b) / 2 for a, b in pairwise(rates))


def heat(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_the_top_half_by_hand():
    """Of six pixels those above the fourth from below: two. Both on an object of three: 2 / 3."""
    kept = top_half(heat(6, 5, 4, 3, 2, 1))
    assert kept is not None and kept.tolist() == [True, True, False, False, False, False]
    assert ciou(kept, np.array([True, True, True, False, False, False])) == pytest.approx(2 / 3)
    assert ciou(kept, np.array([False, True, True, False, False, False])) == pytest.approx(1 / 3)
    assert ciou(kept, np.array([False] * 3 + [True] * 3)) == 0.0


def test_ties_at_the_median_are_not_kept_and_the_maximum_always_is():
    kept = top_half(heat(3, 2, 2, 2, 1, 1))
    assert kept is not None and kept.tolist() == [True, False, False, False, False, False]
    kept = top_half(heat(3, 3, 3, 3, 1, 1))
    assert kept is not None and kept.tolist() == [True] * 4 + [False] * 2


def test_the_adaptive_rule_by_hand():
    """As many as the object has, strictly above the last of them: of three, two."""
    kept = size_adaptive(heat(6, 5, 4, 3, 2, 1), 3)
    assert kept is not None and kept.tolist() == [True, True, False, False, False, False]


def test_disagreeing_annotators_weigh_half():
    """Flickr-SoundNet's maps: weights 0, 0.5 and 1. What is kept there is not outside of the truth."""
    kept = np.array([True, True, True, False])
    assert ciou(kept, np.array([1.0, 0.5, 0.0, 0.5])) == pytest.approx(1.5 / (2 + 1))


def test_undefined_is_missing():
    constant, truth = heat(2, 2, 2, 2), np.array([True, False, False, False])
    assert top_half(constant) is None
    assert size_adaptive(constant, 2) is None
    assert top_half(heat(1, np.nan, 2, 3)) is None
    assert size_adaptive(heat(1, np.inf, 2, 3), 2) is None
    assert size_adaptive(heat(1, 2, 3, 4), 0) is None, "an empty truth"
    assert size_adaptive(heat(1, 2, 3, 4), 1) is None, "a truth of one pixel: the rule keeps none"
    assert math.isnan(ciou(None, truth))
    assert math.isnan(ciou(np.array([True] * 4), np.zeros(4, bool)))
    cious = np.array([np.nan, 0.5, 0.49])
    np.testing.assert_array_equal(success(cious), [np.nan, 1, 0])
    assert np.isnan(area(cious)).tolist() == [True, False, False]
    assert math.isnan(ceiling(0, 100))


pixels = st.lists(
    st.tuples(st.integers(-5, 5) | st.integers(-1000, 1000), st.sampled_from([0.0, 0.0, 0.5, 1.0])),
    min_size=2,
    max_size=50,
)


@settings(max_examples=150, deadline=None)
@given(pixels.filter(lambda drawn: any(weight for _, weight in drawn) and len({value for value, _ in drawn}) > 1))
def test_equals_the_slow_reading(drawn):
    heats, truth = [float(value) for value, _ in drawn], [weight for _, weight in drawn]
    found = heat(*heats)
    assert ciou(top_half(found), np.array(truth)) == pytest.approx(slow_ciou(heats, truth), abs=1e-6)
    slow = slow_adaptive(heats, truth)
    own = ciou(size_adaptive(found, int(np.count_nonzero(truth))), np.array(truth))
    assert math.isnan(own) if slow is None else own == pytest.approx(slow, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.05, 0.15, 0.3, 0.5, 1.0]), min_size=1, max_size=20))
def test_the_mean_of_shares_is_the_area_under_the_mean(cious):
    found = np.array(cious)
    assert area(found).mean() == pytest.approx(slow_area(cious), abs=1e-9)
    assert success(found).mean() == pytest.approx(sum(value >= 0.5 for value in cious) / len(cious))


def random_truth(rng: np.random.Generator) -> np.ndarray:
    """Which of 4 to 79 pixels an object covers: one at least."""
    truth = rng.random(int(rng.integers(4, 80))) < rng.random()
    truth[rng.integers(len(truth))] = True
    return truth


def test_no_heat_without_ties_passes_the_ceiling():
    rng = np.random.default_rng(0)
    for _ in range(200):
        truth = random_truth(rng)
        any_heat = rng.permutation(len(truth)).astype(np.float32)
        assert ciou(top_half(any_heat), truth) <= ceiling(int(truth.sum()), len(truth)) + 1e-12


def test_a_heat_that_has_the_whole_object_first_reaches_the_ceiling():
    rng = np.random.default_rng(0)
    for _ in range(200):
        truth = random_truth(rng)
        best_heat = (np.arange(len(truth)) + len(truth) * truth).argsort().argsort().astype(np.float32)
        assert ciou(top_half(best_heat), truth) == pytest.approx(ceiling(int(truth.sum()), len(truth)))


def test_the_ceiling_at_the_size_of_the_paper():
    """Half of 224 x 224 less the pixel at the median, as the reference code keeps: 25,087."""
    assert ceiling(25_087, 224 * 224) == 1.0
    assert ceiling(12_000, 224 * 224) == pytest.approx(12_000 / 25_087)
    assert ceiling(224 * 224, 224 * 224) == pytest.approx(25_087 / 50_176)
