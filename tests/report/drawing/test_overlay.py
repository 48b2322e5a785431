import numpy as np
import pytest
from PIL import Image, ImageColor

from tests.support.colour_vision import BLIND, lightness
from ves.report.drawing.overlay import COLOURS, MARK, OBJECT, Scale, colour_bar, mark, outline, scale_of, tint


def luminance(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L"), float)


def test_equal_values_have_equal_colours_in_every_panel() -> None:
    scale = scale_of([np.array([[0.1, 0.5]]), np.array([[-0.3, -0.3]])])
    assert scale == Scale(-0.3, 0.5, 0.2)
    weak, strong = (COLOURS[scale.places(np.array([0.1, greatest]))] for greatest in (0.2, 0.5))
    np.testing.assert_array_equal(weak[0], strong[0])
    assert strong[1].astype(int).sum() > weak[1].astype(int).sum() + 100


def test_lightness_grows_with_heat_and_the_picture_hardly_counts() -> None:
    heat = np.broadcast_to(np.linspace(0, 1, 256), (4, 256))
    for picture in (Image.new("RGB", (256, 4), "black"), Image.new("RGB", (256, 4), "white")):
        assert (np.diff(luminance(tint(picture, heat, Scale(0.0, 1.0, 1.0)))[0]) >= -1).all()
    half = Image.new("RGB", (2, 1), "red")
    half.putpixel((0, 0), (255, 255, 255))
    assert np.ptp(luminance(tint(half, np.full((1, 2), 0.5), Scale(0.0, 1.0, 1.0)))) < 60


@pytest.mark.parametrize("kind", BLIND)
def test_colours_are_told_apart_by_those_who_lack_a_cone(kind: str) -> None:
    """Lightness ascends for them too, step by step."""
    seen = lightness(kind, COLOURS)
    assert (np.diff(seen[::8]) > 0.005).all()
    assert seen[-1] - seen[0] > 0.85


def test_what_the_model_did_not_see_is_grey() -> None:
    heat = np.array([[np.nan, 1.0]])
    unseen, seen = np.asarray(tint(Image.new("RGB", (2, 1), "blue"), heat, Scale(0.0, 1.0, 1.0)))[0].astype(int)
    assert np.ptp(unseen) == 0
    assert np.ptp(seen) > 20


def test_a_flat_heatmap_divides_by_nothing() -> None:
    assert np.ptp(np.asarray(tint(Image.new("RGB", (9, 9)), np.full((9, 9), 0.3), Scale(0.3, 0.3, 0.0)))[..., 0]) == 0


def test_the_outline_runs_just_outside_of_the_object() -> None:
    mask = np.zeros((60, 80), np.uint8)
    mask[20:40, 30:50] = 255
    panel = Image.new("RGB", (160, 120), "#804020")  # twice the size of the mask
    outline(panel, Image.fromarray(mask))
    drawn = np.asarray(panel).astype(int)
    like = np.abs(drawn - ImageColor.getrgb(OBJECT)).sum(-1) < 90
    rows, columns = np.flatnonzero(like.any(1)), np.flatnonzero(like.any(0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == pytest.approx((39, 80, 59, 100), abs=1)
    np.testing.assert_array_equal(drawn[42:78, 62:98], np.broadcast_to((0x80, 0x40, 0x20), (36, 36, 3)))


@pytest.mark.parametrize(
    "box", [(20, 10, 40, 30), (-5, -5, 8, 8), (90, 50, 130, 80), (99.7, 10, 120, 30), (-30, 0, 0.4, 20)]
)
def test_the_mark_is_on_the_centre_of_the_patch_and_stays_in_the_panel(box: tuple[float, ...]) -> None:
    panel = Image.new("RGB", (100, 60), "#555555")
    mark(panel, np.array(box, float))
    rows, columns = np.nonzero((np.asarray(panel) == ImageColor.getrgb(MARK)).all(-1))
    assert columns.mean() + 0.5 == pytest.approx(np.clip((box[0] + box[2]) / 2, 3.5, 96.5), abs=0.6)
    assert rows.mean() + 0.5 == pytest.approx(np.clip((box[1] + box[3]) / 2, 3.5, 56.5), abs=0.6)
    assert columns.min() > 0 and columns.max() < 99 and rows.min() > 0 and rows.max() < 59, "room for its edge"


def test_the_bar_shows_the_colours_of_the_panels() -> None:
    bar = np.asarray(colour_bar(256, 3))[1]
    grey = Image.new("RGB", (1, 1), "#808080")
    for value in (0.0, 0.5, 1.0):
        one = np.asarray(tint(grey, np.full((1, 1), value), Scale(0.0, 1.0, 1.0)))[0, 0]
        assert np.abs(one.astype(int) - bar[round(value * 255)]).max() <= 2
