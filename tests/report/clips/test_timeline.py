import numpy as np
import pytest
from PIL import Image

from tests.support.viewing import WORDS
from ves.media.audio import RATE
from ves.report.clips.timeline import WAVE, Axis, draw_seconds, draw_wave, draw_words


def test_seconds_on_an_axis() -> None:
    axis = Axis(100, 500, 5.0, 10.0)
    assert [axis.x(second) for second in (5.0, 7.5, 10.0)] == [100, 350, 600]
    assert axis.shows(4.0, 5.1)
    assert not axis.shows(4.0, 5.0)


def test_a_click_stands_at_its_second_and_fills_the_height() -> None:
    page, samples = Image.new("L", (700, 100), "white"), np.zeros(2 * RATE, np.int16)
    samples[RATE // 2] = 700
    draw_wave(page, Axis(100, 500, 0.0, 2.0), 20, samples)
    ink = np.asarray(page) < 170
    tall = np.flatnonzero(ink.sum(0) >= WAVE // 2 - 1)
    assert tall.tolist() == [100 + 125]
    assert not ink[: 20 - 1].any()


def test_words_stand_about_the_middle_of_their_time_and_not_on_each_other() -> None:
    page = Image.new("L", (700, 100), "white")
    axis = Axis(100, 500, 0.0, 2.0)
    draw_words(page, axis, 10, WORDS, "Hindi")
    inked = np.flatnonzero((np.asarray(page)[:40] < 128).any(0))
    for word in WORDS:
        within = inked[(inked >= axis.x(word.start_s) - 2) & (inked <= axis.x(word.end_s) + 2)]
        assert (within.min() + within.max()) / 2 == pytest.approx(axis.x((word.start_s + word.end_s) / 2), abs=6)
    between = np.flatnonzero((np.asarray(page) < 128)[:, axis.x(0.62) + 4 : axis.x(0.98) - 4])
    assert not len(between)


def test_numbers_of_a_long_axis_find_room() -> None:
    page = Image.new("L", (700, 60), "white")
    draw_seconds(page, Axis(50, 600, 0.0, 600.0), 10)
    numbers = (np.asarray(page)[18:40] < 128).any(0)
    starts = np.flatnonzero(np.diff(numbers.astype(int)) == 1)
    assert 5 < len(starts) < 80
