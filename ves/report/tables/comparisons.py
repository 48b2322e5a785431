"""comparisons.csv: how much better is the first objective of the table than each other one?

With fewer than three seeds the answer is about these checkpoints alone: the paired difference with its interval over
images, and no p-value. With three or more it is about the objectives: seeds and images are resampled together
(ves.evaluation.retrieval.intervals). The p-values are two-sided and each of one comparison: by chance, one in twenty is
below 0.05.
"""

import math
from pathlib import Path

from ves.config.experiment import TableConfig
from ves.evaluation.bootstrap import places
from ves.evaluation.retrieval.chance import DIRECTIONS, informative
from ves.evaluation.retrieval.intervals import FEWEST_SEEDS, Difference, differences
from ves.report.tables import ranks as rank_tables
from ves.report.tables.table1 import write_csv

COLUMNS = [
    "first", "second", "about", "protocol", "direction", "metric", "difference", "low", "high", "p", "seeds", "n",
    "images",
]  # fmt: skip
GROUPS = {"paper": {"similarity": "own"}, "multi_positive": {"speakers": "all"}}


def number(metric: str, value: float) -> str:
    """As the tables write it: recalls in percent to two decimals, ranks to one, MRR to four; nothing for NaN."""
    if math.isnan(value):
        return ""
    return f"{value:.2f}" if metric.startswith("R@") else f"{value:.4f}" if metric == "MRR" else f"{value:.1f}"


def about(seeds: int) -> str:
    """What a difference is about."""
    return "objectives" if seeds >= FEWEST_SEEDS else "these checkpoints"


def compared(config: TableConfig, results: Path, protocol: str, direction: str) -> dict[str, dict[str, Difference]]:
    """Differences of the first run of the table to each other, by its name, then by metric."""
    ranks = rank_tables.some(config, results, protocol, direction=direction, **GROUPS[protocol])
    image = places(ranks.image_id)
    first, *others = config.table
    return {name: differences(ranks.ranks[first], ranks.ranks[name], image) for name in others}


def comparisons(config: TableConfig, results: Path, out: Path) -> None:
    """Write comparisons.csv from the ranks of every run in config.table. Raises as `ves.report.tables.ranks.read`
    does."""
    rows = []
    for protocol, labels in GROUPS.items():
        for direction in DIRECTIONS:
            ranks = rank_tables.some(config, results, protocol, direction=direction, **labels)
            counts = [str(len(config.seeds)), str(len(ranks.query)), str(len(set(ranks.image_id)))]
            for other, by_metric in compared(config, results, protocol, direction).items():
                for metric, difference in by_metric.items():
                    values = (difference.value, difference.low, difference.high)
                    says_something = informative(metric, ranks.gallery)
                    texts = [number(metric, value) if says_something else "" for value in values]
                    p = f"{difference.p:.2g}" if says_something and difference.p is not None else ""
                    names = [config.table[0], other, about(len(config.seeds)), protocol, direction, metric]
                    rows.append([*names, *texts, p, *counts])
    write_csv(out, COLUMNS, rows)
