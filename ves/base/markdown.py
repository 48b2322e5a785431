"""Tables in Markdown, for pages that people read.

Ours, though tabulate is in the lock: that takes 50 ms to load, pads every cell and leaves a `|` in a cell as it is.
"""

from collections.abc import Iterable, Sequence
from typing import Any


def table(header: Sequence[Any], rows: Iterable[Sequence[Any]], *, left: int | None = None) -> str:
    """A table with its line end. Of the columns, the first `left` are set to the left and the others, numbers, to the
    right; by default none is set anywhere."""
    marks = ["---"] * len(header) if left is None else ["---"] * left + ["---:"] * (len(header) - left)
    lines = [[cell(text) for text in header], marks, *([cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def cell(content: Any) -> str:
    """Any content as a cell: what it holds, such as a label of a corpus, must end neither the cell nor the row."""
    return " ".join(str(content).split()).replace("|", "\\|")
