"""One source shard in, its part of the corpus out: every clip and picture decoded and checked once, here.

What is taken can be read for ever after; what is not is a row with a reason (`reason`, `detail`) and is never replaced
by something else. A shard of which too much is refused is refused as a whole. It is streamed (ves.corpus.shard_reader),
so memory does not grow with it. Outputs are written whole or not at all, the part last.
"""

import hashlib
import logging
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
from ves.corpus import refusals, shard_reader
from ves.corpus.shard_reader import Chosen
from ves.media import audio, decoding, images
from ves.sources import identities
from ves.store.audio import write_group

log = logging.getLogger(__name__)

ROW_GROUP = 64  # pictures; a reader of one picture reads this many,
ROW_GROUP_BYTES = 32 << 20  # or about so many bytes
TEXTS = ("language", "district", "state", "speaker", "image_reference", "given_split")
COMMON = {"source_row": pl.UInt32} | dict.fromkeys(("source_path", "shard", "reason", "detail"), pl.String)
CLIPS = COMMON | {"clip_id": pl.String} | dict.fromkeys(TEXTS, pl.String) | {"duration_s": pl.Float64, "row": pl.UInt32}
PICTURES = COMMON | {
    "image_id": pl.String, "width": pl.UInt32, "height": pl.UInt32, "phash": pl.UInt64, "row_in_shard": pl.UInt32,
}  # fmt: skip
TRUTH = {"clip_id": pl.String, "transcript": pl.String}
STORED = pa.schema({"image_id": pa.string(), "bytes": pa.binary()})  # the file of pictures


def ingest_audio(
    corpus: CorpusSettings,
    shard: str,
    source: Path,
    store: Path,
    part: Path,
    chosen: Chosen = None,
    truth: Path | None = None,
) -> None:
    """Write the samples of a shard's clips to the group <store>/<shard> and one row per source row to `part`.

    At most `keep_seconds` of a clip are stored; `duration_s` is of the whole clip. The part also holds the hash of the
    samples, as metadata: other samples make another part, so that what follows a part also follows the group. With
    `truth`, what is said in the accepted clips (where known) is written there. Reasons: those of decoding.decode,
    `no_language`, `no_reference` (no image named), `unsafe_name`, `bad_text` (of any column, it is no UTF-8), the
    source's own. Raises ValueError if the shard is not a whole parquet file of clips, or if more than `max_refused` of
    its rows are refused.
    """
    rows: list[dict[str, Any]] = []
    accepted: list[str] = []
    limit = None if corpus.keep_seconds is None else round(corpus.keep_seconds * audio.RATE)

    def clips() -> Iterator[Int16[np.ndarray, " _"]]:
        for row in track(shard_reader.rows(source, "audio", chosen), label=f"ingest {shard}", unit=" clips"):
            encoded = row.pop("bytes")
            rows.append(_begun(row, shard))
            try:
                samples = _clip(rows[-1], encoded)
            except audio.BadAudio as refusal:
                rows[-1] |= {"reason": refusal.reason, "detail": refusal.detail}
            else:
                rows[-1]["row"] = len(accepted)
                accepted.append(rows[-1]["clip_id"])
                yield samples[:limit]
        refusals.check(shard, rows, corpus.max_refused)  # here, so that the group of a refused shard is not kept

    samples = write_group(store / shard, clips(), accepted)
    if truth is not None:
        _write_truth([row for row in rows if not row["reason"] and row["transcript"]], truth)
    _write(_frame(rows, CLIPS), part, source, samples=samples)


def ingest_images(
    corpus: CorpusSettings, shard: str, source: Path, pictures: Path, part: Path, chosen: Chosen = None
) -> None:
    """Write the bytes of a shard's pictures (each content once) to `pictures` and one row per source row to `part`.

    Reasons: those of images.decode, `no_name` (nothing can refer to it), `unsafe_name`, `bad_text`, the source's own.
    Raises as ingest_audio does.
    """
    rows: list[dict[str, Any]] = []

    places: dict[str, int] = {}  # in `pictures`, of every content by its image_id

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
    """The row of the part before it is judged: refused for now only if its source does so."""
    row |= {"shard": shard, "reason": row.pop("refused"), "detail": row.pop("refused_detail")}
    return row


def _clip(row: dict[str, Any], encoded: bytes | None) -> Int16[np.ndarray, " n"]:
    """Check one clip, fill in `clip_id` and `duration_s`, return all its samples. Raises BadAudio."""
    row["clip_id"] = hashlib.sha256(encoded).hexdigest()[:32] if encoded else None
    row["speaker"] = identities.speaker(row["speaker"])
    if row["reason"]:
        raise audio.BadAudio(row["reason"], row["detail"])
    for column in ("source_path", "image_reference"):
        if fault := refusals.unsafe(row[column]):
            raise audio.BadAudio("unsafe_name", f"{column} {row[column]!r} has {fault}")
    samples = decoding.decode(encoded or b"")
    row["duration_s"] = len(samples) / audio.RATE
    for column, reason in (("language", "no_language"), ("image_reference", "no_reference")):
        if not row[column]:
            raise audio.BadAudio(reason, f"{column} is empty")
    return samples


def _picture(row: dict[str, Any], encoded: bytes | None) -> None:
    """Check one picture, fill in its identity, size and perceptual hash. Raises BadImage."""
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
    """Stream pictures (image_id, bytes) to parquet; they are compressed as they are."""
    options = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    held: list[tuple[str, bytes]] = []
    with pq.ParquetWriter(path, STORED, **options) as writer:

        def flush() -> None:
            if held:
                writer.write_table(pa.table([pa.array(column) for column in zip(*held, strict=True)], STORED))
                held.clear()

        for picture in pictures:
            held.append(picture)
            if len(held) == ROW_GROUP or sum(len(content) for _, content in held) >= ROW_GROUP_BYTES:
                flush()
        flush()


def _frame(rows: list[dict[str, Any]], schema: dict[str, Any]) -> pl.DataFrame:
    """The columns of `schema` that rows have; those that they lack are null."""
    return pl.DataFrame({name: [row.get(name) for row in rows] for name in schema}, schema)


def _write_truth(said: list[dict[str, Any]], path: Path) -> None:
    with atomic(path) as temporary:
        _frame(said, TRUTH).write_parquet(temporary)


def _write(frame: pl.DataFrame, part: Path, source: Path, **metadata: str) -> None:
    """Write a part, with metadata of the file, and log how many rows were refused, and why."""
    left = shard_reader.count(source) - len(frame)
    log.info("%s: %s%s", part, refusals.summary(frame), f", {left} not chosen" if left else "")
    with atomic(part) as temporary:
        frame.write_parquet(temporary, metadata=metadata)
