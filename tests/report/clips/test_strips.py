import numpy as np
import pytest
from PIL import Image

from tests.support.viewing import BALL, GRID, SHIRT, TOKENS, make_untimed_viewing, make_viewing
from ves.media.audio import RATE
from ves.report.clips import strips
from ves.report.drawing import lettering
from ves.report.drawing.page import MARGIN, row_height


def cells(page: Image.Image, viewing, run: int) -> np.ndarray:
    """Brightness [steps, GRID, GRID] of the small pictures of a run (of a clip of one line), read from the page."""
    pixels = np.asarray(page.convert("L"), float)
    height = strips.size_within(viewing.picture, strips.CELL)[1]
    tall = row_height(viewing.similarity, height)
    top = page.height - MARGIN - (len(viewing.similarity) - run) * (tall + 6) + (tall - height) // 2
    found = []
    for step in range(round(viewing.seconds / strips.STEP_S)):
        middle = strips.LEFT + round((step + 0.5) * strips.SLOT)
        left, width = middle - strips.CELL[0] // 2, strips.CELL[0]
        places = (np.arange(GRID) + 0.5) / GRID
        rows, columns = (top + places * height).astype(int), (left + places * width).astype(int)
        found.append(pixels[np.ix_(rows, columns)])
    return np.array(found)


def test_a_small_picture_is_bright_when_and_where_its_patch_is() -> None:
    viewing = make_viewing()
    lit = cells(strips.compose(viewing), viewing, 0)
    for step in (2, 5, 6):
        assert divmod(int(lit[step].argmax()), GRID) == (BALL if step == 2 else SHIRT)
        assert lit[step].max() > np.median(lit[step]) + 60
    for step in (3, 4, 7, 8, 9):
        assert np.ptp(lit[step]) < 30, "the noise of the picture: nothing is said"
    found = cells(strips.compose(viewing, values=True), viewing, 0)
    assert found.shape == (10, GRID, GRID)
    while_said = {1: BALL, 2: BALL, 5: SHIRT, 6: SHIRT}  # 0.3-0.6 s, 1.0-1.4 s, in steps of 0.2 s
    for step, place in while_said.items():
        assert divmod(int(found[step].argmax()), GRID) == place
    quiet = np.array([found[step].max() for step in (3, 4, 7, 8, 9)])
    assert all(found[step].max() > quiet.max() + 10 for step in while_said)
    assert found[2, *BALL] > found[1, *BALL] + 10, "half of the tokens of step 1 are about the ball, all of step 2"


def test_runs_have_one_scale() -> None:
    viewing = make_viewing()
    page = strips.compose(viewing, values=True)
    lit = [np.median(cells(strips.compose(viewing), viewing, run)[5]) for run in (0, 1)]
    assert lit[0] + 15 < lit[1] < 115, "what stands out less dims less"
    strong, weak = cells(page, viewing, 0), cells(page, viewing, 1)
    assert strong[5, *SHIRT] > weak[5, *SHIRT] + 20
    assert weak[5, *SHIRT] > weak[8, *SHIRT] + 5


def test_steps_of_long_clips_are_longer() -> None:
    assert strips.step_of(1.0) == strips.step_of(60.0) == strips.STEP_S
    assert strips.step_of(600.0) == pytest.approx(2.0)
    two = make_viewing(samples=np.zeros(2 * RATE, np.int16))
    many = {run: np.tile(heat, (10, 1, 1)) for run, heat in two.similarity.items()}
    long = make_viewing(similarity=many, valid=np.ones(10 * TOKENS, bool), samples=np.zeros(20 * RATE, np.int16))
    assert strips.compose(long).height > 2.5 * strips.compose(two).height


def test_what_counts_nowhere_is_grey() -> None:
    """A model that leaves pauses out says nothing of them: no colour, not even that of the least similarity."""
    heard, viewing = make_viewing(), make_viewing(valid=np.arange(TOKENS) < 12)
    dark, grey = (cells(strips.compose(each, values=True), each, 0)[8] for each in (heard, viewing))
    assert dark.max() < 70 < 100 < grey.min()
    np.testing.assert_allclose(*(cells(strips.compose(each), each, 0)[8] for each in (heard, viewing)), atol=1)


def test_transcripts_stand_above_and_words_below_the_sound() -> None:
    timed, without = strips.compose(make_viewing()), strips.compose(make_untimed_viewing())
    assert timed.width == without.width
    assert timed.height - without.height > 30


@pytest.mark.parametrize("size", [(30, 600), (900, 20), (2, 2)])
def test_any_picture_has_a_strip(size: tuple[int, int]) -> None:
    assert strips.compose(make_viewing(size, masks=[None, None])).width > 800


def test_names_of_rows_neither_touch_nor_leave_the_page() -> None:
    """Beside a picture so flat that a name is longer than its row is high."""
    flat = make_viewing((4000, 20))
    similarity = {"global_cosine-s0": flat.similarity["dense"], **flat.similarity}
    page = strips.compose(make_viewing((4000, 20), similarity=similarity))
    beside = np.asarray(page.convert("L"))[:, MARGIN - 4 : strips.LEFT - 8].min(1) < 128
    inked = np.flatnonzero(beside)
    runs = np.split(inked, np.flatnonzero(np.diff(inked) > 12) + 1)
    lengths = [lettering.measure(name, 17).width for name in ("global_cosine-s0", "dense", "global")]
    assert [rows[-1] - rows[0] for rows in runs[-3:]] == pytest.approx(lengths, abs=8)
    assert inked.max() < page.height - 4
