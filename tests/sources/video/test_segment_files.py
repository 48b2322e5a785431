"""Segments as files: each is exactly so long and of its own second, and an interruption loses none."""

import os
from pathlib import Path

import av
import polars as pl
import pytest

from tests.support.films import clicks, number_of, steady, ticks, write_film
from tests.support.video import settings
from ves.config.corpus import VideoConfig
from ves.media.segments import Cut, Segment, cut
from ves.sources.video import segment_files
from ves.sources.video.shards import groups


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two films and one without sound; the second one in the list is 25 pictures a second."""
    write_film(tmp_path / "films/a.mp4", steady(2.3), ticks(2.3))
    write_film(tmp_path / "films/b.mkv", steady(1.0, 25), ticks(1.0))
    write_film(tmp_path / "films/mute.mkv", steady(2.0))
    return tmp_path / "films"


def written(block: VideoConfig, data: Path) -> Path:
    """The folder of the segments, made as the workflow does it."""
    tables = [data / f"segment_parts/{group}.csv" for group in groups(block)]
    for table in tables:
        segment_files.write(block, table.stem, data / "segments", table)
    segment_files.gather(tables, data / "segments/segments.csv")
    return data / "segments"


def test_every_segment_is_listed_and_exactly_so_long(folder: Path) -> None:
    out = written(settings(folder), folder.parent)
    table = pl.read_csv(out / "segments.csv")
    assert table.rows() == [(0, 0, "a.mp4", 0.0), (0, 1, "a.mp4", 1.0), (1, 0, "b.mkv", 0.0)]
    assert table.columns == ["vid", "seg", "file", "start_s"]
    assert sorted(path.name for path in out.glob("*.mp4")) == ["0_0.mp4", "0_1.mp4", "1_0.mp4"]
    for path, rate in (("0_1.mp4", 10), ("1_0.mp4", 25)):
        with av.open(str(out / path)) as segment:
            picture, sound = segment.streams.video[0], segment.streams.audio[0]
            assert [float(one.duration * one.time_base) for one in (picture, sound) if one.duration] == [1.0, 1.0]
            assert (picture.frames, picture.average_rate) == (rate, rate)
            assert (picture.codec_context.name, sound.codec_context.name) == ("h264", "aac")
            assert sum(len(packet.decode()) for packet in segment.demux(picture)) == rate


def test_a_segment_holds_its_own_second(folder: Path) -> None:
    out = written(settings(folder), folder.parent)
    how = Cut(segment_s=1.0, frames=2, side=None, middle=False)
    (piece,) = cut(out / "0_1.mp4", how, number_of)
    assert isinstance(piece, Segment)
    assert piece.pictures == [12, 17]
    assert clicks(piece.samples)[0] == pytest.approx(0.0, abs=0.002)


def test_what_is_refused_is_listed_with_its_reason(folder: Path) -> None:
    refused = pl.read_csv(written(settings(folder), folder.parent) / "refused.csv")
    assert refused.select("vid", "seg", "file", "reason").rows() == [
        (0, 2, "a.mp4", "short_tail"),
        (2, 0, "mute.mkv", "no_sound"),
    ]


def test_segments_that_are_whole_are_kept_and_those_that_are_gone_come_back(folder: Path) -> None:
    out = written(settings(folder), folder.parent)
    whole = (out / "0_1.mp4").read_bytes()
    os.utime(out / "0_0.mp4", ns=(5, 5))
    (out / "0_1.mp4").unlink()
    written(settings(folder), folder.parent)
    assert (out / "0_0.mp4").stat().st_mtime_ns == 5
    assert (out / "0_1.mp4").read_bytes() == whole


def test_an_interrupted_film_goes_on_where_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = segment_files._write_segment

    def fail_at_the_second(path: Path, *others: object) -> None:
        if path.name == "0_1.mp4":
            raise KeyboardInterrupt
        real(path, *others)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(segment_files, "_write_segment", fail_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        written(settings(folder), folder.parent)
    monkeypatch.undo()
    out = folder.parent / "segments"
    os.utime(out / "0_0.mp4", ns=(5, 5))
    written(settings(folder), folder.parent)
    assert (out / "0_0.mp4").stat().st_mtime_ns == 5
    assert len(pl.read_csv(out / "segments.csv")) == 3


def test_a_film_that_comes_before_the_others_gives_all_their_new_numbers(folder: Path) -> None:
    out = written(settings(folder), folder.parent)
    of_a = (out / "0_1.mp4").read_bytes()
    write_film(folder / "A.mp4", steady(1.0, 5), ticks(1.0))
    written(settings(folder), folder.parent)
    assert pl.read_csv(out / "segments.csv").rows() == [
        (0, 0, "A.mp4", 0.0),
        (1, 0, "a.mp4", 0.0),
        (1, 1, "a.mp4", 1.0),
        (2, 0, "b.mkv", 0.0),
    ]
    assert (out / "1_1.mp4").read_bytes() == of_a
    assert sorted(path.name for path in out.glob("*.mp4")) == ["0_0.mp4", "1_0.mp4", "1_1.mp4", "2_0.mp4"]


def test_another_length_makes_other_segments(folder: Path) -> None:
    out = written(settings(folder), folder.parent)
    written(settings(folder, segment_s=2.0), folder.parent)
    assert pl.read_csv(out / "segments.csv").rows() == [(0, 0, "a.mp4", 0.0)]
    with av.open(str(out / "0_0.mp4")) as segment:
        assert [float(one.duration * one.time_base) for one in segment.streams if one.duration] == [2.0, 2.0]
    assert sorted(path.name for path in out.glob("*.mp4")) == ["0_0.mp4"]


def test_written_segments_are_a_corpus_of_segments(folder: Path) -> None:
    """What this project writes, it reads: numbers and times are the same."""
    out = written(settings(folder), folder.parent)
    block = settings(out, layout="segments")
    found = [film for group in groups(block).values() for film in group]
    assert [(film.recording, film.segment) for film in found] == [("0", 0), ("0", 1), ("1", 0)]
    again = written(block, folder.parent / "again")
    assert [row[:2] for row in pl.read_csv(again / "segments.csv").rows()] == [(0, 0), (0, 1), (1, 0)]


def test_odd_sides_lose_one_row_or_column(tmp_path: Path) -> None:
    write_film(tmp_path / "films/a.mp4", steady(1.0), ticks(1.0))
    out = written(settings(tmp_path / "films", side=45), tmp_path)
    with av.open(str(out / "0_0.mp4")) as segment:
        assert (segment.streams.video[0].width, segment.streams.video[0].height) == (44, 34)
