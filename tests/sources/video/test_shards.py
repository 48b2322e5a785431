"""Shards of films: each segment is a clip with its pictures, or a row that says why not; ingest takes them all."""

import io
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.support.films import clicks, number_of, numbered, steady, ticks, write_film
from tests.support.video import settings
from ves.config.corpus import CorpusSettings, VideoConfig
from ves.corpus.ingest import ingest_audio, ingest_images
from ves.media import decoding
from ves.sources.video import shards


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three films, one of which has no sound."""
    write_film(tmp_path / "films/a.mp4", steady(2.0), ticks(2.0))
    write_film(
        tmp_path / "films/b.mp4", [(time, numbered(200 + n)) for n, time in enumerate((0, 1, 2, 2.2))], ticks(2.4)
    )
    write_film(tmp_path / "films/mute.mkv", steady(2.0))
    return tmp_path / "films"


def fetched(block: VideoConfig, group: str, out: Path) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    paths = [out / f"{name}.parquet" for name in ("audio", "images", "truth")]
    shards.fetch(block, group, *paths)
    audio, images, truth = (pl.read_parquet(path) for path in paths)
    return audio, images, truth


def test_a_group_of_films_is_a_shard_of_sound_and_one_of_pictures(folder: Path) -> None:
    names = [(shard["name"], shard["part"]) for shard in shards.list_shards(settings(folder))]
    assert names == [
        ("audio/films-00000000", "audio"),
        ("audio/films-00000002", "audio"),
        ("images/films-00000000", "images"),
        ("images/films-00000002", "images"),
    ]


def test_clips_have_their_sound_their_recording_and_their_pictures_in_order(folder: Path) -> None:
    audio, images, _ = fetched(settings(folder), "films-00000000", folder.parent)
    assert audio.drop("audio", "frames").rows() == [
        ("none", "a_000000_001.jpg", None, "a", 0, None, None),
        ("none", "a_000001_001.jpg", None, "a", 1, None, None),
        ("none", "b_000000_000.jpg", None, "b", 0, None, None),
        ("none", "b_000001_000.jpg", None, "b", 1, None, None),
        ("none", None, None, "b", 2, "short_tail", "0.40 s are left, a segment has 1 s"),
    ]
    assert audio.schema["segment"] == pl.Int32
    assert audio["audio"].struct.field("path").to_list()[0] == "a_000000.wav"
    pictures = {row["path"]: Image.open(io.BytesIO(row["bytes"])) for row in images["image"]}
    shown = [[number_of(pictures[name]) for name in names] for names in audio["frames"].drop_nulls()]
    assert shown == [[2, 7], [12, 17], [200, 200], [201, 201]]
    for row in audio["audio"][:4]:
        samples = decoding.decode(row["bytes"])
        assert len(samples) == 16_000
        assert clicks(samples)[0] == pytest.approx(0, abs=0.002)


def test_the_same_picture_is_one_row(folder: Path) -> None:
    audio, images, _ = fetched(settings(folder, frames=4), "films-00000000", folder.parent)
    names = [name for names in audio["frames"].drop_nulls() for name in names]
    assert set(names) == set(images["image"].struct.field("path"))
    assert len(names) == 16
    assert len(set(images["image"].struct.field("bytes"))) == len(images) < 16


def test_a_film_without_sound_is_a_row_that_says_so(folder: Path) -> None:
    audio, images, _ = fetched(settings(folder), "films-00000002", folder.parent)
    assert audio.select("recordingID", "segment", "refused").rows() == [("mute", None, "no_sound")]
    assert audio["audio"].to_list() == [{"bytes": None, "path": "mute.mkv"}]
    assert images.is_empty()


def test_labels_are_in_the_truth_and_splits_with_the_clips(folder: Path) -> None:
    (folder / "films.csv").write_text('file,label,split\na,"bell, or bird",test\nb,,train\nmute,rain,train\n')
    block = settings(folder, table=str(folder / "films.csv"))
    audio, _, truth = fetched(block, "films-00000000", folder.parent)
    assert truth.rows() == [
        ("a_000000.wav", "a", 0, "bell, or bird"),
        ("a_000001.wav", "a", 1, "bell, or bird"),
        ("b_000000.wav", "b", 0, None),
        ("b_000001.wav", "b", 1, None),
    ]
    assert audio["givenSplit"].to_list() == ["val", "val", "train", "train", "train"]
    assert not any("bell" in str(row) for row in audio.drop("audio").rows())


def test_a_folder_of_segments_keeps_their_numbers_and_refuses_what_is_none(tmp_path: Path) -> None:
    write_film(tmp_path / "films/7_3.mp4", steady(1.0), ticks(1.0))
    write_film(tmp_path / "films/7_4.mp4", steady(2.0), ticks(2.0))
    write_film(tmp_path / "films/x.mp4", steady(1.0), ticks(1.0))
    block = settings(tmp_path / "films", layout="segments", files_per_shard=3)
    audio, *_ = fetched(block, "films-00000000", tmp_path)
    rows = audio.select(pl.col("audio").struct.field("path"), "recordingID", "segment", "refused").rows()
    assert rows == [
        ("7_000003.wav", "7", 3, None),
        ("7_000004.wav", "7", 4, "long_segment"),
        ("x.mp4", "x", None, "bad_name"),
    ]


def test_only_the_middle_is_taken_where_that_is_asked_for(folder: Path) -> None:
    audio, images, _ = fetched(settings(folder, at="middle", frames=1), "films-00000000", folder.parent)
    assert audio["segment"].to_list() == [0, 0]
    assert len(images) == 2


def test_a_shard_is_made_again_if_its_films_or_how_they_are_cut_change_and_no_other(folder: Path) -> None:
    before = shards.origins(settings(folder))
    assert shards.origins(settings(folder)) == before

    def changed(after: dict[str, str]) -> list[str]:
        return [name for name in before if after[name] != before[name]]

    assert changed(shards.origins(settings(folder, frames=3))) == list(before)
    assert changed(shards.origins(settings(folder, side=32))) == list(before)
    os.utime(folder / "mute.mkv", (1, 1))
    assert changed(shards.origins(settings(folder))) == ["audio/films-00000002", "images/films-00000002"]


def test_a_group_is_the_same_bytes_every_time_and_unknown_ones_are_named(folder: Path) -> None:
    for name in ("one", "two"):
        fetched(settings(folder), "films-00000000", folder.parent / name)
    for file in ("audio", "images", "truth"):
        one, two = ((folder.parent / name / f"{file}.parquet").read_bytes() for name in ("one", "two"))
        assert one == two
    with pytest.raises(ValueError, match=r"no group 'films-00000009': the films of .* make 2; list them again"):
        fetched(settings(folder), "films-00000009", folder.parent)


def test_ingest_takes_every_clip_and_picture(folder: Path) -> None:
    """Short tails do not count as refused: every film has one."""
    block = settings(folder)
    fetched(block, "films-00000000", folder.parent)
    corpus = CorpusSettings(name="own", kind="video", keep_seconds=None, labels=None, max_refused=0.0, video=block)
    data = folder.parent / "data"
    sources = [folder.parent / f"{part}.parquet" for part in ("audio", "images")]
    ingest_audio(corpus, "audio/x", sources[0], data / "audio.zarr", data / "audio.parquet")
    ingest_images(corpus, "images/x", sources[1], data / "pictures.parquet", data / "images.parquet")
    clips, pictures = (pl.read_parquet(data / f"{part}.parquet") for part in ("audio", "images"))
    assert clips["reason"].to_list() == [None, None, None, None, "short_tail"]
    assert clips["duration_s"].drop_nulls().to_list() == [1.0] * 4
    assert set(clips["image_reference"].drop_nulls()) <= set(pictures["source_path"])
    assert pictures["reason"].null_count() == len(pictures)


def test_wav_is_read_as_it_was_written() -> None:
    samples = np.random.default_rng(0).integers(-30_000, 30_000, 8_000).astype(np.int16)
    np.testing.assert_array_equal(decoding.decode(shards.wav(samples)), samples)
