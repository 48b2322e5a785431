"""The results of a corpus, for the terminal: Table 1 in columns, and the files to open."""

import csv
from pathlib import Path

TO_OPEN = {  # files of results/<corpus>, from what most people want to see first
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
        rows = list(csv.reader(file))
    there = {name: what for name, what in TO_OPEN.items() if (results / name).is_file()}
    lines = [f"{table}: retrieval on validation clips; R@k in percent, n queries", "", *_columns(rows), ""]
    if there:
        to_open = [[f"  {results / name}", what] for name, what in there.items()]
        lines += ["To open:", *_columns(to_open, numbers=False)]
    if missing := [name for name in TO_OPEN if name not in there]:
        lines.append(f"Not made yet, in {results}: {', '.join(missing)}")
    return "\n".join(lines)


def _columns(rows: list[list[str]], *, numbers: bool = True) -> list[str]:
    """Rows of text in columns; from the third on, `numbers` are set to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = [
        [f"{cell:>{width}}" if numbers and at > 1 else f"{cell:<{width}}" for at, (cell, width) in enumerate(pairs)]
        for pairs in (list(zip(row, widths, strict=True)) for row in rows)
    ]
    return ["  ".join(cells).rstrip() for cells in aligned]
