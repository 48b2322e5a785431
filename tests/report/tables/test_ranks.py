"""Ranks of several runs side by side: the same queries in the same order, or an error that names the file."""

import polars as pl
import pytest

from tests.support.run_folders import CLIPS, IMAGES, corpus, evaluate, run, table
from ves.base.files import read_json
from ves.report.tables import ranks as rank_tables


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two runs of two seeds, evaluated; read only."""
    folder = tmp_path_factory.mktemp("ranks")
    data = corpus(folder / "data")
    for seed in (0, 1):
        for name in ("dense", "global"):
            evaluate(run(folder / "results", f"{name}-s{seed}", data, seed=seed + (name == "global") * 7))
    return folder / "results"


def test_they_are_those_of_the_reports(results):
    found = rank_tables.some(
        table("global", "dense", seeds=(0, 1)), results, "paper", direction="V2A", similarity="mean_mean"
    )
    assert list(found.ranks) == ["global", "dense"]
    assert found.gallery == IMAGES == len(found.query)
    assert found.query == sorted(found.query) == found.image_id
    for name, by_seed in found.ranks.items():
        for seed, own in enumerate(by_seed):
            report = read_json(results / f"{name}-s{seed}" / "retrieval.json")["others"]["mean_mean"]["V2A"]
            assert own.mean() == pytest.approx(report["mean_rank"])
            assert (found.ties[name][seed] > 0).sum() == report["queries_with_ties"]


def test_some_of_the_queries_keep_their_gallery(results):
    found = rank_tables.some(table("dense"), results, "multi_positive", direction="A2V", speakers="all")
    assert len(found.query) == CLIPS - 1
    part = found.of(found.right + [i % 2 for i in range(CLIPS - 1)] == 2)
    assert part.query == found.query[1::2]
    assert part.ranks["dense"].tolist() == found.ranks["dense"][:, 1::2].tolist()
    assert part.gallery == found.gallery


def test_labels_that_nothing_has(results):
    assert rank_tables.read(table("dense"), results, "multi_positive", direction="A2V", speakers="nobody") is None
    with pytest.raises(ValueError, match=r"dense-s0/multi_positive\.parquet: no ranks of A2V, nobody; delete it"):
        rank_tables.some(table("dense"), results, "multi_positive", direction="A2V", speakers="nobody")


def test_runs_of_other_queries_do_not_stand_side_by_side(results, tmp_path):
    for name in ("dense-s0", "global-s0"):
        (tmp_path / name).mkdir()
        whole = pl.read_parquet(results / name / "ranks.parquet")
        whole[: len(whole) - (name == "global-s0")].write_parquet(tmp_path / name / "ranks.parquet")
    with pytest.raises(ValueError, match=r"global-s0/ranks\.parquet: not of the same queries .* as .*dense-s0"):
        rank_tables.some(table("dense", "global"), tmp_path, "paper", direction="V2A", similarity="mean_mean")
