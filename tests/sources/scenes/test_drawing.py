"""Pictures: masks against pixels, and that a thing is seen where the truth says."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.small_scenes import settings
from ves.sources.scenes.backdrop import FIELDS, backdrop
from ves.sources.scenes.drawing import HUE, NOTHING, draw, turned_hue
from ves.sources.scenes.layout import BACKGROUNDS, Scene, Thing, scene
from ves.sources.scenes.streams import generator
from ves.sources.scenes.things import kinds

SETTINGS = settings()


def alone(kind: str, picture: str, angle: float = 0.0, mirrored: bool = False, colour: str | None = None) -> Scene:
    return Scene(0, 240, 200, "wall", (Thing(kind, picture, True, colour, 120.0, 100.0, 120.0, angle, mirrored, 0.0),))


def owned(shown: Scene) -> tuple[np.ndarray, np.ndarray]:
    """y and x of the pixels of the only thing."""
    y, x = np.nonzero(draw(0, shown).owner == 0)
    return y, x


@pytest.mark.parametrize("index", range(6))
def test_leaving_a_thing_out_changes_its_pixels_and_nothing_far_from_it(index):
    whole = scene(SETTINGS, index)
    picture = draw(SETTINGS.seed, whole)
    for i, thing in enumerate(whole.things):
        without = draw(SETTINGS.seed, replace(whole, things=whole.things[:i] + whole.things[i + 1 :]))
        changed = (np.asarray(picture.image, int) != np.asarray(without.image, int)).any(-1)
        mask = picture.owner == i
        assert changed[mask].mean() > 0.97  # a pixel may by chance have the colour behind it
        y, x = np.nonzero(changed)
        reach = 0.5 * np.sqrt(2) * thing.side + 0.2 * thing.side + 2  # half diagonal, shadow
        assert np.hypot(x - thing.x, y - thing.y).max() < reach


@pytest.mark.parametrize("index", range(40))
def test_every_thing_keeps_a_visible_area(index):
    drawn = scene(SETTINGS, index)
    picture = draw(SETTINGS.seed, drawn)
    share = [(picture.owner == i).mean() for i in range(len(drawn.things))]
    assert picture.image.size == (drawn.width, drawn.height)
    assert picture.owner.shape == (drawn.height, drawn.width)
    assert set(np.unique(picture.owner)) == {*range(len(drawn.things)), NOTHING}
    assert min(share) > 0.004
    assert max(share) < 0.3


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.name)
def test_a_thing_fills_its_square_and_stays_inside_it(kind):
    for picture in (*kind.pictures, *kind.unseen):
        y, x = owned(alone(kind.name, picture))
        assert 0.15 < len(x) / 120**2 < 0.95
        assert x.min() >= 59
        assert x.max() <= 181
        assert y.min() >= 39
        assert y.max() <= 161
        assert max(np.ptp(x), np.ptp(y)) > 0.9 * 120


def test_a_turned_thing_turns_counter_clockwise():
    upright, turned = (owned(alone("tree", "evergreen-tree", angle)) for angle in (0.0, 20.0))
    top = [x[y < y.min() + 12].mean() for y, x in (upright, turned)]
    assert top[1] < top[0] - 8  # the top went left


def test_a_mirrored_thing_looks_the_other_way():
    masks = [draw(0, alone("elephant", "elephant", mirrored=mirrored)).owner == 0 for mirrored in (False, True)]
    across = [np.flatnonzero(mask.any(0)) for mask in masks]
    one, other = (mask[:, x[0] : x[-1] + 1] for mask, x in zip(masks, across, strict=True))
    assert (one == other[:, ::-1]).mean() > 0.99
    assert (one == other).mean() < 0.95


def test_a_painted_thing_is_drawn_painted():
    plain, blue = (draw(0, alone("apple", "red-apple", colour=colour)) for colour in (None, "blue"))
    assert np.array_equal(plain.owner, blue.owner)
    red, _, bluish = np.asarray(blue.image, float)[blue.owner == 0].mean(0)
    assert bluish > red + 40
    red, _, bluish = np.asarray(plain.image, float)[plain.owner == 0].mean(0)
    assert red > bluish + 40


def test_turning_the_hue_keeps_greys_and_turns_the_rest_a_little():
    turn = turned_hue(HUE)
    assert np.allclose(np.array([0.5, 0.5, 0.5]) @ turn, 0.5, atol=1e-6)
    red = np.array([1.0, 0.0, 0.0]) @ turn
    assert red[0] > 0.9
    assert 0 < np.abs(red[1:]).max() < 0.15


def test_every_background_has_a_field():
    assert set(BACKGROUNDS) == set(FIELDS)


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_backgrounds_are_textured_and_muted(kind):
    pixels = np.stack([np.asarray(backdrop(generator(0, "test", i), kind, 300, 200), float) for i in range(8)])
    assert pixels.shape == (8, 200, 300, 3)
    assert np.mean([one.std() for one in pixels]) > 8
    assert np.median(np.ptp(pixels, axis=-1)) < 80  # things are more colourful
