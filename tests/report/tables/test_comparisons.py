"""comparisons.csv: what it compares, and when it dares to give a p-value."""

import polars as pl
import pytest

from tests.support.run_folders import CLIPS, IMAGES, corpus, evaluate, run, table
from ves.base.files import read_json
from ves.evaluation.retrieval.intervals import METRICS
from ves.report.tables.comparisons import COLUMNS, comparisons, number


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Three objectives of three seeds; read only."""
    folder = tmp_path_factory.mktemp("differences")
    data = corpus(folder / "data")
    for seed in range(3):
        for i, name in enumerate(("dense", "global", "hybrid")):
            evaluate(run(folder / "results", f"{name}-s{seed}", data, seed=seed + 10 * i))
    return folder / "results"


def comparisons_table(config, results, out) -> pl.DataFrame:
    comparisons(config, results, out)
    return pl.read_csv(out, schema_overrides={"p": pl.Float64})


def test_the_first_run_against_each_other_one(results, tmp_path):
    found = comparisons_table(table("dense", "global", "hybrid"), results, tmp_path / "comparisons.csv")
    assert found.columns == COLUMNS
    assert len(found) == 2 * 2 * 2 * len(METRICS)
    assert found["second"].unique(maintain_order=True).to_list() == ["global", "hybrid"]
    reports = [read_json(results / name / "retrieval.json")["V2A"] for name in ("dense-s0", "hybrid-s0")]
    for metric in METRICS:
        row = found.row(
            by_predicate=(pl.col("second") == "hybrid") & (pl.col("protocol") == "paper")
            & (pl.col("direction") == "V2A") & (pl.col("metric") == metric), named=True,
        )  # fmt: skip
        if metric == "R@50":  # of a gallery of 12
            assert row["difference"] is row["low"] is row["high"] is row["p"] is None
            continue
        expected = reports[0][metric] - reports[1][metric]
        assert number(metric, row["difference"]) == number(metric, expected)
        assert row["low"] <= row["difference"] <= row["high"]
    assert found.filter(protocol="multi_positive", direction="A2V")["n"].unique().to_list() == [CLIPS - 1]
    assert found["images"].unique().to_list() == [IMAGES]


@pytest.mark.parametrize(
    ("seeds", "about"), [((0,), "these checkpoints"), ((0, 1), "these checkpoints"), ((0, 1, 2), "objectives")]
)
def test_a_p_value_takes_three_seeds(results, tmp_path, seeds, about):
    found = comparisons_table(table("dense", "global", seeds=seeds), results, tmp_path / "comparisons.csv")
    assert found["about"].unique().to_list() == [about]
    p_values = found["p"].drop_nulls()
    assert len(p_values) == 0 if len(seeds) < 3 else len(p_values) > len(found) / 2
    assert p_values.is_between(0, 1).all()


def test_the_same_bytes_each_time_and_nothing_to_compare_one_run_with(results, tmp_path):
    for name in ("a.csv", "b.csv"):
        comparisons(table("dense", "hybrid"), results, tmp_path / name)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert comparisons_table(table("dense"), results, tmp_path / "c.csv").is_empty()


def test_numbers_as_tables_write_them():
    assert [number(metric, 1 / 3) for metric in ("R@5", "mean_rank", "median_rank", "MRR")] == [
        "0.33", "0.3", "0.3", "0.3333",
    ]  # fmt: skip
