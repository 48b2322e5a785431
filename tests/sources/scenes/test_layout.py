"""What pictures show: ranges, variety, and that a picture depends on nothing but the seed and its number."""

from collections import Counter

import numpy as np
import pytest

from tests.support.small_scenes import settings
from ves.sources.scenes.layout import BACKGROUNDS, UNSEEN_SHOWN, scene
from ves.sources.scenes.paint import COLOURS
from ves.sources.scenes.streams import generator
from ves.sources.scenes.things import kinds

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
        ([thing.kind for thing in things], [kind.name for kind in kinds()[: SETTINGS.kinds]]),
        ([thing.colour for thing in things if thing.colour], COLOURS),
        ([one.background for one in SCENES], BACKGROUNDS),
    ):
        counts = Counter(values)
        assert set(counts) == set(names)
        assert max(counts.values()) < 2.1 * min(counts.values())


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_as_many_things_are_painted_as_are_asked_for(share):
    asked = settings(repainted=share)
    painted = [thing.colour is not None for index in range(200) for thing in scene(asked, index).things]
    assert np.mean(painted) == pytest.approx(share, abs=0.04)


def test_only_as_many_kinds_occur_as_are_asked_for():
    few = settings(kinds=6)
    assert {thing.kind for index in range(40) for thing in scene(few, index).things} == {
        "ball", "cup", "car", "tree", "house", "chair"
    }  # fmt: skip


def test_a_kind_has_every_one_of_its_pictures_and_those_unseen_only_in_pictures_kept_from_training():
    shown: dict[str, set[str]] = {}
    for one in SCENES:
        for thing in one.things:
            shown.setdefault(f"{thing.kind} {'seen' if thing.seen else 'unseen'}", set()).add(thing.picture)
    for kind in kinds()[: SETTINGS.kinds]:
        assert shown[f"{kind.name} seen"] == set(kind.pictures)
        assert shown.get(f"{kind.name} unseen", set()) <= set(kind.unseen)
    kept = [one for one in SCENES if not one.seen]
    assert 0.3 * UNSEEN_SHOWN < len(kept) / len(SCENES) <= 1.2 * UNSEEN_SHOWN


def test_half_of_the_things_are_mirrored():
    assert np.mean([thing.mirrored for one in SCENES for thing in one.things]) == pytest.approx(0.5, abs=0.04)


def test_things_lie_in_the_picture():
    for one in SCENES:
        for thing in one.things:
            assert 0.45 * thing.side < thing.x < one.width - 0.45 * thing.side
            assert 0.45 * thing.side < thing.y < one.height - 0.45 * thing.side
