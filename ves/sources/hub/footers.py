"""Footers and single columns of parquet files on the hub, by ranged requests.

A footer may be wrong. The sizes in it are checked before anything is read because of them.
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
MOST_BYTES = 2**30  # unpacked, of all columns that are read together
MAGIC = b"PAR1"


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Turn errors of pyarrow and polars into ValueError that names the file of the repository."""
    try:
        yield
    except HubError:
        raise
    except (pa.ArrowException, OSError, pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{path}: not a complete parquet file ({reason}); leave it out with narrower patterns in corpus.vaani, and "
            "report it to the owners of the repository"
        ) from error


def open_footer(file: RemoteFile) -> ParquetFile:
    """Open a parquet file by its footer alone, after checking it. Raises ValueError that names the file."""
    file.seek(max(file.size - 8, 0))
    end = file.read(8) or b""
    if len(end) < 8 or end[4:] != MAGIC:
        raise ValueError(f"{file.name}: not a complete parquet file: it ends in {end[-4:]!r}; report it to its owners")
    if (length := int.from_bytes(end[:4], "little")) > min(MOST_FOOTER, file.size):
        raise ValueError(f"{file.name}: its footer of {length} bytes is too large to read; report it to its owners")
    parquet = ParquetFile(file, pre_buffer=False)
    rows = parquet.metadata.num_rows
    groups = [parquet.metadata.row_group(number).num_rows for number in range(parquet.metadata.num_row_groups)]
    if not 0 <= rows <= min(MOST_ROWS, file.size) or sum(groups) != rows or min(groups, default=0) < 0:
        raise ValueError(
            f"{file.name}: its footer claims {rows} rows, and {sum(groups)} in its row groups, in {file.size} bytes, "
            "which is impossible; report it to its owners"
        )
    return parquet


def media_column(parquet: ParquetFile, media: str, source: str) -> str:
    """The name of the struct column `media` of `bytes` and `path`. Raises ValueError that names `source` without
    one."""
    schema = parquet.schema_arrow
    column = columns.media_column(schema.names, media, source)
    kind = None if column is None else schema.field(column).type
    if kind is None or not pa.types.is_struct(kind) or not {"bytes", "path"} <= {field.name for field in kind}:
        present = ", ".join(schema.names) if kind is None else f"{column} as {kind}"
        raise ValueError(f"{source}: no column {media} of bytes and path; it has {present}")
    return column or media


def read(
    file: RemoteFile, parquet: ParquetFile, wanted: Sequence[str], groups: Sequence[int] | None = None
) -> pl.DataFrame:
    """Read columns (`struct.field` for a field) of these row groups, or of all, in few requests.

    Raises ValueError for columns that would fill the memory or lie outside the file, and the errors of pyarrow.
    """
    metadata = parquet.metadata
    groups = range(metadata.num_row_groups) if groups is None else groups
    groups = [group for group in groups if metadata.row_group(group).num_rows]  # an empty one has no valid offsets
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
    # one by one: pyarrow would read the first column of all groups, then the next, and so fetch each piece many times
    tables = [parquet.read_row_group(group, list(wanted), use_threads=False) for group in groups]
    table = pa.concat_tables(tables) if tables else parquet.read_row_groups([], list(wanted))
    table.validate(full=True)  # polars does not check that text is UTF-8
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _under(path: str, wanted: Sequence[str]) -> bool:
    return any(path == name or path.startswith(f"{name}.") for name in wanted)


def _leaf(metadata: FileMetaData, path: str) -> int | None:
    """The number of the leaf column with this path in every row group; None if there is none."""
    schema = metadata.schema
    return next((number for number in range(metadata.num_columns) if schema.column(number).path == path), None)


def leaf_sizes(metadata: FileMetaData, path: str) -> np.ndarray:
    """int64 [row groups, 2]: bytes of a leaf column in each row group, unpacked and as stored.

    Raises ValueError if there is no such column.
    """
    if (leaf := _leaf(metadata, path)) is None:
        raise ValueError(f"no column {path}")
    chunks = [metadata.row_group(number).column(leaf) for number in range(metadata.num_row_groups)]
    pairs = [(chunk.total_uncompressed_size, chunk.total_compressed_size) for chunk in chunks]
    return np.array(pairs, np.int64).reshape(-1, 2)
