import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from ves.media.geometry import FITS, Geometry, linear_weights

pytestmark = pytest.mark.numbers

fits = st.sampled_from(FITS)
sides = st.integers(16, 700)  # tiny, wide and tall pictures
counts = st.integers(1, 16)


def geometry_of(width: int, height: int, fit: str, size: int = 140) -> Geometry:
    return Geometry(width, height, size, fit)


def test_boxes_of_a_wide_picture_by_hand():
    """A picture of 40 x 20 in a square of 20 with 2 x 2 patches of 10."""
    stretch = Geometry(40, 20, 20, "stretch").patch_boxes(2, 2)
    assert stretch.tolist() == [[0, 0, 20, 10], [20, 0, 40, 10], [0, 10, 20, 20], [20, 10, 40, 20]]
    crop = Geometry(40, 20, 20, "crop").patch_boxes(2, 2)
    assert crop.tolist() == [[10, 0, 20, 10], [20, 0, 30, 10], [10, 10, 20, 20], [20, 10, 30, 20]]
    pad = Geometry(40, 20, 20, "pad").patch_boxes(2, 2)
    assert pad.tolist() == [[0, -10, 20, 10], [20, -10, 40, 10], [0, 10, 20, 30], [20, 10, 40, 30]]


def test_padding_is_masked():
    """A picture of 40 x 20 fills the middle half of the square's rows."""
    assert Geometry(40, 20, 20, "pad").patch_mask(4, 2).reshape(4, 2).tolist() == [[0, 0], [1, 1], [1, 1], [0, 0]]
    assert Geometry(20, 40, 20, "pad").patch_mask(2, 4).reshape(2, 4).tolist() == [[0, 1, 1, 0], [0, 1, 1, 0]]


@given(sides, sides, st.sampled_from(("stretch", "crop")), counts, counts)
def test_nothing_is_masked_without_padding(width, height, fit, rows, cols):
    assert geometry_of(width, height, fit).patch_mask(rows, cols).all()


@given(sides, sides, fits, counts, counts, st.data())
def test_a_patch_maps_to_pixels_that_map_back(width, height, fit, rows, cols, data):
    geometry = geometry_of(width, height, fit)
    patch = data.draw(st.sampled_from(np.flatnonzero(geometry.patch_mask(rows, cols)).tolist()))
    x0, y0, x1, y1 = geometry.patch_boxes(rows, cols)[patch]
    x0, x1, y0, y1 = max(x0, 0), min(x1, width), max(y0, 0), min(y1, height)  # the part that is not padding
    for u, v in ((0.5, 0.5), (0.01, 0.01), (0.99, 0.99), (0.01, 0.99)):
        assert geometry.patch_of(x0 + u * (x1 - x0), y0 + v * (y1 - y0), rows, cols) == patch


def boxes_of(width, height, fit, rows, cols) -> np.ndarray:
    """float [rows, cols, 4]"""
    return geometry_of(width, height, fit).patch_boxes(rows, cols).reshape(rows, cols, 4)


def extent(boxes: np.ndarray) -> tuple[float, float]:
    """Width and height of what all boxes cover together."""
    return boxes[0, -1, 2] - boxes[0, 0, 0], boxes[-1, 0, 3] - boxes[0, 0, 1]


@given(sides, sides, fits, counts, counts)
def test_boxes_lie_side_by_side(width, height, fit, rows, cols):
    boxes = boxes_of(width, height, fit, rows, cols)
    np.testing.assert_allclose(boxes[:, 1:, 0], boxes[:, :-1, 2], atol=1e-6)
    np.testing.assert_allclose(boxes[1:, :, 1], boxes[:-1, :, 3], atol=1e-6)


@given(sides, sides, counts, counts)
def test_stretch_shows_the_whole_picture(width, height, rows, cols):
    assert extent(boxes_of(width, height, "stretch", rows, cols)) == pytest.approx((width, height))


@given(sides, sides, counts, counts)
def test_crop_shows_a_square_of_the_shorter_side(width, height, rows, cols):
    assert extent(boxes_of(width, height, "crop", rows, cols)) == pytest.approx((min(width, height),) * 2)


@given(sides, sides, counts, counts)
def test_pad_shows_all_of_the_longer_side(width, height, rows, cols):
    """The shorter one is rounded to whole pixels of the square."""
    longer = 0 if width >= height else 1
    assert extent(boxes_of(width, height, "pad", rows, cols))[longer] == pytest.approx(max(width, height))


def test_points_outside_have_no_patch():
    crop = Geometry(40, 20, 20, "crop")
    assert [crop.patch_of(x, 5, 2, 2) for x in (9.9, 10, 29.9, 30)] == [None, 0, 1, None]
    assert Geometry(40, 20, 20, "pad").patch_of(5, -1, 4, 2) is None


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(300, 200), (200, 300), (64, 400), (250, 250)])
def test_the_square_shows_what_the_boxes_say(fit, size):
    """Paint one patch's box red in the picture: in the square, that patch is red and no other is."""
    width, height = size
    geometry = geometry_of(width, height, fit)
    rows = cols = 5
    for patch in np.flatnonzero(geometry.patch_mask(rows, cols)):
        x0, y0, x1, y1 = geometry.patch_boxes(rows, cols)[patch].round().astype(int).clip(0)
        painted = np.zeros((height, width, 3), np.uint8)
        painted[y0:y1, x0:x1, 0] = 255
        if not painted.any():
            continue  # a sliver of a patch
        red = np.asarray(geometry.square(Image.fromarray(painted)))[..., 0].astype(float)
        per_patch = red.reshape(rows, 28, cols, 28).mean((1, 3)).ravel()
        assert per_patch.argmax() == patch
        assert per_patch[patch] > 0.75 * per_patch.sum()


def test_padding_is_black_and_centred():
    square = np.asarray(Geometry(40, 20, 20, "pad").square(Image.new("RGB", (40, 20), "white")))
    assert square[:5].max() == 0 and square[15:].max() == 0 and square[5:15].min() == 255


def test_a_picture_of_another_size_is_refused():
    with pytest.raises(ValueError, match="geometry is of"):
        Geometry(40, 20, 20, "crop").square(Image.new("RGB", (20, 40)))
    with pytest.raises(ValueError, match="squash"):
        Geometry(40, 20, 20, "squash")


@given(sides, sides, fits, counts, counts, st.integers(0, 2**32 - 1))
def test_the_heatmap_is_greatest_in_the_greatest_patch(width, height, fit, rows, cols, seed):
    geometry = geometry_of(width, height, fit)
    heat = np.random.default_rng(seed).normal(size=(rows, cols))
    seen = np.where(geometry.patch_mask(rows, cols), heat.ravel(), -np.inf)
    x0, y0, x1, y1 = geometry.patch_boxes(rows, cols)[seen.argmax()]
    assume(min(x1, width) - max(x0, 0) >= 1 and min(y1, height) - max(y0, 0) >= 1)  # it covers a pixel at all
    laid = geometry.on_picture(heat)
    y, x = np.unravel_index(np.nanargmax(laid), laid.shape)
    assert x < x1 and x + 1 > x0 and y < y1 and y + 1 > y0  # the pixel and the patch overlap
    assert np.nanmax(laid) == pytest.approx(seen.max())
    assert np.nanmin(laid) >= seen[np.isfinite(seen)].min() - 1e-9


@given(sides, sides, fits, counts, counts)
def test_nearest_values_are_those_of_the_patch_under_each_pixel(width, height, fit, rows, cols):
    geometry = geometry_of(width, height, fit)
    laid = geometry.patches_to_picture(np.arange(rows * cols, dtype=float).reshape(rows, cols))
    for y, x in np.random.default_rng(0).integers((height, width), size=(20, 2)):
        expected = geometry.patch_of(x + 0.5, y + 0.5, rows, cols)
        assert np.isnan(laid[y, x]) if expected is None else laid[y, x] == expected


def test_the_heatmap_is_bilinear_by_hand():
    """Two patches of 4 pixels: constant to the first centre, linear to the second, constant beyond."""
    laid = Geometry(8, 8, 8, "stretch").on_picture(np.array([[0.0, 8.0]]))
    assert laid.shape == (8, 8)
    assert laid[0].tolist() == [0, 0, 1, 3, 5, 7, 8, 8]
    assert laid[3].tolist() == [0, 0, 1, 3, 5, 8, 8, 8]  # its pixel 5 is nearest to the centre of the greatest patch


def test_weights_by_hand():
    """Three patches, the first of them padding: between centres the nearer counts more, beyond them the last alone."""
    weights = linear_weights(np.array([0.2, 1.5, 1.75, 2.9]), np.array([False, True, True]))
    assert weights.tolist() == [[0, 1, 0], [0, 1, 0], [0, 0.75, 0.25], [0, 0, 1]]


def test_padding_does_not_bleed_into_the_heatmap():
    heat = np.array([[9.0, 9], [1, 1], [1, 1], [9, 9]])
    assert np.nanmax(Geometry(40, 20, 20, "pad").on_picture(heat)) == 1


def test_what_crop_leaves_out_is_nan():
    laid = Geometry(40, 20, 20, "crop").on_picture(np.ones((2, 2)))
    assert np.isnan(laid[:, :10]).all() and np.isnan(laid[:, 30:]).all() and (laid[:, 10:30] == 1).all()
