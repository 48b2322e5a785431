"""table1.csv: retrieval by objective and direction, and chance; and what the other tables need of it.

Numbers are means over the configured seeds; the same inputs give the same bytes.
"""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from ves.base.files import atomic, read_json
from ves.config.experiment import TableConfig
from ves.evaluation.retrieval.chance import CUTOFFS, DIRECTIONS, chance, informative

RECALLS = [f"R@{k}" for k in CUTOFFS]
RANKS = ["mean_rank", "median_rank"]
TABLE1 = ["loss", "direction", *RECALLS, *RANKS, "n"]


def run_name(name: str, seed: int) -> str:
    """The name of a run with its seed: that of its directory."""
    return f"{name}-s{seed}"


def results_of(config: TableConfig, results: Path, name: str, file: str) -> list[dict[str, Any]]:
    """A JSON file of every seed of a run."""
    return [read_json(results / run_name(name, seed) / file) for seed in config.seeds]


def same(values: Iterable[Any], what: str) -> Any:
    """The one value that all share. Raises ValueError, since results that differ in it cannot be in one table."""
    first, *others = set(values)
    if others:
        raise ValueError(f"{what} differs between runs: {first}, {others[0]}; embed and evaluate all of them again")
    return first


def write_csv(out: Path, header: list[str], rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    with atomic(out) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


def _row(loss: str, direction: str, metrics: list[dict[str, float]]) -> list[str]:
    """One row of table 1: recalls in percent to two decimals, empty where they cannot but be 100; ranks to one."""
    n = int(metrics[0]["n"])  # queries, and items in the gallery
    recalls = [f"{fmean(m[key] for m in metrics):.2f}" if informative(key, n) else "" for key in RECALLS]
    ranks = [f"{fmean(m[key] for m in metrics):.1f}" for key in RANKS]
    return [loss, direction, *recalls, *ranks, str(n)]


def table1(config: TableConfig, results: Path, out: Path) -> None:
    """Write table1.csv from results/<corpus>/<run>/retrieval.json of every run in config.table, in that order.

    Raises ValueError when runs were scored on different pairs, or on more than one clip to an image: the chance rows
    are those of the paper's protocol, n queries with one right item among n.
    """
    by_run = {name: results_of(config, results, name, "retrieval.json") for name in config.table}
    everything = [result for seeds in by_run.values() for result in seeds]
    same((result["pairs"] for result in everything), f"{results}/*/retrieval.json: the set of pairs")
    sizes = [result[direction][key] for result in everything for direction in DIRECTIONS for key in ("n", "gallery")]
    n = same(sizes, f"{results}/*/retrieval.json: the number of clips or images (one clip to an image)")
    rows = [
        _row(name, direction, [result[direction] for result in by_run[name]])
        for name in config.table
        for direction in DIRECTIONS
    ]
    random = chance(np.ones(n, dtype=np.int64), n)
    write_csv(out, TABLE1, rows + [_row("chance", direction, [random]) for direction in DIRECTIONS])
