"""A folder of films with labels goes to Table 1, and to the segments that AV-Align reads, by the real command."""

import json
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.support.films import cut_short, steady, ticks, write_film
from tests.support.workflow import copy_to, dry_run, run

pytestmark = pytest.mark.slow  # two minutes

OWN = """
corpus:
  name: own
  kind: video
  video: {folder: my-films, layout: films, segment_s: 1.0, at: all, frames: 3, side: 64, table: my-films/films.csv,
          language: none, files_per_shard: 16}
audio: {seconds: 1.0}
split: {val: 12, tune: 6}  # each pair is of another film
train: {batch_size: 8, augment: {frame: random}}
"""
ARGUMENTS = ("--configfile", "config/toy.yaml", "config/own.yaml")
FILMS, SECONDS = 40, 4


def scenery(number: int) -> list[tuple[float, np.ndarray]]:
    """Pictures of one film: another one in each second, unlike those of all other films."""
    rng = np.random.default_rng(number)
    pictures = []
    for second in range(SECONDS):
        noise = Image.fromarray(rng.integers(0, 255, (5, 6, 3), dtype=np.uint8))
        pixels = np.asarray(noise.resize((96, 72), Image.Resampling.BICUBIC))
        pictures += [(second + part / 10, pixels) for part in range(10)]
    return pictures


def sound(number: int) -> np.ndarray:
    """The clicks of seconds over a tone of its own."""
    time = np.arange(SECONDS * 44_100) / 44_100
    return ticks(SECONDS) + (0.1 * np.sin(2 * np.pi * (200 + 37 * number) * time)).astype(np.float32)


@pytest.fixture(scope="module")
def finished_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in which films went all the way: one has no sound, one is cut off, one has no row."""
    copy = copy_to(tmp_path_factory.mktemp("films") / "copy")
    films = copy / "my-films"
    for number in range(FILMS):
        write_film(films / f"film{number:02d}.mp4", scenery(number), sound(number))
    write_film(films / "mute.mkv", steady(3))
    write_film(films / "torn.mp4", scenery(98), sound(98), options={"movflags": "+faststart"})
    cut_short(films / "torn.mp4", 0.6)
    write_film(films / "unlisted.mp4", scenery(99), sound(99))
    rows = [f'film{number:02d},"bird, or bell",,' for number in range(FILMS)]
    rows += ["mute,cat,,", "torn,cat,,", "gone,cat,,30"]
    (films / "films.csv").write_text("\n".join(["file,label,split,start", *rows]) + "\n")
    (copy / "config/own.yaml").write_text(OWN)
    run(copy, "plan", *ARGUMENTS)
    run(copy, *ARGUMENTS)
    return copy


def test_films_go_all_the_way_to_the_table(finished_copy: Path) -> None:
    table = pl.read_csv(finished_copy / "results/table1.csv")
    assert table["loss"].unique(maintain_order=True).to_list() == ["dense", "hybrid", "chance"]
    assert table["n"].unique().to_list() == [12]
    assert json.loads((finished_copy / "results/own/heatmaps/index.json").read_text())
    assert dry_run(finished_copy, *ARGUMENTS) == set()


def test_every_segment_is_in_or_refused_by_name(finished_copy: Path) -> None:
    data = finished_copy / "data/own"
    manifest, refused = (pl.read_parquet(data / f"{name}.parquet") for name in ("manifest", "refused"))
    assert len(manifest) == FILMS * SECONDS + 2  # of torn.mp4
    assert set(manifest["duration_s"]) == {1.0}
    by_name = dict(refused.select("source_path", "reason").rows())
    assert by_name.pop("torn_000002.wav") in ("damaged", "truncated", "sound_missing")
    assert {name: reason for name, reason in by_name.items() if not name.startswith("torn")} == {
        "gone_000030": "missing_file",
        "mute.mkv": "no_sound",
        "unlisted.mp4": "no_row",
    }


def test_a_clip_has_its_pictures_and_no_film_is_in_two_splits(finished_copy: Path) -> None:
    data = finished_copy / "data/own"
    clips = pl.read_parquet(data / "manifest.parquet")
    assert set(clips["frame_ids"].list.len()) == {3}
    assert clips.filter(recording_id="film07")["segment"].to_list() == [0, 1, 2, 3]
    splits = clips.join(pl.read_parquet(data / "splits.parquet"), on="clip_id").filter(pl.col("split") != "dropped")
    assert splits.group_by("recording_id").agg(held=(pl.col("split") == "train").n_unique())["held"].max() == 1


def test_labels_are_in_the_truth_and_nowhere_else(finished_copy: Path) -> None:
    data = finished_copy / "data/own"
    labels = pl.concat([pl.read_parquet(file) for file in (data / "truth").rglob("*.parquet")])
    assert labels["label"].value_counts().sort("label").rows() == [("bird, or bell", FILMS * SECONDS), ("cat", 2)]
    assert "label" not in pl.read_parquet(data / "manifest.parquet").columns


def test_the_plan_said_how_much_it_would_be(finished_copy: Path) -> None:
    plan = (finished_copy / "results/own/plan.md").read_text()
    assert "| films | 42 |" in plan  # with mute.mkv and torn.mp4, which look well until they are opened
    assert "| segments of 1 s | 164 |" in plan
    assert "no_row" in plan


def test_segments_are_written_for_av_align(finished_copy: Path) -> None:
    run(finished_copy, "segments", *ARGUMENTS)
    folder = finished_copy / "data/own/segments"
    table = pl.read_csv(folder / "segments.csv")
    assert table.columns == ["vid", "seg", "file", "start_s"]
    assert len(table) == FILMS * SECONDS + 2
    assert table.filter(vid=7).rows() == [(7, seg, "film07.mp4", float(seg)) for seg in range(SECONDS)]
    assert {path.name for path in folder.glob("*.mp4")} == {f"{vid}_{seg}.mp4" for vid, seg, *_ in table.rows()}
    with av.open(str(folder / "7_2.mp4")) as segment:
        assert segment.duration == 1_000_000  # microseconds
    assert dry_run(finished_copy, "segments", *ARGUMENTS) == set()
