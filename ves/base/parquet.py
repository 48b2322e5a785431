"""Reading parquet with errors that name the damaged file, which those of polars do not."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl


@contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Raise ValueError that names `path` for any error that polars raises about it."""
    try:
        yield
    except pl.exceptions.PolarsError as error:
        what = str(error).partition("\n")[0]  # what follows is its plan of the query
        raise ValueError(f"{path}: not a complete parquet file ({what}); delete it and run again") from error


def read(path: Path | str, columns: list[str] | None = None) -> pl.DataFrame:
    """These columns of a file, or all. Raises ValueError that names the file if it is damaged or lacks a column."""
    with naming(path):
        return pl.read_parquet(path, columns=columns)


@contextmanager
def naming_one_of(paths: Sequence[Path], columns: list[str]) -> Iterator[None]:
    """As `naming`, for reading these columns and others of many files at once: each file is read again, to find the
    one to name, which lacks one of `columns` or is damaged."""
    try:
        yield
    except pl.exceptions.PolarsError:
        for path in paths:
            read(path, columns)
            read(path)
        raise
