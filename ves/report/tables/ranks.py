"""The ranks of every configured run and seed, side by side; tables, comparisons and figures are computed from them.

A run has them in ranks.parquet and multi_positive.parquet (ves.evaluation.retrieval.protocols: paper, multi_positive).

Dimension key
    S seeds    Q queries
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from ves.base import parquet
from ves.config.experiment import TableConfig
from ves.report.tables.table1 import run_name

FILES = {"paper": "ranks.parquet", "multi_positive": "multi_positive.parquet"}
KEY = ["query", "image_id", "right", "gallery"]  # the same in every run


@dataclass(frozen=True, eq=False)
class Ranks:
    """Ranks and ties [S, Q] of the same queries, by the name of the run; `right` and `gallery` are numbers of items."""

    query: list[str]
    image_id: list[str]
    right: Int[np.ndarray, "Q"]
    gallery: int
    ranks: dict[str, Int[np.ndarray, "S Q"]]
    ties: dict[str, Int[np.ndarray, "S Q"]]

    def of(self, chosen: Bool[np.ndarray, "Q"]) -> "Ranks":
        """These queries alone, on the whole gallery."""
        places = np.flatnonzero(chosen)
        return Ranks(
            [self.query[place] for place in places],
            [self.image_id[place] for place in places],
            self.right[places],
            self.gallery,
            {name: ranks[:, places] for name, ranks in self.ranks.items()},
            {name: ties[:, places] for name, ties in self.ties.items()},
        )


def read(config: TableConfig, results: Path, protocol: str, **labels: str) -> Ranks | None:
    """The ranks with these labels (direction; similarity or speakers) of every run in config.table; None without any.

    Raises ValueError that names two files whose queries are not the same.
    """
    first, where = None, Path()
    ranks, ties = {}, {}
    for name in config.table:
        seeds = []
        for seed in config.seeds:
            path = results / run_name(name, seed) / FILES[protocol]
            rows = parquet.read(path).filter(**labels).drop(list(labels)).sort("query")
            first, where = (rows.select(KEY), path) if first is None else (first, where)
            if not rows.select(KEY).equals(first):
                raise ValueError(f"{path}: not of the same queries and gallery as {where}; delete both and run again")
            seeds.append(rows)
        ranks[name] = np.stack([rows["rank"].to_numpy() for rows in seeds]).astype(np.int64)
        ties[name] = np.stack([rows["ties"].to_numpy() for rows in seeds]).astype(np.int64)
    if first is None or first.is_empty():
        return None
    right, gallery = first["right"].to_numpy().astype(np.int64), int(first["gallery"][0])
    return Ranks(first["query"].to_list(), first["image_id"].to_list(), right, gallery, ranks, ties)


def some(config: TableConfig, results: Path, protocol: str, **labels: str) -> Ranks:
    """As `read`, for ranks that must be there. Raises ValueError that names a file without them."""
    ranks = read(config, results, protocol, **labels)
    if ranks is None:
        path = results / run_name(config.table[0], config.seeds[0]) / FILES[protocol]
        raise ValueError(f"{path}: no ranks of {', '.join(labels.values())}; delete it and run again")
    return ranks
