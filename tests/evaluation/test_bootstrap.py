"""Intervals: by hand, against a loop, and how often they hold what is true."""

from pathlib import Path

import numpy as np
import pytest

from ves.evaluation.bootstrap import CAPTION, RESAMPLES, class_means, interval, means, noun_weights

pytestmark = pytest.mark.numbers


def test_images_are_drawn_with_all_their_nouns():
    images = np.array([5, 5, 9, 2])
    drawn = noun_weights(images)
    assert drawn.shape == (RESAMPLES, 4)
    np.testing.assert_array_equal(drawn[:, 0], drawn[:, 1])
    assert (drawn[:, 1:].sum(1) == 3).all(), "as many images as there are"
    assert np.array_equal(drawn, noun_weights(images * 10)), "their numbers may be any"


def test_means_of_draws_by_hand():
    drawn = np.array([[1.0, 1, 1], [2, 2, 0], [0, 0, 3]])
    values = np.array([[1.0, np.nan], [0.0, 1.0], [0.5, np.nan]])
    np.testing.assert_allclose(means(values, drawn), [[0.5, 1], [0.5, 1], [0.5, np.nan]])
    found = class_means(values, ["a", "b", "b"], drawn)  # of the third draw, class a is no part
    np.testing.assert_allclose(found[:, 0], [(1 + 0.25) / 2, (1 + 0) / 2, 0.5])


def test_an_interval_needs_two_images_and_a_defined_value():
    values, images = np.array([[0.0], [1.0]]), np.array([0, 0])
    assert np.isnan(interval(means(values, noun_weights(images)), 1)).all()
    unknown = np.array([[np.nan], [1.0]])
    assert np.isnan(interval(means(unknown, noun_weights(np.array([0, 1]))), 2)).all(), "some draws have no value"
    low, high = interval(means(np.full((9, 1), 0.5), noun_weights(np.arange(9))), 9)
    assert low[0] == high[0] == 0.5


def test_nouns_of_one_picture_are_not_counted_as_more_evidence():
    """Ten copies of every noun change nothing, which an interval over nouns would think a third as wide."""
    values, images = np.random.default_rng(0).random((40, 1)), np.arange(40)
    once = interval(means(values, noun_weights(images)), 40)
    often = interval(means(np.repeat(values, 10, axis=0), noun_weights(np.repeat(images, 10))), 40)
    np.testing.assert_allclose(once, often)


def test_every_caption_says_the_same_of_intervals():
    shown = [path for path in Path("workflow/report").glob("*.rst") if "interval" in path.read_text()]
    assert len(shown) >= 4
    for path in shown:
        text = " ".join(path.read_text().split())
        assert CAPTION in text or path.name == "workflow.rst", f"{path}: {CAPTION}"


@pytest.mark.slow
def test_intervals_cover():
    """1,000 simulated corpora: pictures are easy or hard, 1-4 nouns each; the true rate lies within in 93-97 %."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        images = np.repeat(np.arange(200), rng.integers(1, 5, 200))
        ease = rng.beta(2, 4, 200)  # mean 1/3
        hits = (rng.random(len(images)) < ease[images]).astype(float)
        low, high = interval(means(hits[:, None], noun_weights(images)), 200)
        held += bool(low[0] <= 1 / 3 <= high[0])
    assert 930 <= held <= 970
