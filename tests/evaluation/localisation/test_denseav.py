"""DenseAV's protocol: by hand, and against slow readings of scikit-learn's AP and of the reference code's IoU."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.denseav import reference_window
from ves.evaluation.localisation.denseav import SortedPixels, average_precision, best_iou, pool, sort_pixels, window

pytestmark = pytest.mark.numbers


def of(heat, mask) -> SortedPixels:
    return sort_pixels(np.array(heat, np.float32), np.array(mask, bool))


def slow_precision(heats: list[float], inside: list[bool]) -> float:
    """AP as scikit-learn defines it: over thresholds at the distinct heats, the recall gained times the precision."""
    total, recall, area = sum(inside), 0.0, 0.0
    for threshold in sorted(set(heats), reverse=True):
        kept = [one for heat, one in zip(heats, inside, strict=True) if heat >= threshold]
        gained = sum(kept) / total - recall
        area, recall = area + gained * sum(kept) / len(kept), recall + gained
    return area


def slow_iou(heats: list[float], inside: list[bool]) -> float:
    """The best of 20 thresholds, pixel by pixel."""
    low, high, best = min(heats), max(heats), 0.0
    for step in range(20):
        threshold = low + (high - low) * step / 19
        kept = [heat > threshold for heat in heats]
        both = sum(a and b for a, b in zip(kept, inside, strict=True))
        either = sum(a or b for a, b in zip(kept, inside, strict=True))
        best = max(best, both / either)
    return best


def min_max(heats: list[float], low: float, high: float) -> list[float]:
    """The min-max that the reference code applies once over its whole set."""
    return [(heat - low) / (high - low) for heat in heats]


def test_by_hand():
    """Hot to cold: object, other, object, other. Precision 1 at half of the recall, then 2 of 3."""
    pixels = of([4, 3, 2, 1], [True, False, True, False])
    assert average_precision(pixels) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert best_iou(pixels) == pytest.approx(2 / 3), "a threshold between 1 and 2 keeps three pixels, two of them right"


def test_equal_heats_enter_together():
    """One step of two pixels, one of them right: precision is 1/2 in whatever order they are listed."""
    for mask in ([True, False, False], [False, True, False]):
        assert average_precision(of([2, 2, 1], mask)) == 0.5
    assert average_precision(of([2, 2, 1], [True, True, False])) == 1.0
    assert average_precision(of([2, 2, 1], [False, False, True])) == pytest.approx(1 / 3)


def test_a_constant_heat_has_the_share_of_the_object_and_no_iou():
    pixels = of([3.0] * 8, [True] * 2 + [False] * 6)
    assert average_precision(pixels) == 0.25
    assert math.isnan(best_iou(pixels)), "no threshold keeps a pixel: missing, not 0"


@pytest.mark.parametrize(
    "pixels",
    [
        of([1, 2, 3], [False] * 3),
        of([1, np.nan, 3], [True, False, False]),
        of([1, np.inf, 3], [True, False, False]),
        of([-np.inf, 2, 3], [False, True, False]),
    ],
)
def test_undefined_is_missing(pixels):
    assert math.isnan(average_precision(pixels))
    assert math.isnan(best_iou(pixels))


def test_one_pixel_and_all_pixels():
    assert average_precision(of([1, 5, 3], [False, True, False])) == 1.0
    assert best_iou(of([1, 5, 3], [False, True, False])) == 1.0
    assert average_precision(of([1, 5, 3], [True, False, False])) == pytest.approx(1 / 3)
    assert average_precision(of([1, 5, 3], [True] * 3)) == 1.0
    assert best_iou(of([1, 5, 3], [True] * 3)) == pytest.approx(2 / 3), "strictly greater: the least is never kept"


maps = st.lists(st.tuples(st.integers(-6, 13), st.booleans()), min_size=2, max_size=60)
with_object = maps.filter(lambda pixels: any(inside for _, inside in pixels))
with_heat = with_object.filter(lambda pixels: len({heat for heat, _ in pixels}) > 1)


def columns(pixels: list[tuple[int, bool]], coarse: bool) -> tuple[list[float], list[bool]]:
    """Heats, and what is inside. Whole numbers tie; divided by 7 and 19 they do not lie on the thresholds."""
    heats = [float(np.float32(heat if coarse else heat / 7 + i / 19e3)) for i, (heat, _) in enumerate(pixels)]
    return heats, [one for _, one in pixels]


@settings(max_examples=200, deadline=None)
@given(with_object, st.booleans())
def test_average_precision_equals_the_slow_reading(pixels, coarse):
    heats, inside = columns(pixels, coarse)
    assert average_precision(of(heats, inside)) == pytest.approx(slow_precision(heats, inside), abs=1e-6)


@settings(max_examples=200, deadline=None)
@given(with_heat, st.booleans())
def test_best_iou_equals_the_slow_reading(pixels, coarse):
    heats, inside = columns(pixels, coarse)
    assert best_iou(of(heats, inside)) == pytest.approx(slow_iou(heats, inside), abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(maps.filter(lambda pixels: not any(inside for _, inside in pixels)))
def test_no_object_no_number(pixels):
    found = of(*columns(pixels, coarse=True))
    assert math.isnan(average_precision(found))
    assert math.isnan(best_iou(found))


@settings(max_examples=50, deadline=None)
@given(with_object, st.integers(0, 5), st.integers(0, 5))
def test_one_min_max_over_the_set_changes_neither_number(pixels, colder, hotter):
    """The reference code's min-max, here in float64, over a set that goes further than this class does."""
    heats, inside = columns(pixels, coarse=False)
    scaled = min_max(heats, min(heats) - colder, max(heats) + hotter)
    assert average_precision(of(heats, inside)) == pytest.approx(slow_precision(scaled, inside), abs=1e-6)
    assert best_iou(of(heats, inside)) == pytest.approx(slow_iou(scaled, inside), abs=1e-6)


def test_a_pool_is_all_pixels_at_once():
    """A picture that is hot throughout, with a small object, spoils the pool and not its own number."""
    good, hot = of([0.3, 0.2, 0.1], [True, False, False]), of([9, 8, 7], [True, False, False])
    assert average_precision(good) == average_precision(hot) == 1.0
    both = pool([good, hot])
    assert average_precision(both) == pytest.approx(0.5 * 1 + 0.5 * 2 / 4)
    assert best_iou(both) == 0.5
    assert average_precision(pool([hot, good])) == average_precision(both)


def test_random_pools_equal_the_slow_reading():
    rng = np.random.default_rng(0)
    for _ in range(20):
        pictures = [(rng.normal(size=n).astype(np.float32), rng.random(n) < 0.3) for n in rng.integers(3, 60, 4)]
        heats, inside = (np.concatenate(part).tolist() for part in zip(*pictures, strict=True))
        found = pool([sort_pixels(heat, mask) for heat, mask in pictures])
        assert average_precision(found) == pytest.approx(slow_precision(heats, inside), abs=1e-6)
        assert best_iou(found) == pytest.approx(slow_iou(heats, inside), abs=1e-6)


def test_the_widened_window():
    """5 s in 50 tokens: 1.00-1.43 s is widened to 0.80-1.63 s, from token 8 to token 16."""
    assert window(1.0, 1.43, 5.0, 50) == slice(8, 17)
    assert window(0.1, 0.3, 5.0, 50) == slice(0, 5), "it begins where the clip does"
    assert window(4.5, 4.95, 5.0, 50) == slice(43, 50)
    for start, end in np.random.default_rng(0).uniform(0, 5, (50, 2)):
        start, end = sorted((start, end))
        chosen = window(start, end, 5.0, 62)
        assert list(range(62))[chosen] == reference_window(start, end, 5.0, 62)
