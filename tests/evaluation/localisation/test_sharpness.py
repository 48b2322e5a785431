"""Mass and entropy: by hand, and what they must not depend on."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ves.evaluation.localisation.sharpness import entropy, inside, patch_mass

pytestmark = pytest.mark.numbers

ALL = np.ones(4, bool)


def test_by_hand():
    """Similarities 0.1, 0.1, 0.2, 0.4: above the least 0, 0, 1, 3 tenths."""
    found = patch_mass(np.array([0.1, 0.1, 0.2, 0.4]), ALL)
    np.testing.assert_allclose(found, [0, 0, 0.25, 0.75])
    assert inside(found, np.array([1.0, 0, 0, 0.5])) == pytest.approx(0.375)
    expected = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75)) / math.log(4)
    assert entropy(found, ALL) == pytest.approx(expected)


def test_the_sharpest_and_the_flattest():
    assert entropy(patch_mass(np.array([-0.2, -0.2, 0.9, -0.2]), ALL), ALL) == 0.0
    assert entropy(patch_mass(np.array([0.5, 0.5, 0.5, 0.4999]), ALL), ALL) == pytest.approx(math.log(3) / math.log(4))


def test_padding_has_no_mass():
    """Neither the least nor the greatest similarity may come from it, nor its number of patches."""
    shown = np.array([True, True, True, False])
    found = patch_mass(np.array([0.0, 1.0, 1.0, -9.0]), shown)
    np.testing.assert_allclose(found, [0, 0.5, 0.5, 0])
    assert entropy(found, shown) == pytest.approx(math.log(2) / math.log(3))


def test_undefined_is_missing():
    flat = patch_mass(np.full(4, 0.3), ALL)
    assert np.isnan(flat).all()
    assert math.isnan(entropy(flat, ALL))
    assert math.isnan(inside(flat, ALL.astype(float)))
    assert np.isnan(patch_mass(np.array([0.0, np.nan, 1.0, 1.0]), ALL)).all()
    assert math.isnan(inside(np.full(4, 0.25), np.zeros(4)))
    assert math.isnan(entropy(np.array([1.0, 0, 0, 0]), np.array([True, False, False, False])))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=20), st.integers(1, 9), st.integers(-9, 9))
def test_level_and_scale_change_nothing(values, scale, level):
    heat, shown = np.array(values, float), np.ones(len(values), bool)
    one, other = patch_mass(heat, shown), patch_mass(scale * heat + level, shown)
    np.testing.assert_allclose(one, other, rtol=1e-9)
    if not np.isnan(one).any():
        assert one.sum() == pytest.approx(1)
        assert (one >= 0).all()
        slow = -sum(share * math.log(share) for share in one.tolist() if share > 0) / math.log(len(values))
        assert entropy(one, shown) == pytest.approx(slow, abs=1e-9)
        assert 0 <= entropy(one, shown) <= 1 + 1e-12
