"""Tables: columns, order, means over seeds, the exact chance rows, and refusal of what cannot stand in one table."""

from pathlib import Path

import pytest

from tests.support.tables import config
from ves.base.files import write_json
from ves.report.tables.table1 import table1

ROOT = Path(__file__).parents[3]


def direction(first: float, n: int = 1000) -> dict:
    recalls = {"R@1": first, "R@5": 20.0, "R@10": 30.0, "R@50": 100 / 3}
    return recalls | {"mean_rank": 100.25, "median_rank": 34.5, "n": n, "gallery": n}


def retrieval(results: Path, run: str, first: float, **changes) -> None:
    report = {"pairs": "p", "A2V": direction(first), "V2A": direction(first / 2)} | changes
    write_json(results / run / "retrieval.json", report)


def test_one_row_per_run_and_direction_then_chance(tmp_path):
    retrieval(tmp_path, "dense-s0", 10.0)
    retrieval(tmp_path, "global-s0", 4.0)
    table1(config(["global", "dense"], [0]), tmp_path, tmp_path / "table1.csv")
    assert (tmp_path / "table1.csv").read_bytes().decode() == (
        "loss,direction,R@1,R@5,R@10,R@50,mean_rank,median_rank,n\n"
        "global,A2V,4.00,20.00,30.00,33.33,100.2,34.5,1000\n"
        "global,V2A,2.00,20.00,30.00,33.33,100.2,34.5,1000\n"
        "dense,A2V,10.00,20.00,30.00,33.33,100.2,34.5,1000\n"
        "dense,V2A,5.00,20.00,30.00,33.33,100.2,34.5,1000\n"
        "chance,A2V,0.10,0.50,1.00,5.00,500.5,500.5,1000\n"
        "chance,V2A,0.10,0.50,1.00,5.00,500.5,500.5,1000\n"
    )


def test_a_recall_over_the_whole_gallery_is_left_empty(tmp_path):
    """It is 100 whatever the model does. The column stays, since programs read it."""
    retrieval(tmp_path, "dense-s0", 10.0, A2V=direction(10.0, 10), V2A=direction(5.0, 10))
    table1(config(["dense"], [0]), tmp_path, tmp_path / "table1.csv")
    assert (tmp_path / "table1.csv").read_text().splitlines() == [
        "loss,direction,R@1,R@5,R@10,R@50,mean_rank,median_rank,n",
        "dense,A2V,10.00,20.00,,,100.2,34.5,10",
        "dense,V2A,5.00,20.00,,,100.2,34.5,10",
        "chance,A2V,10.00,50.00,,,5.5,5.5,10",
        "chance,V2A,10.00,50.00,,,5.5,5.5,10",
    ]


def test_numbers_are_means_over_seeds(tmp_path):
    for seed, first in ((0, 10.0), (3, 11.0), (4, 15.0)):
        retrieval(tmp_path, f"dense-s{seed}", first)
    table1(config(["dense"], [0, 3, 4]), tmp_path, tmp_path / "table1.csv")
    assert (tmp_path / "table1.csv").read_text().splitlines()[1:3] == [
        "dense,A2V,12.00,20.00,30.00,33.33,100.2,34.5,1000",
        "dense,V2A,6.00,20.00,30.00,33.33,100.2,34.5,1000",
    ]


def test_runs_on_different_pairs_do_not_share_a_table(tmp_path):
    retrieval(tmp_path, "dense-s0", 10.0)
    retrieval(tmp_path, "global-s0", 4.0, pairs="others")
    with pytest.raises(ValueError, match="the set of pairs differs between runs"):
        table1(config(["dense", "global"], [0]), tmp_path, tmp_path / "table1.csv")
    assert not (tmp_path / "table1.csv").exists()


def test_chance_needs_one_clip_to_an_image(tmp_path):
    retrieval(tmp_path, "dense-s0", 10.0, V2A=direction(5.0, n=900))
    with pytest.raises(ValueError, match=r"one clip to an image\) differs"):
        table1(config(["dense"], [0]), tmp_path, tmp_path / "table1.csv")


def test_a_run_without_results_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"dense-s0/retrieval\.json"):
        table1(config(["dense"], [0]), tmp_path, tmp_path / "table1.csv")
