import numpy as np
import pytest
from PIL import Image

from tests.support.viewing import BALL, box, make_viewing
from ves.report.clips import panels
from ves.report.clips.plate import plate_of
from ves.report.drawing.page import GAP, MARGIN, size_within


def flooded(heat: np.ndarray) -> np.ndarray:
    """The region by its definition: from the hottest pixel to neighbours that are above the middle, until none is."""
    middle = (np.nanmin(heat) + np.nanmax(heat)) / 2
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
    np.testing.assert_array_equal(panels.strongest(heat), flooded(heat))


def test_flat_and_unseen_heatmaps() -> None:
    flat = np.full((4, 5), 0.3)
    flat[0] = np.nan
    assert panels.strongest(flat).tolist() == [[False] * 5] + [[True] * 5] * 3
    assert not panels.strongest(np.full((4, 5), np.nan)).any()


@pytest.mark.parametrize("size", [(320, 160), (120, 240), (200, 200)])
def test_the_cut_out_is_the_lit_patch_of_the_picture(size: tuple[int, int]) -> None:
    plate = plate_of(make_viewing(size).first())
    page = np.asarray(panels.compose([plate], "dense"))
    width, height = size_within(plate.picture, panels.BOX)
    left = MARGIN + panels.LEFT + 3 * (panels.BOX[0] + GAP) + (panels.BOX[0] - width) // 2
    cut = page[MARGIN + 26 : MARGIN + 26 + height, left : left + width]
    kept = (cut != 255).any(-1)
    rows, columns = np.nonzero(kept)
    x0, y0, x1, y1 = (np.array(box((width, height), BALL))).tolist()
    assert y0 <= (rows.min() + rows.max()) / 2 <= y1
    assert x0 <= (columns.min() + columns.max()) / 2 <= x1
    assert 0.3 < kept.sum() / ((x1 - x0) * (y1 - y0)) < 2.0  # half of the way to the neighbours, rounded at the corners
    small = np.asarray(plate.picture.resize((width, height), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(cut[kept], small[kept])
