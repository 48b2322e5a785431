"""retrieval_by.csv: who is in which group, and that each group's numbers are those of its queries."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.support.run_folders import CLIPS, IMAGES, LANGUAGES, clip_id, corpus, evaluate, run, table
from ves.report.tables.breakdown import COLUMNS, DECIBELS, attributes, bins, breakdown, trained_on

pytestmark = pytest.mark.numbers


@pytest.fixture(scope="module")
def results_and_data(tmp_path_factory):
    """(results, data) of one run of two seeds; read only."""
    folder = tmp_path_factory.mktemp("breakdown")
    data = corpus(folder / "data")
    for seed in (0, 1):
        evaluate(run(folder / "results", f"dense-s{seed}", data, seed=seed))
    return folder / "results", data


def noise(folder: Path) -> Path:
    """A truth that knows how loud the noise is of all clips but one, two words of each."""
    (folder / "audio").mkdir(parents=True)
    known = pl.DataFrame({"source_path": [f"{n}.wav" for n in range(CLIPS) if n != 4 for _ in range(2)]})
    level = pl.col("source_path").str.extract(r"(\d+)").cast(pl.Float64)
    known.with_columns(snr_db=level).write_parquet(folder / "audio" / "a.parquet")
    return folder


def rows(results_and_data, config, out: Path, truth: Path) -> pl.DataFrame:
    results, data = results_and_data
    breakdown(config, results, Path(data.manifest), Path(data.splits), truth, out)
    return pl.read_csv(out, schema_overrides={"sd": pl.Float64})


def test_every_group_by_hand(results_and_data, tmp_path):
    """Counts and R@1 of every group of all clips, from the ranks of each clip."""
    found = rows(results_and_data, table("dense"), tmp_path / "by.csv", noise(tmp_path / "truth"))
    assert found.columns == COLUMNS
    results, data = results_and_data
    ranks = pl.read_parquet(results / "dense-s0" / "multi_positive.parquet").filter(direction="A2V", speakers="all")
    splits = {row["clip_id"]: row for row in pl.read_parquet(data.splits).iter_rows(named=True)}
    of: dict[tuple[str, str], list[int]] = {}
    for clip, rank in ranks.select("query", "rank").iter_rows():
        number, split = int(clip, 16) - 1, splits[clip]
        seconds = 1.5 + number % 5
        groups = {
            "all": "all",
            "language": LANGUAGES[number % 3],
            "stratum": split["stratum"],
            "speaker": {True: "seen", False: "unseen", None: None}[split["speaker_seen"]],
            "duration": ("below 2 s", "2 to 3 s", "3 to 4 s", "4 to 5 s", "5 s and more")[int(seconds) - 1],
            "noise": None if number == 4 else ("below 10 dB", "10 to 15 dB", "15 to 20 dB", "20 to 25 dB",
                                               "25 dB and more")[sum(number >= bound for bound in DECIBELS)],
        }  # fmt: skip
        for by, group in groups.items():
            if group is not None:
                of.setdefault((by, group), []).append(rank)
    own = found.filter(loss="dense", protocol="multi_positive", metric="R@1")
    assert {(by, group) for by, group in own.select("by", "group").iter_rows()} == set(of)
    for row in own.iter_rows(named=True):
        expected = of[row["by"], row["group"]]
        assert row["n"] == len(expected)
        assert row["value"] == pytest.approx(100 * np.mean(np.array(expected) == 1), abs=0.005)
        assert row["low"] <= row["value"] <= row["high"]
    assert own.filter(by="duration")["group"].to_list()[:2] == ["below 2 s", "2 to 3 s"], "in their natural order"


def test_an_image_is_of_the_group_of_its_clip(results_and_data, tmp_path):
    found = rows(results_and_data, table("dense"), tmp_path / "by.csv", tmp_path)
    for direction in ("A2V", "V2A"):
        own = found.filter(loss="dense", protocol="paper", direction=direction, by="language", metric="MRR")
        assert dict(own.select("group", "n").iter_rows()) == dict.fromkeys(LANGUAGES, IMAGES // 3)
        weighted = (own["value"] * own["n"]).sum() / IMAGES
        whole = found.filter(loss="dense", protocol="paper", direction=direction, by="all", metric="MRR")
        assert weighted == pytest.approx(whole["value"][0], abs=1e-3)


def test_chance_and_deviations_over_seeds(results_and_data, tmp_path):
    found = rows(results_and_data, table("dense", seeds=(0, 1)), tmp_path / "by.csv", tmp_path)
    chance = found.filter(loss="chance", metric="R@1")
    assert chance["value"].unique().to_list() == [round(100 / IMAGES, 2)], "one right item among the images"
    assert chance["low"].null_count() == len(chance)
    whole = found["metric"] == "R@50"  # of a gallery of 12
    assert found.filter(~whole & (pl.col("loss") == "dense"))["sd"].null_count() == 0
    assert found.filter(whole)["value"].null_count() == whole.sum() > 0
    assert not (found["by"] == "noise").any(), "this corpus does not say it"


def test_the_training_set_is_counted(results_and_data, tmp_path):
    _, data = results_and_data
    counted = trained_on(Path(data.manifest), Path(data.splits))
    assert sum(counted["language", name] for name in LANGUAGES) == 40
    assert sum(counted["stratum", name] for name in ("high", "mid", "low")) == 40
    found = rows(results_and_data, table("dense"), tmp_path / "by.csv", tmp_path)
    for name in LANGUAGES:
        assert found.filter(group=name)["train_clips"].unique().to_list() == [counted["language", name]]


def test_the_same_bytes_each_time(results_and_data, tmp_path):
    for name in ("a.csv", "b.csv"):
        rows(results_and_data, table("dense"), tmp_path / name, tmp_path)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_clips_that_are_held_out_no_more_are_refused(results_and_data, tmp_path):
    results, data = results_and_data
    splits = pl.read_parquet(data.splits)
    now = pl.when(clip_id=clip_id(3)).then(pl.lit("train")).otherwise("split")
    splits.with_columns(split=now).write_parquet(tmp_path / "splits.parquet")
    with pytest.raises(ValueError, match="1 clips of the ranks are not held out now; delete the tables of ranks"):
        breakdown(table("dense"), results, Path(data.manifest), tmp_path / "splits.parquet", tmp_path, tmp_path / "o")


def test_bins_have_their_lower_bound_and_order():
    frame = pl.DataFrame({"x": [None, 25.0, 9.9, 10.0, 24.9]}).select(g=bins(pl.col("x"), DECIBELS, "dB"))
    assert frame["g"].to_list() == [None, "25 dB and more", "below 10 dB", "10 to 15 dB", "20 to 25 dB"]
    assert frame["g"].drop_nulls().sort().to_list()[-1] == "25 dB and more"


def test_attributes_are_of_what_is_held_out_alone(results_and_data, tmp_path):
    _, data = results_and_data
    found = attributes(Path(data.manifest), Path(data.splits), tmp_path)
    assert set(found["clip_id"]) == {clip_id(number) for number in range(CLIPS)}
