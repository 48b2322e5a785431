"""comparisons.md and the picture beside it: what comparisons.csv says, for people."""

from pathlib import Path

import polars as pl

from ves.base import parquet
from ves.base.files import atomic
from ves.base.markdown import table
from ves.report import labels
from ves.report.tables import forest_plot

NOTHING = "The table has one objective: there is nothing to compare."


def write(comparisons: Path, out: Path, plot: Path) -> None:
    """Write the page (Markdown) and the picture (PNG). Rows of comparisons.csv without a value are left out.

    Raises ValueError that names a file which is not such a table.
    """
    with parquet.naming(comparisons):
        rows = pl.read_csv(comparisons, infer_schema=False).drop_nulls("difference")
    forest_plot.draw(rows, plot)
    picture = f"![Differences with their intervals]({plot.name})\n"
    text = ["# Comparisons\n", *_text(rows), picture, *_table(rows)]
    with atomic(out) as temporary:
        temporary.write_text("\n".join(text), encoding="utf-8")


def _text(rows: pl.DataFrame) -> list[str]:
    if rows.is_empty():
        return [f"{NOTHING}\n"]
    return [
        f"{rows['first'][0]} against each other objective, about {rows['about'][0]}: the difference of each number, in "
        "percent points or ranks, of which fewer are better. p is two-sided and of one comparison; it takes three "
        "seeds.\n"
    ]


def _table(rows: pl.DataFrame) -> list[str]:
    """The rows, without what the text says and without columns that have no value."""
    columns = [name for name in rows.columns if name not in ("first", "about") and rows[name].drop_nulls().len()]
    cells = [[labels.cell(name, row[name] or "") for name in columns] for row in rows.iter_rows(named=True)]
    return [table([labels.column(name) for name in columns], cells, left=4)] if cells else []
