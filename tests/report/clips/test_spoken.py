import numpy as np
import pytest

from ves.report.clips.spoken import COLUMNS, MOMENT_S, Spoken, choose, moments, shown_words


def test_nouns_come_before_colours_and_time_orders_what_is_shown() -> None:
    words = [Spoken(f"c{i}", "red", "colour", i, i + 0.0, i + 0.4) for i in range(3)]
    words += [Spoken(f"n{i}", "ball", "noun", i, i + 0.5, i + 0.9) for i in range(3)]
    words += [Spoken("again", "ball", "noun", 0, 9.0, 9.4), Spoken("and", "and", "other", -1, 4.0, 4.1)]
    assert [word.text for word in shown_words(words)] == ["c0", "n0", "n1", "n2"]
    assert len(shown_words(words)) == COLUMNS


def test_moments_are_the_peaks_that_do_not_overlap() -> None:
    centres = np.arange(20) * 0.1
    sharpness = np.zeros((1, 20))
    sharpness[0, [3, 4, 9, 15, 18]] = 5.0, 4.0, 3.0, 2.0, 9.0
    valid = np.arange(20) < 18  # the greatest is padding
    found = moments(sharpness, valid, centres)
    assert [word.text for word in found] == ["at 0.3 s", "at 0.9 s", "at 1.5 s"]
    assert found[0].end_s - found[0].start_s == pytest.approx(MOMENT_S)
    assert {word.role for word in found} == {"moment"}


def test_no_run_rules_the_moments_by_its_scale() -> None:
    centres = np.arange(12) * 0.1
    sharpness = np.zeros((2, 12))
    sharpness[0, 2], sharpness[0, 9], sharpness[1, 6], sharpness[1, 9] = 1.0, 0.8, 100.0, 99.0
    first = max(moments(sharpness, np.ones(12, bool), centres)[:3], key=lambda word: word.text == "at 0.9 s")
    assert first.text == "at 0.9 s"
    scaled = sharpness * np.array([[1000.0], [1.0]])
    valid = np.ones(12, bool)
    assert moments(scaled, valid, centres) == moments(sharpness, valid, centres)


def test_short_clips_have_fewer_moments() -> None:
    assert len(moments(np.ones((1, 4)), np.ones(4, bool), np.arange(4) * 0.1)) == 2


def test_clips_are_spread_over_languages_and_not_picked() -> None:
    languages = {f"{i:032x}": ["Hindi", "Hindi", "Hindi", "Tamil", "Urdu"][i % 5] for i in range(50)}
    chosen = choose(languages, 7)
    assert [languages[clip] for clip in chosen].count("Urdu") == 2
    assert (
        {languages[clip] for clip in chosen[:3]}
        == {languages[clip] for clip in chosen[3:6]}
        == {"Hindi", "Tamil", "Urdu"}
    )
    assert chosen == choose(dict(reversed(languages.items())), 7)
    assert chosen[:4] == choose(languages, 4)
    assert chosen != sorted(chosen)
    assert len(choose(languages, 99)) == 50
