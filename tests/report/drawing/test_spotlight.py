from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from tests.support.colour_vision import BLIND, lightness
from ves.media.geometry import Geometry
from ves.report.drawing.overlay import Scale, scale_of
from ves.report.drawing.spotlight import FLAT, LEAST, RIM, VEIL, Spotlight, light_bar, lit, of_patches, say_flat

SIDE = 200
SQUARE = Geometry(SIDE, SIDE, 140, "stretch")
GREY, GREEN = Image.new("RGB", (SIDE, SIDE), "#b0b0b0"), Image.new("RGB", (SIDE, SIDE), "#30a040")


def peaked(height: float, place: tuple[int, int] = (2, 7), seed: int = 0) -> np.ndarray:
    """A heatmap of 10 x 10: small noise, and one patch that rises so far above it."""
    heat = np.random.default_rng(seed).uniform(-0.01, 0.01, (10, 10))
    heat[place] = height
    return heat


def with_hole() -> np.ndarray:
    """Alike everywhere but on an object of 3 x 3 patches: what looked like a hit when colours were laid over."""
    heat = peaked(0.02)
    heat[5:8, 1:4] = -0.6
    return heat


def scale(*heats: np.ndarray) -> Scale:
    return scale_of([heat.ravel() for heat in heats])


def light(picture: Image.Image, heat: np.ndarray, shared: Scale) -> np.ndarray:
    """Brightness of the middle of each patch, [10, 10]."""
    shown = np.asarray(lit(picture, heat, SQUARE, shared).convert("L"), float)
    return shown[10::20, 10::20]


def test_full_light_is_on_the_most_alike_and_the_rest_is_dim() -> None:
    heat = peaked(0.8)
    seen = light(GREY, heat, scale(heat))
    assert seen[2, 7] == pytest.approx(0xB0, abs=1)
    assert np.delete(seen, 27).max() < 0.4 * 0xB0


def test_what_is_least_alike_is_no_darker_or_brighter_than_the_median() -> None:
    heat = with_hole()
    heat[0, 0] = 0.5
    seen = light(GREY, heat, scale(heat))
    below = seen[heat <= np.median(heat)]
    assert np.ptp(below) <= 1
    assert seen.min() == below.min()


def test_a_heatmap_with_a_hole_points_at_no_hole() -> None:
    """Beside a model that found something, one that is alike everywhere but on the object hardly dims."""
    hole, found = with_hole(), peaked(0.8)
    shared = scale(hole, found)
    assert of_patches(hole, SQUARE, shared).strength < 0.25
    assert np.ptp(light(GREY, hole, shared)) < 0.25 * np.ptp(light(GREY, found, shared))
    region = Spotlight(float(np.median(hole)), float(hole.max()), 1.0).region(SQUARE.on_picture(hole))
    assert 0 < region.mean() < 0.1


def test_a_colour_keeps_its_hue_in_light_and_dimmed() -> None:
    heat = peaked(0.8)
    pixels = np.asarray(lit(GREEN, heat, SQUARE, scale(heat))).astype(int)
    bright, dim = pixels[50, 150], pixels[150, 30]
    assert bright.tolist() == [0x30, 0xA0, 0x40]
    assert dim[1] > dim[2] > dim[0] and dim.sum() < 0.5 * bright.sum()
    assert np.ptp(dim) < np.ptp(bright), "a little less colourful"


def test_panels_of_one_scale_dim_as_much_as_they_stand_out() -> None:
    heats = [peaked(height) for height in (0.8, 0.4, 0.2, 0.1)]
    contrast = [np.ptp(light(GREY, heat, scale(*heats))) for heat in heats]
    assert all(weaker < 0.85 * stronger for stronger, weaker in pairwise(contrast))


@pytest.mark.parametrize("flat", [np.full((10, 10), 0.3), peaked(0.01, seed=3), peaked(0.039)])
def test_a_flat_heatmap_dims_nothing_and_lights_nothing(flat: np.ndarray) -> None:
    shared = scale(flat, peaked(0.8))
    assert of_patches(flat, SQUARE, shared).flat
    assert lit(GREEN, flat, SQUARE, shared).tobytes() == GREEN.tobytes()
    assert not of_patches(flat, SQUARE, shared).region(SQUARE.on_picture(flat)).any()


def test_noise_alone_is_flat_though_nothing_rises_further() -> None:
    noise = FLAT * LEAST * np.random.default_rng(0).uniform(-0.5, 0.5, (10, 10))
    assert of_patches(noise, SQUARE, scale(noise)).flat


def test_flat_is_written_on_the_panel() -> None:
    panel = GREEN.copy()
    say_flat(panel)
    changed = np.argwhere((np.asarray(panel) != np.asarray(GREEN)).any(-1))
    assert len(changed) > 100
    assert changed[:, 0].min() > SIDE / 2 and changed[:, 1].max() < SIDE / 2


def test_a_moment_that_does_not_count_leaves_the_picture() -> None:
    assert lit(GREEN, np.full((10, 10), np.nan), SQUARE, Scale(0.0, 1.0, 1.0)).tobytes() == GREEN.tobytes()


@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_padding_has_no_say_and_what_was_not_seen_is_misty(fit: str) -> None:
    geometry, picture = Geometry(400, 200, 140, fit), Image.new("RGB", (400, 200), "#c03020")
    heat = np.where(geometry.patch_mask(10, 10).reshape(10, 10), peaked(0.8, (5, 5)), 9.0)
    shared = scale_of([heat.ravel()[geometry.patch_mask(10, 10)]])
    spot = of_patches(heat, geometry, shared)
    assert spot.top == 0.8 and spot.strength == 1
    pixels = np.asarray(lit(picture, heat, geometry, shared)).astype(int)
    assert np.ptp(pixels[:, 20], axis=-1).max() < (50 if fit == "crop" else 100)
    assert (np.isnan(geometry.on_picture(heat))[:, 20]).all() == (fit == "crop")
    assert pixels[:, 20].sum(-1).max() < 0xC0 + 0x30 + 0x20, "no brighter than the picture"


def flooded(heat: np.ndarray, median: float) -> np.ndarray:
    """The region by its definition: from the hottest pixel to neighbours that are nearer to the maximum than to the
    median, until none is."""
    middle = (median + np.nanmax(heat)) / 2
    found, ahead = np.zeros(heat.shape, bool), [np.unravel_index(np.nanargmax(heat), heat.shape)]
    while ahead:
        y, x = ahead.pop()
        if 0 <= y < heat.shape[0] and 0 <= x < heat.shape[1] and not found[y, x] and heat[y, x] >= middle:
            found[y, x] = True
            ahead += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    return found


@pytest.mark.parametrize("seed", range(5))
def test_the_strongest_region_is_what_is_joined_to_the_hottest_pixel(seed: int) -> None:
    heat = np.random.default_rng(seed).normal(size=(14, 17))
    heat[:, 3] = np.nan
    median = float(np.nanmedian(heat))
    region = Spotlight(median, float(np.nanmax(heat)), 1.0).region(heat)
    np.testing.assert_array_equal(region, flooded(heat, median))
    assert not Spotlight(0.0, 1.0, 1.0).region(np.full((4, 5), np.nan)).any()


@pytest.mark.parametrize("kind", BLIND)
def test_the_rim_stands_out_for_those_who_lack_a_cone(kind: str) -> None:
    """It is lighter than what is dim, whatever its colour."""
    dimmest = Spotlight(0.0, 1.0, 1.0).veil(np.zeros((1, 1))).item()
    for picture in ((255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)):
        dim = np.array(picture) * (1 - dimmest) + np.array(VEIL) * dimmest
        assert lightness(kind, np.array(RIM)) > lightness(kind, dim) + 0.25


def test_the_rim_runs_about_the_strongest_region() -> None:
    heat = peaked(0.8) + peaked(0.5, (8, 1))
    shared = scale(heat)
    laid, spot = SQUARE.on_picture(heat), of_patches(heat, SQUARE, shared)
    inside, rim = spot.region(laid), spot.rim(laid)
    edge = inside & ~np.roll(inside, 1, 0) | inside & ~np.roll(inside, 1, 1)
    assert rim[edge].min() > 0.6
    assert rim[~inside].max() > 0.6 and rim[150:, :60].max() == 0, "one region, not every lit place"
    orange = np.abs(np.asarray(lit(GREY, heat, SQUARE, shared)).astype(int) - RIM).max(-1) < 60
    assert orange.any() and (rim[orange] > 0.5).all()


def test_the_legend_goes_from_dim_to_lit() -> None:
    bar = np.asarray(light_bar(100, 9).convert("L")).astype(int)[4, 1:-1]
    assert (np.diff(bar) >= 0).all()
    assert bar[0] < 90 and bar[-1] == 255
