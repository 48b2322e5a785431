"""Films in which things sound go from nothing to where words and sounds point, by the real command."""

from pathlib import Path

import polars as pl
import pytest

from tests.support.sounding import SETTINGS
from tests.support.workflow import copy_to, dry_run, run
from ves.base.files import write_json
from ves.sources.sounding.sounds import SOUNDING

pytestmark = pytest.mark.slow  # minutes

FILMS, SECONDS = 60, 4
OWN = {
    "corpus": {"name": "own", "kind": "sounding", "keep_seconds": 1.0, "sounding": SETTINGS | {"segment_s": 1.0}},
    "audio": {"seconds": 1.0},
    "split": {"val": 12, "tune": 6, "held_out_speakers": 0.34},  # pairs, each of another film
    "train": {"batch_size": 8},
    "runs": {"dense": {"epochs": 0.5}},
    "table": ["dense"],
}
ARGUMENTS = ("--configfile", "config/toy.yaml", "config/own.yaml")
TARGETS = ("results/own/table1.csv", "results/own/localisation.csv")


@pytest.fixture(scope="module")
def finished_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in which films of which each second is a clip went to the tables."""
    copy = copy_to(tmp_path_factory.mktemp("sounding") / "copy")
    write_json(copy / "config/own.yaml", OWN)  # JSON is YAML
    run(copy, *TARGETS, *ARGUMENTS)
    return copy


def clips_of(copy: Path) -> pl.DataFrame:
    """The clips that are in a split, with their rows of the manifest."""
    splits = pl.read_parquet(copy / "data/own/splits.parquet").filter(pl.col("split") != "dropped")
    return pl.read_parquet(copy / "data/own/manifest.parquet").join(splits, on="clip_id")


def test_words_and_sounds_have_a_row_each_and_nothing_is_left_to_do(finished_copy: Path) -> None:
    rows = pl.read_csv(finished_copy / "results/own/localisation.csv")
    assert rows["prompt"].to_list() == ["word", "sound"] and rows.filter(prompt="sound")["n"].item() > 0
    table = pl.read_csv(finished_copy / "results/own/table1.csv")
    assert table["loss"].unique(maintain_order=True).to_list() == ["dense", "chance"] and set(table["n"]) == {12}
    assert dry_run(finished_copy, *TARGETS, *ARGUMENTS) == set()


def test_every_second_of_every_film_is_a_clip_and_none_is_refused(finished_copy: Path) -> None:
    manifest = pl.read_parquet(finished_copy / "data/own/manifest.parquet")
    films = manifest.sort("segment").group_by("recording_id").agg("segment")
    assert len(films) == FILMS and all(row == list(range(SECONDS)) for row in films["segment"].to_list())
    assert pl.read_parquet(finished_copy / "data/own/refused.parquet").is_empty()  # a quiet room is no silence


def test_makers_who_are_held_out_are_heard_in_no_training(finished_copy: Path) -> None:
    heard = {split: set(people) for split, people in clips_of(finished_copy).group_by("split").agg("speaker").rows()}
    assert heard["val"] and heard["train"].isdisjoint(heard["val"])


def test_the_truth_of_what_is_reported_names_kinds_that_are_seen(finished_copy: Path) -> None:
    folder = finished_copy / "data/own/truth"
    audio, images = (pl.concat(map(pl.read_parquet, folder.glob(f"{part}/*.parquet"))) for part in ("audio", "images"))
    sounds = audio.filter(pl.col("role") == "sound", pl.col("object") >= 0)
    assert set(sounds["english"]) <= set(SOUNDING)
    shown = images.select("image_id", "object", "kind").unique()
    seen = clips_of(finished_copy).join(sounds, on="source_path").join(shown, on=["image_id", "object"], how="left")
    assert len(seen) > 0 and (seen["kind"] == seen["english"]).all()


def test_the_films_are_written_as_segments_on_request(finished_copy: Path) -> None:
    run(finished_copy, "films", *ARGUMENTS)
    folder = finished_copy / "data/own/films"
    table = pl.concat(map(pl.read_csv, folder.glob("segments-*.csv")))
    assert sorted(table.select("vid", "seg").rows()) == [(f, s) for f in range(FILMS) for s in range(SECONDS)]
    assert {path.name for path in folder.glob("*.mp4")} == {f"{vid}_{seg}.mp4" for vid, seg, *_ in table.rows()}
    assert dry_run(finished_copy, "films", *ARGUMENTS) == set()
