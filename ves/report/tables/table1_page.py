"""table1.md: retrieval with intervals, by both protocols and under each similarity, and the paper's own numbers."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ves.base.files import atomic
from ves.base.markdown import table
from ves.config.experiment import TableConfig
from ves.evaluation.bootstrap import CAPTION, places
from ves.evaluation.retrieval.chance import DIRECTIONS, OTHERS, OWN, chance, informative
from ves.evaluation.retrieval.intervals import METRICS, Difference, Estimate, estimates
from ves.evaluation.truth import why_not_located
from ves.report import labels
from ves.report.tables import few_steps
from ves.report.tables import ranks as rank_tables
from ves.report.tables.comparisons import about, compared, number
from ves.report.tables.ranks import Ranks
from ves.report.tables.table1 import RANKS, RECALLS, run_name

SPEAKERS = {
    "all": "all speakers",
    "unseen": "speakers not heard in training",
    "seen": "speakers heard in training",
}
WAYS = {"A2V": "A2V: a clip looks for its picture", "V2A": "V2A: a picture looks for its clip"}
TIED, AGAINST = "queries with ties", "median rank if ties go against it"

Column = dict[str, str]  # the cells of one run, by the name of the number

# What the VeS paper reports on Vaani: 5,000 validation pairs, one clip to an image. Never measured here. Columns of its
# table of retrieval: loss, direction, R@1, R@5, R@10, R@50 in percent, mean and median rank.
PAPER_ON_VAANI = (
    ("dense", "A2V", 9.90, 24.06, 32.54, 55.36, 266.0, 35.0),
    ("dense", "V2A", 8.50, 21.18, 29.66, 53.98, 252.4, 39.0),
    ("global", "A2V", 6.22, 16.52, 23.88, 47.52, 339.8, 58.0),
    ("global", "V2A", 6.38, 16.54, 24.08, 47.24, 341.8, 59.5),
    ("hybrid", "A2V", 9.00, 21.86, 29.32, 53.18, 283.0, 42.0),
    ("hybrid", "V2A", 7.46, 20.32, 28.44, 52.28, 271.2, 44.0),
)


def _ends(metric: str, bar: Estimate | Difference) -> str:
    """The interval in brackets; one image has none."""
    return "" if math.isnan(bar.low) else f" [{number(metric, bar.low)}, {number(metric, bar.high)}]"


def _cell(metric: str, bar: Estimate) -> str:
    """The value, its standard deviation over seeds where there are several, its interval."""
    spread = "" if bar.deviation is None else f" ± {number(metric, bar.deviation)}"
    return f"{number(metric, bar.value)}{spread}{_ends(metric, bar)}"


def _run(ranks: Ranks, name: str) -> Column:
    """The metrics of a run, the number of queries with ties, and the median rank if all ties went against it."""
    bars = estimates(ranks.ranks[name], places(ranks.image_id))
    against = np.median(ranks.ranks[name] + ranks.ties[name], axis=1).mean()
    cells = {metric: _cell(metric, bars[metric]) for metric in _metrics(ranks)}
    tied = f"{(ranks.ties[name] > 0).sum(1).mean():g}"
    return cells | {TIED: tied, AGAINST: number("median_rank", float(against))}


def _chance(ranks: Ranks) -> Column:
    exact = chance(ranks.right, ranks.gallery)
    return {metric: number(metric, exact[metric]) for metric in _metrics(ranks)}


def _metrics(ranks: Ranks) -> list[str]:
    """The metrics that depend on the ranks in this gallery."""
    return [metric for metric in METRICS if informative(metric, ranks.gallery)]


def _side_by_side(columns: Mapping[str, Column]) -> str:
    """A table with a row for each number and a column for each run: intervals are long, and runs are few."""
    names = dict.fromkeys(name for column in columns.values() for name in column)
    rows = [[labels.column(name), *(column.get(name, "") for column in columns.values())] for name in names]
    return table(["", *columns], rows, left=1)


def _paper(config: TableConfig, results: Path) -> list[str]:
    """The section on the paper's protocol."""
    by_way = {way: rank_tables.some(config, results, "paper", direction=way, similarity=OWN) for way in DIRECTIONS}
    n = len(by_way["A2V"].query)
    text = [
        "## One clip to a picture\n",
        f"The paper's protocol: {n} clips rank {n} pictures (A2V) and the pictures the clips (V2A). Each run under the "
        "similarity that it was trained for. Chance is exact.\n",
    ]
    for way, ranks in by_way.items():
        columns = {name: _run(ranks, name) for name in config.table} | {"chance": _chance(ranks)}
        text += [f"### {WAYS[way]}\n", _side_by_side(columns)]
    return text


def _others(config: TableConfig, results: Path) -> list[str]:
    """The section on the same runs under both plain similarities."""
    text = [
        "## Under each similarity\n",
        "The same pairs and models under `max_mean` (dense) and under `mean_mean` (global), whatever they were trained "
        "for, as the reference code reports them.\n",
    ]
    for way in DIRECTIONS:
        for other in OTHERS:
            ranks = rank_tables.some(config, results, "paper", direction=way, similarity=other)
            columns = {name: _run(ranks, name) for name in config.table}
            text += [f"### {WAYS[way]}, under `{other}`\n", _side_by_side(columns)]
    return text


def _multi_positive(config: TableConfig, results: Path) -> list[str]:
    """The section on all clips of the pictures."""
    text = [
        "## All clips of a picture\n",
        "The clips of val and val_more about the same pictures. A clip looks for its picture (A2V); a picture looks "
        "for any of its clips (V2A). Chance takes into account how many right items the gallery has. By speakers: "
        "whose clips are the queries (A2V) or the gallery (V2A).\n",
    ]
    for group, label in SPEAKERS.items():
        for way in DIRECTIONS:
            ranks = rank_tables.read(config, results, "multi_positive", direction=way, speakers=group)
            if ranks is not None:
                columns = {name: _run(ranks, name) for name in config.table} | {"chance": _chance(ranks)}
                right = f"{ranks.right.mean():.2f} right of {ranks.gallery}, on average"
                text += [f"### {way}, {label}\n", f"{len(ranks.query)} queries; {right}.\n", _side_by_side(columns)]
    return text


def _difference(metric: str, bar: Difference) -> str:
    p = "" if bar.p is None else f", p {bar.p:.2g}"
    return f"{number(metric, bar.value)}{_ends(metric, bar)}{p}"


def _compared(config: TableConfig, results: Path) -> list[str]:
    """The section on differences; none where the table has one run."""
    first, seeds = config.table[0], len(config.seeds)
    what = {
        "objectives": f"Over {seeds} seeds, resampled together with the images. p is two-sided, for one comparison.",
        "these checkpoints": "Between these checkpoints alone; images are resampled. Another training may give another "
        "result, so there is no p-value; three seeds (`seeds: [0, 1, 2]`) give one.",
    }
    if len(config.table) == 1:
        return []
    more = "All metrics by both protocols are in `comparisons.csv`."
    text = ["## Differences\n", f"One clip to a picture. {what[about(seeds)]} {more}\n"]
    for way in DIRECTIONS:
        ranks = rank_tables.some(config, results, "paper", direction=way, similarity=OWN)
        columns = {
            f"{first} - {other}": {metric: _difference(metric, by_metric[metric]) for metric in _metrics(ranks)}
            for other, by_metric in compared(config, results, "paper", way).items()
        }
        text += [f"### {WAYS[way]}\n", _side_by_side(columns)]
    return text


def _published() -> list[str]:
    rows = [
        [loss, way, *(number(metric, value) for metric, value in zip([*RECALLS, *RANKS], values, strict=True))]
        for loss, way, *values in PAPER_ON_VAANI
    ]
    return [
        "## The paper's numbers\n",
        "Reported by the VeS paper on Project Vaani, one clip to a picture, n = 5000; not measured here, and on other "
        "clips than all above.\n",
        table([labels.column(name) for name in ("loss", "direction", *RECALLS, *RANKS)], rows, left=2),
    ]


def _localisation(truth: Path) -> list[str]:
    """Where the numbers of localisation are, or why there are none."""
    if (why := why_not_located(truth)) is not None:
        return ["## Localisation\n", f"Not measured: {why}.\n"]
    more = "by every protocol in `localisation_protocols.csv`, by language and kind in `localisation_by.csv`"
    return ["## Localisation\n", f"In `localisation.csv`; {more}.\n"]


def _processors() -> list[str]:
    """How far another processor moves such numbers, as measured once (LOG.md, 1 December 2026, commit d27b08d)."""
    return [
        "## Another processor\n",
        "With the same seeds on another CPU, corpus, splits and stored audio are the same to the byte; features and "
        "trainings are not, since other kernels add in another order. The default run on the first edition of Spoken "
        "Scenes, under kernels of three kinds of processors, kept its order by median rank both ways, and A2V R@10 "
        "within 0.2. Median ranks moved by 5.5 at most, V2A R@10 by 1.5, pointing by 1.3 and R@1 by 1.1, whose order "
        "turned round (`docs/evaluation.md`).\n",
    ]


def write(config: TableConfig, results: Path, corpus: str, truth: Path, out: Path) -> None:
    """Write table1.md from the ranks of every run in config.table; the folder `truth` may be absent.

    Raises as `ves.report.tables.ranks.read` does.
    """
    seeds = len(config.seeds)
    over = f"means over {seeds} seeds ± their standard deviation" if seeds > 1 else "one training each"
    head = [
        f"# Retrieval: {corpus}\n",
        f"Recalls in percent, {over}. In brackets {CAPTION}, gallery and checkpoints fixed: "
        "what other queries of the same kind might give, not what other trainings might. A rank is 1 + the number of "
        "wrong items scored higher, so ties favour the model; they are counted.\n",
    ]
    if few := few_steps.warning(results / run_name(name, seed) for name in config.table for seed in config.seeds):
        head.insert(1, f"**{few}**\n")
    parts = (_paper(config, results), _compared(config, results), _others(config, results))
    sections = [*head, *(text for part in parts for text in part), *_multi_positive(config, results)]
    sections += [*_localisation(truth), *_processors(), *_published()]
    with atomic(out) as temporary:
        temporary.write_text("\n".join(sections), encoding="utf-8")
