"""Heats that know less than a model, or more."""

import numpy as np

from ves.evaluation.localisation.baselines import mean_mask, oracle, shuffle_order


def test_shuffling_moves_patches_by_name_and_leaves_padding():
    shown = np.ones((3, 16), bool)
    shown[:, 12:] = False
    order = shuffle_order(shown, ["a 1", "b 4", "a 1"])
    np.testing.assert_array_equal(np.sort(order, axis=1), np.tile(np.arange(16), (3, 1)))
    np.testing.assert_array_equal(order[:, 12:], np.tile(np.arange(12, 16), (3, 1)))
    assert not np.array_equal(order[0], np.arange(16))
    assert not np.array_equal(order[0], order[1])
    np.testing.assert_array_equal(order[0], order[2])
    np.testing.assert_array_equal(shuffle_order(shown[::-1], ["a 1", "b 4", "a 1"])[::-1][:, :12], order[::-1][:, :12])


def test_the_mean_mask_is_of_the_other_pictures():
    coverage = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1]])
    found = mean_mask(coverage, np.array([7, 7, 3, 9]))
    np.testing.assert_allclose(found[0], [0, 0.5, 1])
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_allclose(found[2], [1 / 3, 2 / 3, 1 / 3])
    assert np.isnan(mean_mask(coverage, np.zeros(4, int))).all(), "there is no other picture: missing"


def test_the_oracle_ranks_coverage_then_distance():
    """3 x 3 patches, the object over the left column, most of it at the top."""
    coverage = np.array([[1.0, 0, 0, 0.5, 0, 0, 0, 0, 0]])
    heat = oracle(coverage, 3)[0]
    ranked = np.argsort(-heat).tolist()
    assert ranked[:2] == [0, 3]
    assert ranked[-1] == 8, "the corner farthest from it"
    assert len(np.unique(heat)) == 9
