"""Parquet files of the hub by their footers: what they hold, and single columns of it, by ranged requests.

A footer is a claim. What it says about sizes is checked before anything is read because of it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow.parquet import FileMetaData, ParquetFile

from ves.sources import columns
from ves.sources.hub.errors import HubError
from ves.sources.hub.remote import RemoteFile

MOST_FOOTER = 2**26  # bytes
MOST_ROWS = 2**31
MOST_BYTES = 2**30  # that columns unpack to which are read at once
MAGIC = b"PAR1"


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Raise ValueError that names a file of the repository for what pyarrow and polars find wrong with it."""
    try:
        yield
    except HubError:
        raise
    except (pa.ArrowException, OSError, pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{path}: no whole parquet file ({reason}); leave it out by narrower patterns in corpus.vaani, and report "
            "it to the owners of the repository"
        ) from error


def open_footer(file: RemoteFile) -> ParquetFile:
    """The parquet file by its footer alone, which is checked first. Raises ValueError that names the file."""
    file.seek(max(file.size - 8, 0))
    end = file.read(8) or b""
    if len(end) < 8 or end[4:] != MAGIC:
        raise ValueError(f"{file.name}: no whole parquet file: it ends in {end[-4:]!r}; report it to its owners")
    if (length := int.from_bytes(end[:4], "little")) > min(MOST_FOOTER, file.size):
        raise ValueError(f"{file.name}: a footer of {length} bytes, which is refused; report it to its owners")
    parquet = ParquetFile(file, pre_buffer=False)
    rows = parquet.metadata.num_rows
    groups = [parquet.metadata.row_group(number).num_rows for number in range(parquet.metadata.num_row_groups)]
    if not 0 <= rows <= min(MOST_ROWS, file.size) or sum(groups) != rows or min(groups, default=0) < 0:
        raise ValueError(
            f"{file.name}: its footer promises {rows} rows, and {sum(groups)} in its row groups, in {file.size} bytes: "
            "refused; report it to its owners"
        )
    return parquet


def media_column(parquet: ParquetFile, media: str, source: str) -> str:
    """The struct column `media` of `bytes` and `path`. Raises ValueError that names `source` without one."""
    schema = parquet.schema_arrow
    column = columns.media_column(schema.names, media, source)
    kind = None if column is None else schema.field(column).type
    if kind is None or not pa.types.is_struct(kind) or not {"bytes", "path"} <= {field.name for field in kind}:
        found = ", ".join(schema.names) if kind is None else f"{column} as {kind}"
        raise ValueError(f"{source}: no column {media} of bytes and path; it has {found}")
    return column or media


def read(
    file: RemoteFile, parquet: ParquetFile, wanted: Sequence[str], groups: Sequence[int] | None = None
) -> pl.DataFrame:
    """Columns (`struct.field` for a field) of the row groups, or of all, in few requests.

    Raises ValueError for columns that would fill the memory or lie outside the file, and whatever pyarrow does.
    """
    metadata = parquet.metadata
    groups = range(metadata.num_row_groups) if groups is None else groups
    groups = [group for group in groups if metadata.row_group(group).num_rows]  # one without rows points nowhere
    leaves = [leaf for leaf in range(metadata.num_columns) if _under(metadata.schema.column(leaf).path, wanted)]
    chunks = [metadata.row_group(group).column(leaf) for group in groups for leaf in leaves]
    starts = [min(chunk.dictionary_page_offset or chunk.data_page_offset, chunk.data_page_offset) for chunk in chunks]
    ranges = [(start, start + chunk.total_compressed_size) for start, chunk in zip(starts, chunks, strict=True)]
    if any(not len(MAGIC) <= start <= end <= file.size for start, end in ranges):
        raise ValueError(f"{file.name}: its footer points outside the file; report it to its owners")
    if (unpacked := sum(abs(chunk.total_uncompressed_size) for chunk in chunks)) > MOST_BYTES:
        raise ValueError(
            f"{file.name}: columns {', '.join(wanted)} unpack to {unpacked} bytes, at most {MOST_BYTES} are read; "
            "report it to its owners"
        )
    file.expect(ranges)
    # one by one: pyarrow would read the first column of all of them, then the next, and so each piece many times
    tables = [parquet.read_row_group(group, list(wanted), use_threads=False) for group in groups]
    table = pa.concat_tables(tables) if tables else parquet.read_row_groups([], list(wanted))
    table.validate(full=True)  # polars takes what is no UTF-8 for it
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _under(path: str, wanted: Sequence[str]) -> bool:
    return any(path == name or path.startswith(f"{name}.") for name in wanted)


def _leaf(metadata: FileMetaData, path: str) -> int | None:
    """Number of the leaf column of that path in every row group; None without."""
    schema = metadata.schema
    return next((number for number in range(metadata.num_columns) if schema.column(number).path == path), None)


def leaf_sizes(metadata: FileMetaData, path: str) -> np.ndarray:
    """int64 [row groups, 2]: bytes of a leaf column in each row group, unpacked and as stored.

    Raises ValueError without that column.
    """
    if (leaf := _leaf(metadata, path)) is None:
        raise ValueError(f"no column {path}")
    chunks = [metadata.row_group(number).column(leaf) for number in range(metadata.num_row_groups)]
    pairs = [(chunk.total_uncompressed_size, chunk.total_compressed_size) for chunk in chunks]
    return np.array(pairs, np.int64).reshape(-1, 2)
