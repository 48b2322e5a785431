"""The plan of a folder of films says what there is, what it will be, and what will be refused."""

from pathlib import Path

import pytest

from tests.support.films import steady, ticks, write_film
from tests.support.video import settings
from ves.config.corpus import VideoConfig
from ves.sources.video import plan


def page(block: VideoConfig, out: Path) -> str:
    plan.write(block, out / "plan.md")
    return (out / "plan.md").read_text()


def test_the_plan_counts_films_segments_and_sound(tmp_path: Path) -> None:
    for number in range(3):
        write_film(tmp_path / f"films/{number}.mp4", steady(3.3), ticks(3.3))
    write_film(tmp_path / "films/mute.mp4", steady(3.0))
    (tmp_path / "films/torn.mp4").write_bytes(b"x" * 99)
    text = page(settings(tmp_path / "films"), tmp_path)
    assert "| films | 5 |" in text
    assert "| segments of 1 s | 9 |" in text
    assert "| sound in audio.zarr | 288 kB |" in text
    assert "| in a header | no_sound | 1 |" in text
    assert "| in a header | unreadable | 1 |" in text
    assert "| in the trial | short_tail | 3 |" in text
    assert "a trial: 9 segments in" in text


def test_only_some_headers_are_read_and_a_trial_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        write_film(tmp_path / f"films/{number}.mp4", steady(2.0), ticks(2.0))
    monkeypatch.setattr(plan, "HEADERS", 2)
    monkeypatch.setattr(plan, "TRIAL_S", 0.0)
    text = page(settings(tmp_path / "films"), tmp_path)
    assert "| segments of 1 s | 12 |" in text  # 6 films, as long as the two
    assert "those of 2 headers" in text
    assert "a trial: 1 segments" in text


def test_a_plan_of_nothing_usable_says_so(tmp_path: Path) -> None:
    write_film(tmp_path / "films/mute.mp4", steady(2.0))
    text = page(settings(tmp_path / "films"), tmp_path)
    assert "| segments of 1 s | 0 |" in text
    assert "A trial brought no segment, so sizes and time are not known." in text


@pytest.mark.parametrize(
    ("film_s", "other", "expected"),
    [(3.4, {}, 3), (2.95, {}, 3), (0.5, {}, 0), (3.4, {"at": "middle"}, 1), (1.0, {"layout": "segments"}, 1)],
)
def test_segments_of_a_film(tmp_path: Path, film_s: float, other: dict, expected: int) -> None:
    assert plan.segments_of(settings(tmp_path, **other), film_s) == expected
