"""Reading parquet: polars does not say which file is damaged, here it is said."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl


@contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Raise ValueError that names `path` for whatever polars finds wrong with it."""
    try:
        yield
    except pl.exceptions.PolarsError as error:
        what = str(error).partition("\n")[0]  # what follows is its plan of the query
        raise ValueError(f"{path}: not a complete parquet file ({what}); delete it and run again") from error


def read(path: Path | str, columns: list[str] | None = None) -> pl.DataFrame:
    """The columns of a file, or all. Raises ValueError that names a file which is damaged or lacks one of them."""
    with naming(path):
        return pl.read_parquet(path, columns=columns)


@contextmanager
def naming_one_of(paths: Sequence[Path], columns: list[str]) -> Iterator[None]:
    """The same for what reads these columns of many files at once: each is read again, to find the one to name."""
    try:
        yield
    except pl.exceptions.PolarsError:
        for path in paths:
            read(path, columns)
        raise
