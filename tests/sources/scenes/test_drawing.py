"""Pictures: masks against pixels, and that a thing is seen where the truth says."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.small_scenes import settings
from ves.sources.scenes.drawing import NOTHING, backdrop, draw
from ves.sources.scenes.layout import BACKGROUNDS, COLOURS, KINDS, Scene, Thing, scene
from ves.sources.scenes.pen import PAINTS
from ves.sources.scenes.shapes import SHAPES
from ves.sources.scenes.streams import generator

SETTINGS = settings()


def alone(kind: str, colour: str = "red", angle: float = 0.0) -> Scene:
    return Scene(0, 240, 200, "gradient", (Thing(kind, colour, 120.0, 100.0, 120.0, angle, 0.0),))


def test_each_kind_has_a_shape_and_each_colour_a_paint():
    assert list(SHAPES) == list(KINDS)
    assert list(PAINTS) == list(COLOURS)
    assert len(set(KINDS)) == 20


@pytest.mark.parametrize("index", range(6))
def test_leaving_a_thing_out_changes_its_pixels_and_nothing_far_from_it(index):
    whole = scene(SETTINGS, index)
    picture = draw(SETTINGS.seed, whole)
    for i, thing in enumerate(whole.things):
        without = draw(SETTINGS.seed, replace(whole, things=whole.things[:i] + whole.things[i + 1 :]))
        changed = (np.asarray(picture.image, int) != np.asarray(without.image, int)).any(-1)
        mask = picture.owner == i
        assert changed[mask].mean() > 0.98  # a pixel may by chance have the colour behind it
        y, x = np.nonzero(changed)
        reach = 0.5 * np.sqrt(2) * thing.side + 0.1 * thing.side + 2  # half diagonal, shadow
        assert np.hypot(x - thing.x, y - thing.y).max() < reach


@pytest.mark.parametrize("index", range(40))
def test_every_thing_keeps_a_visible_area(index):
    drawn = scene(SETTINGS, index)
    picture = draw(SETTINGS.seed, drawn)
    share = [(picture.owner == i).mean() for i in range(len(drawn.things))]
    assert picture.image.size == (drawn.width, drawn.height)
    assert picture.owner.shape == (drawn.height, drawn.width)
    assert set(np.unique(picture.owner)) == {*range(len(drawn.things)), NOTHING}
    assert min(share) > 0.015
    assert max(share) < 0.26


@pytest.mark.parametrize("kind", KINDS)
def test_a_shape_fills_its_square_and_stays_inside_it(kind):
    owner = draw(0, alone(kind)).owner == 0
    y, x = np.nonzero(owner)
    assert 0.2 < owner.sum() / 120**2 < 0.95
    assert x.min() >= 59
    assert x.max() <= 181
    assert y.min() >= 39
    assert y.max() <= 161
    assert max(np.ptp(x), np.ptp(y)) > 0.8 * 120


def test_kinds_differ_in_outline():
    masks = {kind: draw(0, alone(kind)).owner == 0 for kind in KINDS}
    for one in KINDS:
        for other in KINDS:
            overlap = (masks[one] & masks[other]).sum() / (masks[one] | masks[other]).sum()
            assert (overlap < 0.87) or one == other, (one, other, overlap)


@pytest.mark.parametrize("kind", KINDS)
def test_each_colour_is_the_colour_most_of_the_thing_has(kind):
    """The mean colour of the thing points the way its paint does; white is lightest, black darkest."""
    means = {}
    for colour in COLOURS:
        picture = draw(0, alone(kind, colour))
        means[colour] = np.asarray(picture.image, float)[picture.owner == 0].mean(0)
    for colour, paint in PAINTS.items():
        if colour not in ("white", "black"):  # these have no hue; they are the lightest and the darkest below
            red, green, blue = means[colour] - means[colour].mean()
            wanted = np.array(paint, float) - np.mean(paint)
            cosine = wanted @ [red, green, blue] / np.linalg.norm(wanted) / np.linalg.norm([red, green, blue])
            assert cosine > 0.8, (colour, means[colour])
    lightness = {colour: mean.mean() for colour, mean in means.items()}
    assert max(lightness, key=lightness.__getitem__) == "white"
    assert min(lightness, key=lightness.__getitem__) == "black"


def test_a_turned_thing_turns_counter_clockwise():
    upright, turned = (np.nonzero(draw(0, alone("bottle", angle=angle)).owner == 0) for angle in (0.0, 20.0))
    neck = [x[y < y.min() + 12].mean() for y, x in (upright, turned)]
    assert neck[1] < neck[0] - 10  # the top went left


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_backgrounds_are_textured_and_muted(kind):
    pixels = np.asarray(backdrop(generator(0, "test"), kind, 300, 200), float)
    assert pixels.shape == (200, 300, 3)
    assert pixels.std() > 8
    assert np.median(np.ptp(pixels, axis=-1)) < 110  # far from the paints of things


def test_an_unknown_background_is_an_error():
    with pytest.raises(ValueError, match="unknown background 'plaid'"):
        backdrop(generator(0, "test"), "plaid", 30, 20)
