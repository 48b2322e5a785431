"""The tables of own pairs: which recording belongs to which picture, from CSV, parquet or the reference code's JSON.

A row names two files. Names are relative to the folder of the corpus; `relative` gives a file one spelling, so that
pictures of one base name in two folders stay two, and one that many rows name is one.
"""

import difflib
import glob
import json
import os
from pathlib import Path

import polars as pl

from ves.config.corpus import PairsConfig
from ves.sources import identities

COLUMNS = {  # what a table may say: its columns; the second is the reference code's or Vaani's
    "audio": ("audio", "audioFileName"),
    "image": ("image", "imageFileName"),
    "language": ("language",),
    "speaker": ("speaker", "speakerID"),
    "split": ("split",),
}
NEEDED = ("audio", "image")
SUFFIXES = (".csv", ".parquet", ".json")
SPLITS = ("train", "tune", "val")
REFERENCE = {"train_*.json": "train", "validation_set.json": "val"}  # splits that the reference code's names state


def files(settings: PairsConfig) -> list[Path]:
    """The tables that `tables` names, each pattern's sorted. Raises ValueError that begins with the key at fault."""
    folder = Path(settings.folder)
    if not folder.is_dir():
        raise ValueError(f"corpus.pairs.folder: there is no folder {settings.folder!r} (from {Path.cwd()}); name yours")
    found: list[Path] = []
    for pattern in settings.tables:
        there = [pattern] if (folder / pattern).is_file() else sorted(glob.glob(pattern, root_dir=folder))
        if not there:
            raise ValueError(f"corpus.pairs.tables: {pattern!r} is no file of {folder}; name a table that lies there")
        found += [folder / name for name in there]
    for file in found:
        if file.suffix.lower() not in SUFFIXES:
            raise ValueError(f"corpus.pairs.tables: {file} ends in none of {', '.join(SUFFIXES)}; convert it to one")
        if found.count(file) > 1:
            raise ValueError(f"corpus.pairs.tables: {file} is named twice; every pair would be")
    return found


def read(settings: PairsConfig) -> pl.DataFrame:
    """Every row of every table: table (its name), row (from 1), and audio, image, language, speaker, split (COLUMNS).

    Texts are stripped; what is absent or empty is null, and so is an unknown speaker. Names of files are as `relative`
    spells them. Raises ValueError that begins with the key at fault and names the file, for a table that is not there,
    cannot be read, lacks a column or has no row, and for a split that is none of SPLITS.
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
            f"corpus.pairs.tables: {table} row {row}: split {split!r} is none of {', '.join(SPLITS)}; results are "
            "reported on val (often called test), choices are made on tune (often called dev)"
        )
    return rows


def relative(name: str, root: str) -> str:
    """The one spelling of a file's name, relative to `root`: no `.`, no doubled slash; what leaves begins with `..`.

    An absolute name below `root` loses it; any other loses its leading slash, as the reference code reads names.
    """
    path = os.path.normpath(name)
    if os.path.isabs(path):
        path = os.path.relpath(path, root) if Path(path).is_relative_to(root) else path.lstrip("/")
    return path


def _scan(file: Path) -> pl.LazyFrame:
    """A table with the columns that it has. Raises ValueError that names the file if it cannot be read as such."""
    try:
        if file.suffix.lower() == ".json":
            return _reference(json.loads(file.read_text(encoding="utf-8-sig")))
        scan = pl.scan_csv(file, infer_schema=False) if file.suffix.lower() == ".csv" else pl.scan_parquet(file)
        scan.collect_schema()
    except (pl.exceptions.PolarsError, ValueError, RecursionError) as error:  # JSON's and Unicode's are ValueErrors
        kind = file.suffix.lower().removeprefix(".")
        raise ValueError(f"corpus.pairs.tables: {file} cannot be read as {kind} ({error}); write it anew") from error
    return scan


def _reference(items: object) -> pl.LazyFrame:
    """A list of objects, each a row. Raises ValueError for anything else."""
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("it is not a list of objects")
    known = [name for names in COLUMNS.values() for name in names if any(name in item for item in items)]
    cells = {name: [item.get(name) for item in items] for name in known}
    texts = {name: [None if cell is None or cell != cell else str(cell) for cell in cells[name]] for name in known}
    return pl.LazyFrame(texts, schema=dict.fromkeys(known, pl.String))


def _columns(file: Path, scan: pl.LazyFrame) -> dict[str, str]:
    """Which of the table's columns says what. Raises ValueError for one that is missing, ambiguous or holds no text."""
    schema, found = scan.collect_schema(), {}
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
            found[column] = there[0]
    absent = [name for column, names in COLUMNS.items() if column not in found for name in names]
    _check_misspelt(file, [name for name in schema if name not in found.values()], absent)
    return found


def _check_misspelt(file: Path, others: list[str], absent: list[str]) -> None:
    """Raise ValueError for a column that is not read but nearly named as an absent one: it was meant."""
    for other in others:
        if near := difflib.get_close_matches(other.strip().lower(), absent, n=1, cutoff=0.8):
            raise ValueError(
                f"corpus.pairs.tables: {file}: column {other!r} is not read; if it is meant to be {near[0]!r}, name it "
                "so, else give it a name less like it"
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
    """The rows of one table, as `read` gives them, names as they stand there."""
    scan = _scan(file)
    columns = _columns(file, scan)
    schema = scan.collect_schema()
    texts = [
        (
            _text(columns[column], schema[columns[column]].is_float()) if column in columns else pl.lit(None, pl.String)
        ).alias(column)
        for column in COLUMNS
    ]
    try:
        rows = scan.select(texts).collect()
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"corpus.pairs.tables: {file}: a row cannot be read ({error}); mend the file") from error
    rows = rows.with_columns(pl.when(pl.all().str.len_bytes() > 0).then(pl.all()))
    speakers = rows["speaker"].drop_nulls().unique()
    spelt = pl.Series([identities.speaker(name) for name in speakers], dtype=pl.String)
    rows = rows.with_columns(pl.col("speaker").replace_strict(speakers, spelt, default=None))
    stated = next((split for pattern, split in REFERENCE.items() if Path(file.name).match(pattern)), None)
    if "split" not in columns and stated:
        rows = rows.with_columns(pl.lit(stated).alias("split"))
    rows = rows.with_columns(pl.col("split").str.to_lowercase()).with_row_index("row", offset=1)
    return rows.select(pl.lit(file.name).alias("table"), "row", *COLUMNS)
