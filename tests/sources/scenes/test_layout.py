"""What pictures show: ranges, variety, and that a picture depends on nothing but the seed and its number."""

from collections import Counter

import numpy as np

from tests.support.small_scenes import settings
from ves.sources.scenes.layout import BACKGROUNDS, COLOURS, KINDS, scene
from ves.sources.scenes.streams import generator

SETTINGS = settings()
SCENES = [scene(SETTINGS, index) for index in range(600)]


def test_a_scene_is_the_same_whenever_it_is_asked_for():
    assert scene(SETTINGS, 17) == SCENES[17]
    assert scene(settings(images=60, clips=300), 17) == SCENES[17]
    assert scene(settings(seed=4), 17) != SCENES[17]


def test_streams_of_chance_are_independent_of_each_other():
    streams = [generator(1, "a"), generator(2, "a"), generator(1, "b"), generator(1, "a", 0), generator(1, "a", 1)]
    draws = [stream.random() for stream in streams]
    assert len(set(draws)) == 5
    assert generator(1, "a", 1).random() == draws[-1]


def test_sizes_and_counts_lie_in_their_ranges():
    assert {len(one.things) for one in SCENES} == {2, 3, 4, 5, 6}
    sides = np.array([(one.width, one.height) for one in SCENES])
    assert sides.min() >= 200
    assert sides.max() <= 420
    aspects = {round(one.width / one.height, 1) for one in SCENES}
    assert min(aspects) < 0.7
    assert max(aspects) > 1.6


def test_no_kind_occurs_twice_in_a_picture():
    """Else a spoken noun would have two places."""
    assert all(len({thing.kind for thing in one.things}) == len(one.things) for one in SCENES)


def test_kinds_colours_and_backgrounds_are_evenly_spread():
    things = [thing for one in SCENES for thing in one.things]
    for values, names in (
        ([thing.kind for thing in things], KINDS),
        ([thing.colour for thing in things], COLOURS),
        ([one.background for one in SCENES], BACKGROUNDS),
    ):
        counts = Counter(values)
        assert set(counts) == set(names)
        assert max(counts.values()) < 1.8 * min(counts.values())


def test_things_lie_in_the_picture():
    for one in SCENES:
        for thing in one.things:
            assert 0.45 * thing.side < thing.x < one.width - 0.45 * thing.side
            assert 0.45 * thing.side < thing.y < one.height - 0.45 * thing.side
