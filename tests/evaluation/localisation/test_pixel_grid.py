"""The grid: against torch's interpolation and PIL's nearest neighbour, and what crop and padding leave of it."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.truth_corpus import rectangle
from ves.evaluation.localisation.pixel_grid import SIDE, PixelGrid
from ves.media.geometry import Geometry

pytestmark = pytest.mark.numbers

FITS = ("stretch", "crop", "pad")


def grid(width: int, height: int, fit: str, rows: int = 10, columns: int = 10) -> PixelGrid:
    return PixelGrid(Geometry(width, height, 140, fit), rows, columns)


def test_heat_is_laid_as_torch_does():
    """F.interpolate as the reference code calls it; cv2's INTER_LINEAR has the same half-pixel centres."""
    heat = np.random.default_rng(0).normal(size=100).astype(np.float32)
    laid = grid(300, 200, "stretch").lay(heat).reshape(SIDE, SIDE)
    expected = torch.nn.functional.interpolate(torch.tensor(heat).reshape(1, 1, 10, 10), (SIDE, SIDE), mode="bilinear")
    np.testing.assert_allclose(laid, expected[0, 0].numpy(), atol=1e-5)


def test_masks_are_laid_as_pil_does():
    mask = np.random.default_rng(0).random((173, 311)) < 0.5
    laid = grid(311, 173, "stretch").mask(mask).reshape(SIDE, SIDE)
    nearest = Image.fromarray(mask).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(laid, np.asarray(nearest))


def test_of_a_cropped_picture_the_middle_counts():
    """A picture twice as wide as high: its left quarter is cut away."""
    pixels = grid(400, 200, "crop")
    assert not pixels.mask(rectangle(400, 200, 0, 0, 100, 200)).any()
    assert pixels.mask(rectangle(400, 200, 100, 0, 300, 200)).all()
    half = pixels.mask(rectangle(400, 200, 100, 0, 200, 200)).reshape(SIDE, SIDE)
    assert half[:, : SIDE // 2].all() and not half[:, SIDE // 2 :].any()


def test_black_bars_are_no_pixels():
    """Twice as wide as high, padded: the upper and the lower quarter of the grid show nothing."""
    pixels = grid(400, 200, "pad", 8, 8)
    everything = pixels.mask(np.ones((200, 400), bool))
    assert everything.all() and len(everything) == SIDE * SIDE // 2
    heat = np.full(64, 1e9)
    heat[16:48] = 0.5  # the rows of patches that show the picture
    np.testing.assert_array_equal(pixels.lay(heat), np.full(SIDE * SIDE // 2, 0.5, np.float32))
    assert pixels.coverage(everything).reshape(8, 8)[2:6].min() == 1.0
    assert not pixels.coverage(everything).reshape(8, 8)[[0, 1, 6, 7]].any()


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(300, 200), (200, 333), (97, 101)])
def test_heat_lies_on_its_patch(fit, size):
    """One hot patch: the hottest pixels of the grid lie in it, and so does what it covers of the picture.

    The object is drawn on the picture by ves.media.geometry's boxes of patches, the way that figures and pointing use.
    """
    width, height = size
    pixels = grid(width, height, fit)
    boxes = pixels.geometry.patch_boxes(10, 10)
    for patch in np.flatnonzero(pixels.geometry.patch_mask(10, 10))[::7]:
        heat = np.zeros(100)
        heat[patch] = 1
        laid = pixels.lay(heat)
        assert list(np.flatnonzero(pixels.coverage(laid == laid.max()))) == [patch]
        left, top, right, bottom = boxes[patch].clip(0, [width, height, width, height])
        if right - left < 6 or bottom - top < 6:
            continue  # the edge of padding: too thin for whole pixels
        mask = rectangle(width, height, round(left), round(top), round(right), round(bottom))
        coverage = pixels.coverage(pixels.mask(mask))
        assert coverage.argmax() == patch
        assert coverage[patch] > 0.8
        assert np.delete(coverage, patch).max() < 0.2


def test_coverage_keeps_the_area():
    pixels = grid(300, 200, "stretch", 8, 7)  # 224 divides by both
    mask = pixels.mask(rectangle(300, 200, 40, 30, 150, 90))
    assert pixels.coverage(mask).sum() * SIDE * SIDE / 56 == pytest.approx(mask.sum())


@pytest.mark.parametrize("fit", FITS)
def test_coverage_is_the_share_of_the_pixels_of_each_patch(fit):
    """Against a loop over the visible pixels; patches of padding have none."""
    pixels = grid(97, 301, fit, 10, 7)
    rows, columns = pixels._visible
    mask = np.random.default_rng(0).random(rows.sum() * columns.sum()) < 0.3
    inside, count = np.zeros(70), np.zeros(70)
    for pixel, (row, column) in enumerate(itertools.product(np.flatnonzero(rows), np.flatnonzero(columns))):
        patch = int((row + 0.5) * 10 / SIDE) * 7 + int((column + 0.5) * 7 / SIDE)
        inside[patch] += mask[pixel]
        count[patch] += 1
    np.testing.assert_array_equal(pixels.coverage(mask), inside / np.maximum(count, 1))
    assert (count == 0).any() == (fit == "pad")


def test_boxes():
    pixels = grid(300, 200, "stretch")
    corners = np.zeros((SIDE, SIDE), bool)
    corners[10, 50] = corners[19, 30] = True
    box = pixels.box(corners.ravel()).reshape(SIDE, SIDE)
    assert box.sum() == 10 * 21 and box[10:20, 30:51].all()
    assert not pixels.box(np.zeros(SIDE * SIDE, bool)).any()


def test_the_centre_disc():
    """The hotter half is the disc of half of the area: its radius is sqrt(0.5 / pi) of the side."""
    heat = grid(300, 200, "stretch").from_centre()
    disc = (heat > np.median(heat)).reshape(SIDE, SIDE)
    assert disc.mean() == pytest.approx(0.5, abs=0.01)
    radius = SIDE * (0.5 / np.pi) ** 0.5
    assert disc[112, 112 : 112 + int(radius) - 1].all() and not disc[112, 112 + int(radius) + 2 :].any()
    np.testing.assert_array_equal(disc, disc.T)
