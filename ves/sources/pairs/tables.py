"""The tables of own pairs: which recording belongs to which picture, from CSV, parquet or the reference code's JSON.

A row names two files, relative to the folder of the corpus. `relative` gives each file one spelling: pictures with the
same base name in two folders stay two pictures, and a picture that many rows name is one.
"""

import csv
import difflib
import glob
import json
import os
from pathlib import Path

import polars as pl

from ves.config.corpus import PairsConfig
from ves.sources import identities

COLUMNS = {  # ours: possible names in a table; the second is the reference code's or Vaani's
    "audio": ("audio", "audioFileName"),
    "image": ("image", "imageFileName"),
    "language": ("language",),
    "speaker": ("speaker", "speakerID"),
    "split": ("split",),
}
NEEDED = ("audio", "image")
SUFFIXES = (".csv", ".parquet", ".json")
SPLITS = ("train", "tune", "val")
REFERENCE = {"train_*.json": "train", "validation_set.json": "val"}  # splits by the names of the reference code's files


def files(settings: PairsConfig) -> list[Path]:
    """The files that `tables` names, sorted within each pattern. Raises ValueError that begins with the key at
    fault."""
    folder = Path(settings.folder)
    if not folder.is_dir():
        raise ValueError(
            f"corpus.pairs.folder: there is no folder {settings.folder!r} (from {Path.cwd()}); write the path of yours"
        )
    tables: list[Path] = []
    for pattern in settings.tables:
        names = [pattern] if (folder / pattern).is_file() else sorted(glob.glob(pattern, root_dir=folder))
        if not names:
            raise ValueError(
                f"corpus.pairs.tables: {pattern!r} matches no file in {folder}; name a table that is there"
            )
        tables += [folder / name for name in names]
    for file in tables:
        if file.suffix.lower() not in SUFFIXES:
            raise ValueError(f"corpus.pairs.tables: {file} ends in none of {', '.join(SUFFIXES)}; convert it to one")
        if tables.count(file) > 1:
            raise ValueError(f"corpus.pairs.tables: {file} is listed twice, so every pair would count twice")
    return tables


def read(settings: PairsConfig) -> pl.DataFrame:
    """Every row of every table: table (its name), row (from 1), and audio, image, language, speaker, split (COLUMNS).

    Texts are stripped; missing or empty ones are null, and so is an unknown speaker or language. Names of files are as
    `relative` spells them. Raises ValueError that begins with the key at fault and names the file, if a table does not
    exist, cannot be read, lacks a column or has no row, if a row of a CSV has too few fields or its header a column
    twice, or if a split is not one of SPLITS.
    """
    rows = pl.concat([_rows(file) for file in files(settings)])
    if rows.is_empty():
        raise ValueError(f"corpus.pairs.tables: {', '.join(settings.tables)} of {settings.folder} have no row")
    root = os.path.abspath(settings.folder)
    for column in NEEDED:
        names = rows[column].drop_nulls().unique()
        spelt = pl.Series([relative(name, root) for name in names], dtype=pl.String)
        rows = rows.with_columns(pl.col(column).replace(names, spelt))
    wrong = rows.filter(pl.col("split").is_not_null() & ~pl.col("split").is_in(SPLITS))
    for table, row, split in wrong.select("table", "row", "split").head(1).iter_rows():
        raise ValueError(
            f"corpus.pairs.tables: {table} row {row}: split {split!r} is not one of {', '.join(SPLITS)}; results are "
            "reported on val (often called test), choices are made on tune (often called dev)"
        )
    return rows


def relative(name: str, root: str) -> str:
    """One spelling for the name of a file, relative to `root`, without `.` and double slashes; `..` leaves the folder.

    An absolute name below `root` becomes relative; any other loses its leading slash, as in the reference code.
    """
    path = os.path.normpath(name)
    if os.path.isabs(path):
        path = os.path.relpath(path, root) if Path(path).is_relative_to(root) else path.lstrip("/")
    return path


def _scan(file: Path) -> pl.LazyFrame:
    """A table with all its columns. Raises ValueError that names the file if it cannot be read."""
    try:
        if file.suffix.lower() == ".json":
            return _reference(json.loads(file.read_text(encoding="utf-8-sig")))
        scan = pl.scan_csv(file, infer_schema=False) if file.suffix.lower() == ".csv" else pl.scan_parquet(file)
        scan.collect_schema()
    # errors of JSON and of Unicode are ValueErrors
    except (pl.exceptions.PolarsError, ValueError, RecursionError) as error:
        kind = file.suffix.lower().removeprefix(".")
        raise ValueError(f"corpus.pairs.tables: {file} cannot be read as {kind} ({error}); write it anew") from error
    return scan


def _check_fields(file: Path) -> None:
    """Raise ValueError for a CSV whose header names one of our columns twice, or with a row of too few fields: polars
    renames the one and fills the other up with nulls. An empty line is a row that names nothing, as polars reads it."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            lines = csv.reader(opened)
            header = next((names for names in lines if names), [])
            for name in (name for names in COLUMNS.values() for name in names if header.count(name) > 1):
                raise ValueError(
                    f"corpus.pairs.tables: {file}: the header has the column {name} {header.count(name)} times; keep "
                    "one of them"
                )
            for row, fields in enumerate(lines, start=1):
                if fields and len(fields) < len(header):
                    raise ValueError(
                        f"corpus.pairs.tables: {file} row {row}: no field for the column {header[len(fields)]!r} "
                        f"({len(fields)} of {len(header)}); write the commas of empty fields too"
                    )
    except csv.Error as error:
        raise ValueError(f"corpus.pairs.tables: {file} cannot be read as csv ({error}); write it anew") from error


def _reference(items: object) -> pl.LazyFrame:
    """The rows of a list of objects. Raises ValueError for anything else."""
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("it is not a list of objects")
    known = [name for names in COLUMNS.values() for name in names if any(name in item for item in items)]
    cells = {name: [item.get(name) for item in items] for name in known}
    texts = {name: [None if cell is None or cell != cell else str(cell) for cell in cells[name]] for name in known}
    return pl.LazyFrame(texts, schema=dict.fromkeys(known, pl.String))


def _columns(file: Path, scan: pl.LazyFrame) -> dict[str, str]:
    """Our name and the table's of each column. Raises ValueError for one that is missing, ambiguous or not text."""
    schema, matches = scan.collect_schema(), {}
    for column, names in COLUMNS.items():
        there = [name for name in names if name in schema]
        if len(there) > 1:
            raise ValueError(f"corpus.pairs.tables: {file} has both {' and '.join(there)}; keep one of them")
        if column in NEEDED and not there:
            has = ", ".join(schema) or "none"
            raise ValueError(f"corpus.pairs.tables: {file} has no column {' or '.join(names)}; its columns: {has}")
        if there and (schema[there[0]].is_nested() or schema[there[0]] == pl.Binary):
            kind = schema[there[0]]
            raise ValueError(f"corpus.pairs.tables: {file}: column {there[0]} is {kind}; it has to be text: file names")
        if there:
            matches[column] = there[0]
    absent = [name for column, names in COLUMNS.items() if column not in matches for name in names]
    _check_misspelt(file, [name for name in schema if name not in matches.values()], absent)
    return matches


def _check_misspelt(file: Path, others: list[str], absent: list[str]) -> None:
    """Raise ValueError for an unused column whose name is almost that of a missing one."""
    for other in others:
        if near := difflib.get_close_matches(other.strip().lower(), absent, n=1, cutoff=0.8):
            raise ValueError(
                f"corpus.pairs.tables: {file}: column {other!r} is not used; if you mean {near[0]!r}, rename it, "
                "otherwise give it a less similar name"
            )


def _text(column: str, floats: bool) -> pl.Expr:
    """A column as stripped text: of a number whole, as pandas writes 17 beside a null as 17.0; NaN is null."""
    cells = pl.col(column)
    if not floats:
        return cells.cast(pl.String).str.strip_chars()
    cells = cells.fill_nan(None)
    whole = cells.cast(pl.Int64, strict=False)
    return pl.when(whole.cast(pl.Float64) == cells).then(whole.cast(pl.String)).otherwise(cells.cast(pl.String))


def _rows(file: Path) -> pl.DataFrame:
    """The rows of one table as in `read`, but with file names as written."""
    scan = _scan(file)
    if file.suffix.lower() == ".csv":
        _check_fields(file)
    columns = _columns(file, scan)
    schema = scan.collect_schema()
    texts = {column: _text(name, schema[name].is_float()) for column, name in columns.items()}
    absent = {column: pl.lit(None, pl.String) for column in COLUMNS if column not in columns}
    try:
        rows = scan.select(**texts, **absent).select(*COLUMNS).collect()
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"corpus.pairs.tables: {file}: a row cannot be read ({error}); correct the file") from error
    rows = rows.with_columns(pl.when(pl.all().str.len_bytes() > 0).then(pl.all()))
    for column, spelling in (("speaker", identities.speaker), ("language", identities.known)):
        names = rows[column].drop_nulls().unique()
        spelt = pl.Series([spelling(name) for name in names], dtype=pl.String)
        rows = rows.with_columns(pl.col(column).replace_strict(names, spelt, default=None))
    stated = next((split for pattern, split in REFERENCE.items() if Path(file.name).match(pattern)), None)
    if "split" not in columns and stated:
        rows = rows.with_columns(pl.lit(stated).alias("split"))
    rows = rows.with_columns(pl.col("split").str.to_lowercase()).with_row_index("row", offset=1)
    return rows.select(pl.lit(file.name).alias("table"), "row", *COLUMNS)
