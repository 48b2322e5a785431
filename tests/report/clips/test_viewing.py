import numpy as np
import pytest

from tests.support.viewing import BALL, GRID, TOKENS, make_untimed_viewing, make_viewing


def test_the_token_of_a_moment() -> None:
    """Tokens stand for 0.1 s each, from 0 on; the second half of this clip is padding."""
    viewing = make_viewing(valid=np.arange(TOKENS) < 10)
    assert [viewing.token_at(second) for second in (0.0, 0.05, 0.1, 0.39, 0.41, 0.99)] == [0, 0, 1, 3, 4, 9]
    assert (viewing.token_at(-1.0), viewing.token_at(1.9)) == (0, 9)
    assert viewing.centres_s[:2] == pytest.approx([0.05, 0.15])


def test_a_stretch_is_the_mean_of_its_tokens_that_count() -> None:
    valid = np.ones(TOKENS, bool)
    valid[4] = False
    viewing = make_viewing(valid=valid)
    assert viewing.over("dense", 0.3, 0.6)[BALL] == pytest.approx(0.8)
    assert viewing.over("dense", 0.2, 0.6)[BALL] == pytest.approx(0.8 * 2 / 3)  # 2, 3 and 5 count, 4 does not
    assert np.isnan(viewing.over("dense", 0.4, 0.5)).all()
    assert np.isnan(viewing.heat("dense", 4)).all()
    assert viewing.heat("dense", 3)[BALL] == pytest.approx(0.8)


def test_one_scale_for_all_runs_and_moments_without_padding() -> None:
    similarity = make_viewing().similarity
    strange = {run: heat.copy() for run, heat in similarity.items()}
    strange["global"][15], strange["dense"][:, 0] = 9.0, -9.0
    assert (make_viewing().scale.low, make_viewing().scale.high) == pytest.approx((0.0, 0.8))
    viewing = make_viewing(similarity=strange, valid=np.arange(TOKENS) < 15, fit="pad")  # 2:1: the first row is all bar
    assert (viewing.scale.low, viewing.scale.high) == pytest.approx((0.0, 0.8))
    assert viewing.visible.tolist() == [[False] * GRID, [True] * GRID, [True] * GRID, [False] * GRID]


def test_what_is_shown_first() -> None:
    first = make_viewing().first()
    assert [word.english for word in first.shown] == ["ball"]
    assert len(first.masks) == 1
    assert make_viewing(shown=make_viewing().words[:1], masks=[None]).first().shown[0].english == "a"
    (moment,) = make_untimed_viewing().first().shown
    assert moment.role == "moment"
    assert 0.3 <= (moment.start_s + moment.end_s) / 2 <= 0.6 or 1.0 <= (moment.start_s + moment.end_s) / 2 <= 1.4


def test_what_is_said() -> None:
    assert (make_viewing().description, make_viewing().gloss) == ("एक गेंद कमीज़", "a · ball · shirt")
    assert (make_untimed_viewing().description, make_untimed_viewing().gloss) == ("एक गेंद और एक कमीज़", "")
    assert (make_viewing().heading, make_viewing(language="").heading) == ("Hindi", "your picture and voice")
