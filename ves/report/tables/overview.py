"""The results of a corpus, for the terminal: Table 1 in columns, and the files to open."""

import csv
from pathlib import Path

from ves.config.experiment import TableConfig
from ves.config.fields import read
from ves.report.tables import few_steps
from ves.report.tables.table1 import run_name

TO_OPEN = {  # files of results/<corpus>, from what most people want to see first
    "index.html": "all results, with links to everything below",
    "explorer/index.html": "play clips, point at words and pictures, search",
    "heatmaps/index.html": "films and strips of some clips",
    "figure1.png": "words of some clips, the runs side by side",
    "pages/table1.html": "Table 1 with intervals and other similarities",
}


def overview(results: Path) -> str:
    """Table 1 of the folder results/<corpus>, and what else there is. Raises ValueError when there is no table."""
    table = results / "table1.csv"
    if not table.is_file():
        raise ValueError(
            f"{table}: not made yet; run the workflow with this configuration (of config.yaml alone: make table1)"
        )
    with open(table, encoding="utf-8", newline="") as file:
        columns = list(zip(*csv.reader(file), strict=True))
    rows = [list(row) for row in zip(*(column for column in columns if any(column[1:])), strict=True)]
    there = {name: what for name, what in TO_OPEN.items() if (results / name).is_file()}
    what = f"retrieval on validation clips of the corpus {results.name}; R@k in percent, n queries"
    lines = [f"{table}: {what}", "", *_columns(rows), ""]
    if few := few_steps.warning(_runs(results)):
        lines += [few, ""]
    if there:
        to_open = [[f"  {results / name}", what] for name, what in there.items()]
        lines += ["To open:", *_columns(to_open, numbers=False)]
    if missing := [name for name in TO_OPEN if name not in there]:
        lines.append(f"Not made yet, in {results}: {', '.join(missing)}")
    return "\n".join(lines)


def _runs(results: Path) -> list[Path]:
    """The runs in the table; none where their settings are not there, since the table was copied alone."""
    if not (settings := results / "table.json").is_file():
        return []
    config = read(TableConfig, settings)
    return [results / run_name(name, seed) for name in config.table for seed in config.seeds]


def _columns(rows: list[list[str]], *, numbers: bool = True) -> list[str]:
    """Rows of text in columns; from the third on, `numbers` are set to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = [
        [f"{cell:>{width}}" if numbers and at > 1 else f"{cell:<{width}}" for at, (cell, width) in enumerate(pairs)]
        for pairs in (list(zip(row, widths, strict=True)) for row in rows)
    ]
    return ["  ".join(cells).rstrip() for cells in aligned]
