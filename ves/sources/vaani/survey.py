"""The survey of Vaani: the parquet footers and text columns of its files, read without downloading the files.

The choice of clips and the plan are made from it, before any download. No audio and no picture is requested. Each
surveyed file has its own table, so an interrupted survey resumes.
"""

import json
import logging
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow.parquet import ParquetFile

from ves.base.files import atomic, write_json
from ves.base.progress import track
from ves.config.corpus import SurveyConfig
from ves.sources import columns
from ves.sources.hub import footers
from ves.sources.hub.remote import RemoteFile
from ves.sources.vaani import listing

log = logging.getLogger(__name__)

READERS = 16  # files at a time; most of the time is waiting
MEDIA = {"audio": "audio", "images": "image"}  # the column with the files themselves, for each part
TEXTS = ("language", "district", "state", "speaker", "image_reference")
NEEDED = ("language", "image_reference")
WAV_HEADER, BYTES_PER_S = 44, 32_000  # of 16 kHz 16-bit mono


def survey(settings: SurveyConfig, folder: Path, out: Path) -> None:
    """Write a table <folder>/<name>.parquet for every file that `settings` chooses, then the summary `out`.

    An existing table of a file with the same sha256 is kept, without a request. Raises ValueError that names a file
    which is not parquet or lacks Vaani's columns, ves.sources.hub.download.HubError if the hub fails.
    """
    listed = listing.list_shards(settings)
    entries: list[dict[str, Any]] = []
    requests = fetched = kept = 0
    with ThreadPoolExecutor(READERS) as pool:
        futures = [pool.submit(_file, settings, shard, folder / f"{shard['name']}.parquet") for shard in listed]
        try:
            for future in track(as_completed(futures), label="survey", total=len(futures), unit=" files"):
                entry, new_requests, new_bytes = future.result()
                entries.append(entry)
                requests, fetched, kept = requests + new_requests, fetched + new_bytes, kept + (new_requests == 0)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    place = {shard["name"]: number for number, shard in enumerate(listed)}
    entries.sort(key=lambda entry: place[entry["name"]])
    write_json(out, {"repository": settings.repository, "revision": settings.commit(), "files": entries})
    stored = sum(entry["bytes"] for entry in entries)
    log.info(
        "%s: %d files of %.1f GB, %d rows; %d files were surveyed before, the others took %d requests and %.1f MB",
        out, len(entries), stored / 1e9, sum(entry["rows"] for entry in entries), kept, requests, fetched / 1e6,
    )  # fmt: skip


def _file(settings: SurveyConfig, shard: dict[str, Any], table: Path) -> tuple[dict[str, Any], int, int]:
    """The summary's entry of one file, and the requests and bytes it took; both are 0 if its table exists."""
    if (entry := _known(table, shard)) is not None:
        return entry, 0, 0
    path = shard["path"]
    with RemoteFile(settings.repository, settings.commit(), path, shard["bytes"]) as file:
        with footers.naming(path):
            parquet = footers.open_footer(file)
            media = footers.media_column(parquet, MEDIA[shard["part"]], path)
            sizes = footers.leaf_sizes(parquet.metadata, f"{media}.bytes")
            reader = {"audio": _clips, "images": _pictures}[shard["part"]]
            frame = reader(file, parquet, media, sizes[:, 0])
        entry = shard | {
            "rows": parquet.metadata.num_rows,
            "media_bytes": int(sizes[:, 0].sum()),
            "media_bytes_stored": int(sizes[:, 1].sum()),
            "columns": {field.name: str(field.type) for field in parquet.schema_arrow},
            "row_groups": parquet.metadata.num_row_groups,
        }
        with atomic(table) as temporary:
            frame.write_parquet(temporary, metadata={"sha256": shard["sha256"], "entry": json.dumps(entry)})
        return entry, file.requests, file.fetched


def _known(table: Path, shard: dict[str, Any]) -> dict[str, Any] | None:
    """The entry of a file that was surveyed before; None if it was not, or has changed since."""
    if not table.is_file():
        return None
    try:
        metadata = pl.read_parquet_metadata(table)
        entry = json.loads(metadata["entry"]) if metadata["sha256"] == shard["sha256"] else None
    except (pl.exceptions.PolarsError, KeyError, ValueError):  # damaged: survey it anew
        return None
    return None if entry is None else entry | shard


def _wanted(schema: pa.Schema, source: str) -> dict[str, str]:
    """The text columns and the duration: our names and the source's. Raises ValueError if one of NEEDED is missing, and
    for a column of lists, structs or bytes."""
    present = columns.find(schema.names, source)
    for ours in NEEDED:
        if ours not in present:
            names, has = " or ".join(columns.NAMES[ours]), ", ".join(schema.names)
            raise ValueError(f"{source}: no column {names}; it has {has}")
    wanted = {ours: present[ours] for ours in (*TEXTS, "duration_s") if ours in present}
    for column in wanted.values():
        kind = schema.field(column).type
        if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            raise ValueError(f"{source}: column {column} is {kind}; it has to be text or a number")
    return wanted


def _clips(file: RemoteFile, parquet: ParquetFile, media: str, sizes: np.ndarray) -> pl.DataFrame:
    """The rows of a shard of clips; `sizes` are the bytes of audio in each row group."""
    wanted = _wanted(parquet.schema_arrow, file.name)
    rows = footers.read(file, parquet, list(wanted.values()))
    texts = [
        pl.col(wanted[ours]).cast(pl.String).str.strip_chars().alias(ours) if ours in wanted
        else pl.lit(None, pl.String).alias(ours)
        for ours in TEXTS
    ]  # fmt: skip
    # a temporal column is ignored: cast to a number, it has lost its unit
    has_seconds = "duration_s" in wanted and not rows[wanted["duration_s"]].dtype.is_temporal()
    duration = pl.col(wanted["duration_s"]) if has_seconds else pl.lit(None)
    metadata = parquet.metadata
    counts = np.array([metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)], np.int64)
    means = np.maximum(sizes - WAV_HEADER * counts, 0) / BYTES_PER_S / np.maximum(counts, 1)
    frame = rows.select(*texts, duration.cast(pl.Float64, strict=False).alias("duration_s"))
    return _numbered(frame.with_columns(pl.Series("estimated_s", np.repeat(means, counts), pl.Float64)))


def _pictures(file: RemoteFile, parquet: ParquetFile, media: str, sizes: np.ndarray) -> pl.DataFrame:
    """The rows of a shard of pictures."""
    rows = footers.read(file, parquet, [f"{media}.path"])
    return _numbered(rows.select(source_path=pl.col(media).struct.field("path").cast(pl.String)))


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_row_index("source_row").with_columns(pl.col("source_row").cast(pl.UInt32))
