import numpy as np
import pytest
from PIL import Image, ImageColor

from ves.report.drawing.overlay import COLOURS, MARK, OBJECT, Scale, colour_bar, mark, outline, scale_of, tint

BLIND = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def luminance(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L"), float)


def test_equal_values_have_equal_colours_in_every_panel() -> None:
    scale = scale_of([np.array([[0.1, 0.5]]), np.array([[-0.3]])])
    assert scale == Scale(-0.3, 0.5)
    weak, strong = (COLOURS[scale.places(np.array([0.1, greatest]))] for greatest in (0.2, 0.5))
    np.testing.assert_array_equal(weak[0], strong[0])
    assert strong[1].astype(int).sum() > weak[1].astype(int).sum() + 100


def test_lightness_grows_with_heat_and_the_picture_hardly_counts() -> None:
    heat = np.broadcast_to(np.linspace(0, 1, 256), (4, 256))
    for picture in (Image.new("RGB", (256, 4), "black"), Image.new("RGB", (256, 4), "white")):
        assert (np.diff(luminance(tint(picture, heat, Scale(0.0, 1.0)))[0]) >= -1).all()
    half = Image.new("RGB", (2, 1), "red")
    half.putpixel((0, 0), (255, 255, 255))
    assert np.ptp(luminance(tint(half, np.full((1, 2), 0.5), Scale(0.0, 1.0)))) < 60


@pytest.mark.parametrize("kind", BLIND)
def test_colours_are_told_apart_by_those_who_lack_a_cone(kind: str) -> None:
    """Simulated after Machado et al. (2009), severity 1, in linear RGB: lightness still ascends, step by step."""
    linear = (COLOURS / 255.0) ** 2.2
    seen = (linear @ np.array(BLIND[kind]).T).clip(0, 1)
    lightness = (seen @ [0.2126, 0.7152, 0.0722]) ** (1 / 2.2)
    assert (np.diff(lightness[::8]) > 0.005).all()
    assert lightness[-1] - lightness[0] > 0.85


def test_what_the_model_did_not_see_is_grey() -> None:
    heat = np.array([[np.nan, 1.0]])
    unseen, seen = np.asarray(tint(Image.new("RGB", (2, 1), "blue"), heat, Scale(0.0, 1.0)))[0].astype(int)
    assert np.ptp(unseen) == 0
    assert np.ptp(seen) > 20


def test_a_flat_heatmap_divides_by_nothing() -> None:
    assert np.ptp(np.asarray(tint(Image.new("RGB", (9, 9)), np.full((9, 9), 0.3), Scale(0.3, 0.3)))[..., 0]) == 0


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
def test_the_mark_stays_in_the_panel(box: tuple[float, ...]) -> None:
    panel = Image.new("RGB", (100, 60), "#555555")
    mark(panel, np.array(box, float))
    white = (np.asarray(panel) == ImageColor.getrgb(MARK)).all(-1)
    rows, columns = np.flatnonzero(white.any(1)), np.flatnonzero(white.any(0))
    assert columns[0] == min(max(round(box[0]), 1), 95)
    assert rows[0] == max(box[1], 1)
    assert columns[-1] <= 98
    assert rows[-1] <= 58


def test_the_bar_shows_the_colours_of_the_panels() -> None:
    bar = np.asarray(colour_bar(256, 3))[1]
    grey = Image.new("RGB", (1, 1), "#808080")
    for value in (0.0, 0.5, 1.0):
        one = np.asarray(tint(grey, np.full((1, 1), value), Scale(0.0, 1.0)))[0, 0]
        assert np.abs(one.astype(int) - bar[round(value * 255)]).max() <= 2
