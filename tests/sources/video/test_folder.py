"""Films of a folder and rows of its table: each is found, or named with what is wrong with it."""

import logging
from pathlib import Path

import pytest

from tests.support.video import settings
from ves.sources.video.folder import FilmFile, films, report_faults


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_films_are_found_at_any_depth_and_sorted(tmp_path: Path) -> None:
    touch(tmp_path, "b.mp4", "a/x.MKV", "a.b.webm", "notes.txt", ".hidden.mp4", "._b.mp4", ".cache/c.mp4")
    assert films(settings(tmp_path)) == [
        FilmFile("a.b.webm", "a.b"),
        FilmFile("a/x.MKV", "a/x"),
        FilmFile("b.mp4", "b"),
    ]


def test_links_are_followed_and_no_folder_is_entered_twice(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/a.mp4", "films/b.mp4")
    (tmp_path / "films/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "films")
    assert [film.name for film in films(settings(tmp_path / "films"))] == ["b.mp4", "link/a.mp4"]


def test_segments_are_those_of_their_recording_in_order_of_number(tmp_path: Path) -> None:
    touch(tmp_path, "3_10.mp4", "3_2.mp4", "--0PQM4-hqg_000030.mp4", "odd.mp4")
    found = films(settings(tmp_path, layout="segments"))
    assert [(film.recording, film.segment) for film in found] == [
        ("--0PQM4-hqg", 30),
        ("3", 2),
        ("3", 10),
        ("odd", None),
    ]
    assert found[-1].fault is not None
    assert found[-1].fault[0] == "bad_name"


def test_ids_of_vggsound_find_their_rows(tmp_path: Path) -> None:
    (tmp_path / "vggsound.csv").write_text('-_a_b-c_d-e,30,"bell, or bird",test\nZ_-_-_-_-_-,7,rain,train\n')
    touch(tmp_path, "films/-_a_b-c_d-e_000030.mp4", "films/Z_-_-_-_-_-_000007.mp4")
    found = films(settings(tmp_path / "films", table=str(tmp_path / "vggsound.csv")))
    assert [(film.recording, film.label, film.split) for film in found] == [
        ("-_a_b-c_d-e_000030", "bell, or bird", "val"),
        ("Z_-_-_-_-_-_000007", "rain", "train"),
    ]


def test_films_without_a_row_and_rows_without_a_film_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path, "a.mp4", "b.mp4", *(f"more{n}.mp4" for n in range(7)))
    (tmp_path / "films.csv").write_text("file,label\na.mp4,bell\nb,bird\ngone,rain\n")
    found = films(settings(tmp_path, table=str(tmp_path / "films.csv")))
    faults = {film.name: film.fault for film in found}
    assert faults["a.mp4"] is None
    assert faults["b.mp4"] is None
    assert faults["gone"] == ("missing_file", "films.csv row 3: there is no film gone in the folder")
    assert faults["more0.mp4"] == ("no_row", "no row of films.csv names more0.mp4")
    with caplog.at_level(logging.WARNING):
        report_faults(found)
    assert caplog.messages == [
        "missing_file: 1 of 10 films: gone",
        "no_row: 7 of 10 films: more0.mp4, more1.mp4, more2.mp4, more3.mp4, more4.mp4 and 2 more, all in "
        "refused.parquet",
    ]


@pytest.mark.parametrize(
    ("names", "other", "words"),
    [
        ((), {}, r"corpus.video.folder: no film in .*; suffixes of films are .mp4, "),
        (("a.mp4", "a.mkv"), {}, r"corpus.video.folder: .* would be the same recording, 'a'; rename or remove one"),
        (("a_1.mp4", "a_01.mp4"), {"layout": "segments"}, "would be the same recording, 'a'"),
        (("a.mp4",), {"table": "nowhere.csv"}, r"corpus.video.table: there is no file 'nowhere.csv' \(from "),
    ],
)
def test_a_folder_that_cannot_be_a_corpus_says_why(tmp_path: Path, names: tuple, other: dict, words: str) -> None:
    touch(tmp_path, *names)
    with pytest.raises(ValueError, match=words):
        films(settings(tmp_path, **other))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"corpus.video.folder: there is no folder '.*/none' \(from "):
        films(settings(tmp_path / "none"))


def test_a_table_that_means_one_film_twice_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    (tmp_path / "films.csv").write_text("file,label\na.mp4,bell\na,bird\n")
    with pytest.raises(ValueError, match=r"rows 1 and 2 both mean a.mp4; keep one of them"):
        films(settings(tmp_path, table=str(tmp_path / "films.csv")))
