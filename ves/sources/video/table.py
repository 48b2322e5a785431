"""The table of films: labels, splits and, for names like those of VGGSound, the second at which a file begins.

Two forms are read, both CSV in UTF-8:

    file,label,split,start           a header that has `file`, and any of the others
    --0PQM4-hqg,30,"waterfall",train   no header: VGGSound's own form, id, start second, label, split

A row with a start means the file `{file}_{start:06d}`, as tools that download VGGSound name it. A suffix may be left
out. A label is for evaluation and goes to the truth; `test` is our `val`, since results are reported on it.
"""

import csv
import difflib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ves.sources import identities

COLUMNS = ("file", "label", "split", "start")
VGGSOUND = ("file", "start", "label", "split")  # the columns of a table without a header
SPLITS = {"train": "train", "tune": "tune", "val": "val", "test": "val"}
KEY = "corpus.video.table"


class Row(NamedTuple):
    """A row of the table: its number (from 1, the header not counted), the name of its file, and what is said of it."""

    number: int
    file: str
    label: str | None
    split: str | None


def read(path: Path) -> list[Row]:
    """The rows of a table. Raises ValueError that begins with the key and names the file, and the row, if it cannot be
    read, has no row, names no file, has an unknown column or split, another number of fields, or a file twice."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as opened:
            lines = [fields for fields in csv.reader(opened) if fields]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{KEY}: {path} cannot be read as CSV in UTF-8 ({error}); write it anew") from error
    if not lines:
        raise ValueError(f"{KEY}: {path} has no row")
    columns = _header(path, lines[0])
    if columns is None:
        columns = VGGSOUND
    else:
        del lines[0]
    rows: dict[str, Row] = {}
    begin = f"{KEY}: {path} row"
    for number, fields in enumerate(lines, start=1):
        row = _row(f"{begin} {number}", columns, number, fields)
        if row.file in rows:
            raise ValueError(
                f"{KEY}: {path} row {number}: {row.file!r} stands in row {rows[row.file].number} too; keep one of them"
            )
        rows[row.file] = row
    return list(rows.values())


def _header(path: Path, fields: list[str]) -> tuple[str, ...] | None:
    """The columns that a header names; None if the first line is none."""
    names = tuple(field.strip().lower() for field in fields)
    if "file" not in names:
        return None
    for name in names:
        if name not in COLUMNS:
            near = difflib.get_close_matches(name, COLUMNS, n=1)
            hint = f"; if you mean {near[0]!r}, rename it" if near else ""
            raise ValueError(f"{KEY}: {path}: column {name!r} is not one of {', '.join(COLUMNS)}{hint}")
        if names.count(name) > 1:
            raise ValueError(f"{KEY}: {path}: the header has the column {name} twice; keep one of them")
    return names


def _row(place: str, columns: tuple[str, ...], number: int, fields: list[str]) -> Row:
    if len(fields) != len(columns):
        header = "a header with `file`" if columns is VGGSOUND else f"the header, which has {len(columns)}"
        raise ValueError(f"{place}: {len(fields)} fields, unlike {header}; texts with commas stand in double quotes")
    cells = {name: field.strip() for name, field in zip(columns, fields, strict=True)}
    if not (file := cells["file"]):
        raise ValueError(f"{place}: it names no file")
    if start := cells.get("start"):
        file = f"{file}_{_whole(place, start):06d}"
    split = cells.get("split", "").lower() or None
    if split is not None and split not in SPLITS:
        raise ValueError(f"{place}: split {split!r} is not one of {', '.join(SPLITS)}")
    return Row(number, file, _label(cells.get("label")), split and SPLITS[split])


_label = lru_cache(identities.known)  # a few hundred labels stand in hundreds of thousands of rows


def _whole(place: str, text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not (number.is_integer() and number >= 0):
        raise ValueError(f"{place}: start {text!r} is no whole number of seconds")
    return int(number)
