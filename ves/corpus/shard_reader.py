"""Streams the rows of a source shard. The file is never in memory as a whole, however large its row groups are.

A row group of Vaani may be the whole shard, 500 MB, so it is read page by page. Columns are identified by name
(ves.sources.columns), and a footer with impossible sizes is refused before anything is read.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, UInt32

from ves.base import parquet
from ves.corpus import recordings
from ves.sources import columns
from ves.sources.chosen_rows import chosen_entry

BATCH = 64  # rows in memory at most
BATCH_BYTES = 16 << 20  # and about this many bytes
BUFFER = 1 << 20  # bytes read at a time
LARGEST_GROUP = 8 << 30  # bytes of a row group, unpacked: sixteen of Vaani's shards
LARGEST_RATIO = 100  # of unpacked to packed size; sound and pictures hardly shrink at all
Chosen = UInt32[np.ndarray, " n"] | None  # numbers of the rows to take, ascending; None for all
REFUSAL = ("refused", "refused_detail")  # why the source itself refuses a row
CLIP_TEXTS = ("language", "district", "state", "speaker", "image_reference", "given_split", "transcript")
TEXTS = {"audio": CLIP_TEXTS + REFUSAL, "image": REFUSAL}
REQUIRED = {"audio": ("language", "image_reference"), "image": ()}


def count(source: Path) -> int:
    """The number of rows of a shard, by its footer. Raises ValueError as `rows` does."""
    with _naming(source), pq.ParquetFile(source) as file:
        return file.metadata.num_rows


def chosen_rows(listing: Path, shard: dict[str, Any]) -> Chosen:
    """The numbers of the chosen rows of a shard (an entry of `listing`), ascending; None if all are chosen.

    They are in the folder `chosen` beside the listing, which has their number and hash. Raises ValueError that names
    the file if it belongs to another choice.
    """
    if (expected := shard.get("chosen")) is None:
        return None
    path = listing.parent / f"chosen/{shard['name']}.parquet"
    numbers = parquet.read(path, ["source_row"])["source_row"].cast(pl.UInt32).to_numpy()
    if chosen_entry(numbers) != expected:
        raise ValueError(
            f"{path}: {len(numbers)} rows, not the {expected['rows']} of {listing}; delete the listing and run again: "
            "both are written together"
        )
    return numbers


def rows(source: Path, media: str, chosen: Chosen = None) -> Iterator[dict[str, Any]]:
    """The rows of a shard in order: source_row, bytes and source_path (of the struct column `media`), and its TEXTS.

    `media` is "audio" or "image". If `chosen` is given, only those rows are read. Texts are stripped; they are null if
    empty or if their column is missing. If a shard of clips has any of the columns of ves.corpus.recordings, its rows
    have recording_id, segment and frames too, unchecked. A row with an unreadable text has only `refused` and
    `refused_detail`. Raises ValueError that names the file if it is incomplete, not such a shard, a decompression bomb,
    or has fewer rows than were chosen.
    """
    with _naming(source), pq.ParquetFile(source, pre_buffer=False, buffer_size=BUFFER) as file:
        _check_sizes(source, file.metadata)
        names = _columns(source, file.schema_arrow, media)
        wanted = _wanted(source, file.metadata.num_rows, chosen)
        projection = [f"{names[media]}.{field}" for field in ("bytes", "path")]
        projection += [name for ours, name in names.items() if ours != media]
        start = 0
        for group in range(file.num_row_groups):
            stop = start + file.metadata.row_group(group).num_rows
            if wanted[start:stop].any():
                batches = file.iter_batches(
                    _batch_rows(file.metadata.row_group(group)), [group], projection, use_threads=False
                )
                yield from _of_group(batches, names, media, start, wanted)
            start = stop


def _of_group(batches, names: dict[str, str], media: str, start: int, wanted: Bool[np.ndarray, " n"]):
    """The wanted rows of the batches of one row group, which begins at row `start` of the file."""
    for batch in batches:
        places = np.flatnonzero(wanted[start : start + len(batch)])
        for place in places.tolist():
            try:
                row = _row(batch, names, media, place)
            except ValueError as error:  # text that is no UTF-8, a time that Python cannot hold
                row = dict.fromkeys(("bytes", "source_path", *TEXTS[media], *_of_recordings(names)))
                row |= {"refused": "bad_text", "refused_detail": str(error)}
            yield {"source_row": start + place} | row
        start += len(batch)


def _row(batch: pa.RecordBatch, names: dict[str, str], media: str, place: int) -> dict[str, Any]:
    """One row of a batch. Raises ValueError for a cell that does not match the type of its column."""
    file = batch[names[media]][place].as_py() or {}
    path = file.get("path")
    row = {"bytes": file.get("bytes"), "source_path": None if path is None else str(path)}
    for ours in (*TEXTS[media], *_of_recordings(names)):
        cell = batch[names[ours]][place].as_py() if ours in names else None
        row[ours] = READ_AS.get(ours, _text)(cell)
    return row


def _of_recordings(names: dict[str, str]) -> tuple[str, ...]:
    """The columns about recordings, all or none, whichever of them the shard has."""
    return tuple(recordings.COLUMNS) if names.keys() & recordings.COLUMNS.keys() else ()


def _text(value: Any) -> str | None:
    """A cell as text, NaN as none. Numbers become text; 17.0, as pandas writes 17 beside a null, becomes 17."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return None if value is None else str(value).strip() or None


def _number(value: int | float | None) -> int | float | None:
    """A cell as a number, NaN as none; 17.0 is 17."""
    if value is None or math.isnan(value):
        return None
    return int(value) if float(value).is_integer() else value


def _texts(value: list[Any] | None) -> list[str | None] | None:
    """A cell as texts."""
    return None if value is None else [_text(one) for one in value]


READ_AS: dict[str, Callable[[Any], Any]] = {"segment": _number, "frames": _texts}  # other columns are read as text


def _check_sizes(source: Path, metadata: pq.FileMetaData) -> None:
    """Raise ValueError if the footer claims more than such a file can contain: a decompression bomb."""
    sizes = [metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)]
    if max(sizes, default=0) > LARGEST_GROUP or sum(sizes) > LARGEST_RATIO * source.stat().st_size:
        raise ValueError(
            f"{source}: its footer claims that {source.stat().st_size} bytes unpack to {sum(sizes)}; the limits are "
            f"{LARGEST_RATIO} times, and {LARGEST_GROUP} in a row group; it is damaged, or made to fill the memory"
        )


def _columns(source: Path, schema: pa.Schema, media: str) -> dict[str, str]:
    """Our name and the source's own of every column. Raises ValueError for one that is missing or of a wrong type."""
    present = ", ".join(schema.names) or "none"
    column = columns.media_column(schema.names, media, str(source))
    if column is None:
        raise ValueError(f"{source}: no column {media} of bytes and path; it has {present}")
    _check_media(source, column, schema.field(column).type)
    known = columns.find(schema.names, str(source))
    names = {ours: name for ours, name in known.items() if ours in TEXTS[media]}
    for ours in REQUIRED[media]:
        if ours not in names:
            accepted = " or ".join(columns.NAMES[ours])
            raise ValueError(f"{source}: no column for the {ours}, called {accepted}; it has {present}")
    for name in names.values():
        kind = schema.field(name).type
        if pa.types.is_nested(kind) or _is_bytes(kind):
            raise ValueError(f"{source}: column {name} is {kind}; it has to be text or numbers")
    return {media: column} | names | (recordings.columns_of(source, schema, known) if media == "audio" else {})


def _check_media(source: Path, column: str, kind: pa.DataType) -> None:
    """Raise ValueError, which says what it is instead, unless a column is a struct of a file's bytes and path."""
    fields = {field.name: field.type for field in kind} if pa.types.is_struct(kind) else {}
    if not {"bytes", "path"} <= set(fields):
        decoded = pa.types.is_list(kind) or pa.types.is_large_list(kind) or "array" in fields
        what = "has decoded samples or pixels" if decoded else f"is {kind}"
        raise ValueError(
            f"{source}: column {column} {what}; it has to be a struct of bytes (a whole file) and path, as datasets "
            "writes Audio(decode=False) and Image(decode=False)"
        )
    if not (_is_bytes(fields["bytes"]) or pa.types.is_null(fields["bytes"])):
        raise ValueError(f"{source}: column {column}.bytes is {fields['bytes']}; it has to be binary, a whole file")
    if pa.types.is_nested(fields["path"]) or _is_bytes(fields["path"]):
        raise ValueError(f"{source}: column {column}.path is {fields['path']}; it has to be text")


def _is_bytes(kind: pa.DataType) -> bool:
    tests = pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary
    return any(test(kind) for test in tests)


def _wanted(source: Path, number: int, chosen: Chosen) -> Bool[np.ndarray, " rows"]:
    """Which rows of the file are to be read."""
    if chosen is None:
        return np.ones(number, bool)
    wanted = np.zeros(number, bool)
    if len(chosen) and chosen.max() >= number:
        raise ValueError(
            f"{source}: row {chosen.max()} was chosen, but it has {number} rows; it is not the file that was surveyed"
        )
    wanted[chosen] = True
    return wanted


def _batch_rows(group: pq.RowGroupMetaData) -> int:
    """How many rows to read at a time: fewer if they are large."""
    return max(1, min(BATCH, BATCH_BYTES * group.num_rows // max(group.total_byte_size, 1)))


@contextmanager
def _naming(source: Path) -> Iterator[None]:
    """Turn errors of pyarrow into ValueError that names the file."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # an error of the disk, not of the file's content
            raise
        what = " ".join(str(error).split())
        raise ValueError(f"{source}: not a complete parquet file ({what}); delete it and run again") from error
