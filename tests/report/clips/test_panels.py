import numpy as np
import pytest
from PIL import Image

from tests.support.viewing import BALL, box, make_viewing
from ves.report.clips import panels
from ves.report.clips.plate import plate_of
from ves.report.drawing.page import GAP, MARGIN, size_within


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
