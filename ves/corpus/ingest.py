"""From one source shard to its part of the corpus. Every clip and picture is decoded and checked here, once.

What is accepted can always be read later. What is refused is a row with a `reason` and a `detail`, and nothing takes
its place. If too many rows are refused, the whole shard is. The shard is streamed (ves.corpus.shard_reader), so memory
does not grow with its size. Outputs are written whole or not at all, the part last.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int16

from ves.base.files import atomic
from ves.base.progress import track
from ves.config.corpus import CorpusSettings
from ves.corpus import recordings, refusals, shard_reader
from ves.corpus.shard_reader import Chosen
from ves.media import audio, decoding, images
from ves.sources import identities
from ves.store.audio import write_group

log = logging.getLogger(__name__)

ROW_GROUP = 64  # pictures at most; to read one picture, its whole row group is read
ROW_GROUP_BYTES = 32 << 20  # or about this many bytes
TEXTS = ("language", "district", "state", "speaker", "image_reference", "given_split")
COMMON = {"source_row": pl.UInt32} | dict.fromkeys(("source_path", "shard", "reason", "detail"), pl.String)
CLIPS = COMMON | {"clip_id": pl.String} | dict.fromkeys(TEXTS, pl.String) | {"duration_s": pl.Float64, "row": pl.UInt32}
PICTURES = COMMON | {
    "image_id": pl.String, "width": pl.UInt32, "height": pl.UInt32, "phash": pl.UInt64, "row_in_shard": pl.UInt32,
}  # fmt: skip
TRUTH = {"clip_id": pl.String, "transcript": pl.String}
PICTURE_FILE = pa.schema({"image_id": pa.string(), "bytes": pa.binary()})


def ingest_audio(
    corpus: CorpusSettings,
    shard: str,
    source: Path,
    store: Path,
    part: Path,
    chosen: Chosen = None,
    truth: Path | None = None,
) -> None:
    """Write the samples of a shard's clips to the group <store>/<shard>, and one row for each source row to `part`.

    At most `keep_seconds` of a clip are stored; `duration_s` is the length of the whole clip. The metadata of the part
    has the hash of the samples, so that other samples make another part, and steps that depend on a part also depend on
    its group. The known transcripts of accepted clips are written to `truth`, if it is given. The reasons are those of
    decoding.decode, `no_language`, `no_reference` (no image named), `unsafe_name`, `bad_text` (a column is not UTF-8),
    `bad_segment` and `bad_frames` (ves.corpus.recordings), and the source's own. Raises ValueError if the shard is not
    a complete parquet file of clips, or if more than `max_refused` of its rows are refused.
    """
    rows: list[dict[str, Any]] = []
    accepted: list[str] = []
    repairs: Counter[str] = Counter()
    limit = None if corpus.keep_seconds is None else round(corpus.keep_seconds * audio.RATE)

    def clips() -> Iterator[Int16[np.ndarray, " _"]]:
        for row in track(shard_reader.rows(source, "audio", chosen), label=f"ingest {shard}", unit=" clips"):
            encoded = row.pop("bytes")
            rows.append(_begun(row, shard))
            try:
                clip = _clip(rows[-1], encoded)
            except audio.BadAudio as refusal:
                rows[-1] |= {"reason": refusal.reason, "detail": refusal.detail}
                rows[-1] |= dict.fromkeys(recordings.COLUMNS.keys() & rows[-1].keys())  # they need not be possible
            else:
                rows[-1]["row"] = len(accepted)
                accepted.append(rows[-1]["clip_id"])
                repairs.update(clip.repairs)
                yield clip.samples[:limit]
        refusals.check(shard, rows, corpus.max_refused)  # here, so that the group of a refused shard is not kept

    samples = write_group(store / shard, clips(), accepted)
    if truth is not None:
        _write_truth([row for row in rows if not row["reason"] and row["transcript"]], truth)
    extra = recordings.COLUMNS if rows and recordings.COLUMNS.keys() <= rows[0].keys() else {}
    _write(_frame(rows, CLIPS | extra), part, source, samples=samples)
    for repair, count in sorted(repairs.items()):
        log.info("%s: of %d clips: %s", part, count, repair)


def ingest_images(
    corpus: CorpusSettings, shard: str, source: Path, pictures: Path, part: Path, chosen: Chosen = None
) -> None:
    """Write the files of a shard's pictures (each content once) to `pictures`, and a row for each source row to `part`.

    The reasons are those of images.decode, `no_name` (nothing can refer to it), `unsafe_name`, `bad_text`, and the
    source's own. Raises as ingest_audio does.
    """
    rows: list[dict[str, Any]] = []

    places: dict[str, int] = {}  # image_id -> row in `pictures`

    def accepted() -> Iterator[tuple[str, bytes]]:
        for row in track(shard_reader.rows(source, "image", chosen), label=f"ingest {shard}", unit=" pictures"):
            encoded = row.pop("bytes")
            rows.append(_begun(row, shard))
            try:
                _picture(rows[-1], encoded)
            except images.BadImage as refusal:
                rows[-1] |= {"reason": refusal.reason, "detail": refusal.detail}
                continue
            if (image_id := rows[-1]["image_id"]) not in places:
                places[image_id] = len(places)
                yield image_id, encoded
            rows[-1]["row_in_shard"] = places[image_id]
        refusals.check(shard, rows, corpus.max_refused)

    with atomic(pictures) as temporary:
        _write_pictures(temporary, accepted())
    _write(_frame(rows, PICTURES), part, source)


def _begun(row: dict[str, Any], shard: str) -> dict[str, Any]:
    """The row of the part before its checks; it has a reason only if the source itself refuses it."""
    row |= {"shard": shard, "reason": row.pop("refused"), "detail": row.pop("refused_detail")}
    return row


def _clip(row: dict[str, Any], encoded: bytes | None) -> decoding.Clip:
    """Check one clip, fill in `clip_id` and `duration_s`, and return all its samples. Raises BadAudio."""
    row["clip_id"] = hashlib.sha256(encoded).hexdigest()[:32] if encoded else None
    row["speaker"] = identities.speaker(row["speaker"])
    if row["reason"]:
        raise audio.BadAudio(row["reason"], row["detail"])
    for column in ("source_path", "image_reference"):
        if fault := refusals.unsafe(row[column]):
            raise audio.BadAudio("unsafe_name", f"{column} {row[column]!r} has {fault}")
    clip = decoding.decode_clip(encoded or b"")
    row["duration_s"] = len(clip.samples) / audio.RATE
    for column, reason in (("language", "no_language"), ("image_reference", "no_reference")):
        if not row[column]:
            raise audio.BadAudio(reason, f"{column} is empty")
    if fault := recordings.fault(row):
        raise audio.BadAudio(*fault)
    return clip


def _picture(row: dict[str, Any], encoded: bytes | None) -> None:
    """Check one picture, and fill in its id, size and perceptual hash. Raises BadImage."""
    row["image_id"] = hashlib.sha256(encoded).hexdigest() if encoded else None
    if row["reason"]:
        raise images.BadImage(row["reason"], row["detail"])
    if fault := refusals.unsafe(row["source_path"]):
        raise images.BadImage("unsafe_name", f"image.path {row['source_path']!r} has {fault}")
    picture = images.decode(encoded or b"")
    row["width"], row["height"] = picture.size
    row["phash"] = images.phash(picture)
    if not row["source_path"]:
        raise images.BadImage("no_name", f"image.path is {row['source_path']!r}")


def _write_pictures(path: Path, pictures: Iterator[tuple[str, bytes]]) -> None:
    """Stream pictures (image_id, bytes) to parquet, uncompressed: they are compressed files."""
    options = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    group: list[tuple[str, bytes]] = []
    with pq.ParquetWriter(path, PICTURE_FILE, **options) as writer:

        def flush() -> None:
            if group:
                columns = [pa.array(column) for column in zip(*group, strict=True)]
                writer.write_table(pa.table(columns, PICTURE_FILE))
                group.clear()

        for picture in pictures:
            group.append(picture)
            if len(group) == ROW_GROUP or sum(len(content) for _, content in group) >= ROW_GROUP_BYTES:
                flush()
        flush()


def _frame(rows: list[dict[str, Any]], schema: dict[str, Any]) -> pl.DataFrame:
    """A frame of `schema` from rows; columns that a row lacks are null."""
    return pl.DataFrame({name: [row.get(name) for row in rows] for name in schema}, schema)


def _write_truth(rows: list[dict[str, Any]], path: Path) -> None:
    with atomic(path) as temporary:
        _frame(rows, TRUTH).write_parquet(temporary)


def _write(frame: pl.DataFrame, part: Path, source: Path, **metadata: str) -> None:
    """Write a part with its metadata, and log how many rows were refused and why."""
    left = shard_reader.count(source) - len(frame)
    log.info("%s: %s%s", part, refusals.summary(frame), f", {left} not chosen" if left else "")
    with atomic(part) as temporary:
        frame.write_parquet(temporary, metadata=metadata)
