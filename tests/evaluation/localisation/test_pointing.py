"""The pointing game by hand, on pictures of a few pixels."""

import numpy as np
import pytest

from tests.support.truth_corpus import rectangle
from ves.evaluation.localisation.pointing import central, centres_inside, hottest, overlaps
from ves.media.geometry import Geometry

pytestmark = pytest.mark.numbers


def test_ties_go_to_the_lowest_index():
    assert hottest(np.array([1.0, 3.0, 3.0, 2.0]), np.ones(4, bool)) == 1
    assert hottest(np.array([1.0, 3.0, 3.0, 2.0]), np.array([True, False, True, True])) == 2
    assert hottest(np.zeros(4), np.array([False, False, True, True])) == 2
    for heat, shown in (([np.nan, 1.0], [True, True]), ([0.0, 1.0], [False, False])):
        with pytest.raises(ValueError, match="no hottest patch"):
            hottest(np.array(heat), np.array(shown))


def test_inside_and_overlapping_by_eye():
    """6 x 4 pixels in 2 x 2 patches of 3 x 2: the centres are under pixels (x, y) = (1, 1), (4, 1), (1, 3), (4, 3)."""
    boxes = Geometry(6, 4, 28, "stretch").patch_boxes(2, 2)
    assert centres_inside(boxes, rectangle(6, 4, 4, 1, 5, 2)).tolist() == [False, True, False, False], "one pixel"
    mask = rectangle(6, 4, 2, 1, 4, 3)  # touches all four patches, and no centre
    assert not centres_inside(boxes, mask).any()
    assert [overlaps(box, mask) for box in boxes] == [True] * 4
    assert [overlaps(box, rectangle(6, 4, 0, 0, 3, 2)) for box in boxes] == [True, False, False, False]
    halves = Geometry(5, 4, 28, "stretch").patch_boxes(2, 2)  # they meet at x = 2.5, within pixel 2
    assert [overlaps(box, rectangle(5, 4, 2, 0, 3, 1)) for box in halves] == [True, True, False, False]
    empty, full = np.zeros((4, 6), bool), np.ones((4, 6), bool)
    assert not centres_inside(boxes, empty).any()
    assert not any(overlaps(box, empty) for box in boxes)
    assert centres_inside(boxes, full).all()


def test_patches_of_padding_are_outside_every_mask():
    boxes = Geometry(40, 20, 28, "pad").patch_boxes(4, 2)
    full = np.ones((20, 40), bool)
    assert centres_inside(boxes, full).tolist() == [False] * 2 + [True] * 4 + [False] * 2
    assert [overlaps(box, full) for box in boxes] == [False] * 2 + [True] * 4 + [False] * 2


@pytest.mark.parametrize(
    ("rows", "columns", "fit", "expected"),
    [(3, 3, "stretch", [4]), (2, 2, "pad", [0, 1, 2, 3]), (4, 4, "crop", [5, 6, 9, 10]), (3, 2, "stretch", [2, 3])],
)
def test_the_central_patches(rows, columns, fit, expected):
    boxes = Geometry(31, 17, 84, fit).patch_boxes(rows, columns)
    assert np.flatnonzero(central(boxes, 31, 17)).tolist() == expected
