"""Paint: a thing that is said to be red is red, and stays the thing that it is."""

import numpy as np
import pytest
from PIL import Image

from ves.sources.scenes.paint import COLOURS, LUMA, PAINTS, painted
from ves.sources.scenes.things import kinds, picture

FIRST = [kind.pictures[0] for kind in kinds()]


def mean_colour(image: Image.Image) -> np.ndarray:
    """Mean red, green and blue of what is seen of the thing."""
    pixels = np.asarray(image, float)
    return (pixels[..., :3] * pixels[..., 3:]).sum((0, 1)) / pixels[..., 3].sum()


@pytest.mark.parametrize("name", FIRST)
def test_a_painted_thing_has_the_colour_that_is_said(name):
    """The mean colour of the thing points the way its paint does; white is lightest, black darkest."""
    means = {colour: mean_colour(painted(name, colour)) for colour in COLOURS}
    for colour, paint in PAINTS.items():
        if colour not in ("white", "black"):  # these have no hue; they are the lightest and the darkest below
            hue, wanted = means[colour] - means[colour].mean(), np.array(paint) - np.mean(paint)
            cosine = hue @ wanted / np.linalg.norm(hue) / np.linalg.norm(wanted)
            assert cosine > 0.8, (colour, means[colour])
    lightness = {colour: mean.mean() for colour, mean in means.items()}
    assert max(lightness, key=lightness.__getitem__) == "white"
    assert min(lightness, key=lightness.__getitem__) == "black"


@pytest.mark.parametrize("colour", COLOURS)
def test_paint_keeps_outline_and_relief(colour):
    """A car has dark tyres and light windows in any colour."""
    before, after = np.asarray(picture("automobile"), float), np.asarray(painted("automobile", colour), float)
    assert np.array_equal(before[..., 3], after[..., 3])
    inside = before[..., 3] > 200
    light, new = before[inside][:, :3] @ LUMA, after[inside][:, :3] @ LUMA
    assert np.corrcoef(light, new)[0, 1] > 0.5
    assert np.abs(new - light)[light < 15].max(initial=0) < 3, "what is black stays black"


def test_the_picture_of_a_kind_is_not_changed_by_painting_it():
    before = picture("automobile").tobytes()
    painted("automobile", "blue")
    assert picture("automobile").tobytes() == before


def test_a_colour_without_a_paint_is_an_error():
    with pytest.raises(KeyError, match="mauve"):
        painted("automobile", "mauve")
