"""One source shard in, its part of the corpus out: every clip and picture decoded and checked once, here.

What is taken can be read for ever after; what is not is a row with a reason (`reason`, `detail`) and is never replaced
by something else. Source columns are read by name; absent ones (they differ between districts and revisions) are null.
The shard is streamed, so memory stays at a few row groups. Outputs are written whole or not at all, the part last.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Int16

from ves import audio, images, parquet
from ves.audio_store import write_group
from ves.corpus_config import CorpusConfig
from ves.files import atomic
from ves.progress import track

log = logging.getLogger(__name__)

BATCH = 64  # rows in memory as Python objects
ROW_GROUP = 64  # pictures; a reader of one picture reads this many
UNKNOWN_SPEAKERS = ("", "NA")
TEXTS = {  # column of the part: column of the source
    "language": "language",
    "district": "district",
    "state": "state",
    "speaker": "speakerID",
    "image_reference": "referenceImage",
    "given_split": "givenSplit",
}
REFUSAL = {"reason": "refused", "detail": "refusedDetail"}  # why the source itself refuses a row, if it does
COMMON = {"source_row": pl.UInt32} | dict.fromkeys(("source_path", "shard", "reason", "detail"), pl.String)
CLIPS = COMMON | {"clip_id": pl.String} | dict.fromkeys(TEXTS, pl.String) | {"duration_s": pl.Float64, "row": pl.UInt32}
PICTURES = COMMON | {
    "image_id": pl.String, "width": pl.UInt32, "height": pl.UInt32, "phash": pl.UInt64, "row_in_shard": pl.UInt32,
}  # fmt: skip


def ingest_audio(corpus: CorpusConfig, shard: str, source: Path, store: Path, part: Path) -> None:
    """Write the samples of a shard's clips to the group <store>/<shard> and one row per source row to `part`.

    At most `keep_seconds` of a clip are stored; `duration_s` is of the whole clip. The part also holds the hash of the
    samples, as metadata: other samples make another part, so that what follows a part also follows the group. Reasons:
    those of audio.decode, `no_language`, `no_reference` (no image named), the source's own (REFUSAL). Raises
    ValueError if the shard is not a whole parquet file of clips.
    """
    rows: list[dict[str, Any]] = []
    accepted: list[str] = []
    limit = None if corpus.keep_seconds is None else round(corpus.keep_seconds * audio.RATE)

    def clips() -> Iterator[Int16[np.ndarray, " _"]]:
        for row in track(_rows(source, "audio"), label=f"ingest {shard}", unit=" clips"):
            encoded = row.pop("bytes")
            rows.append(row | {"shard": shard})
            try:
                samples = _clip(rows[-1], encoded)
            except audio.BadAudio as refusal:
                rows[-1] |= {"reason": refusal.reason, "detail": refusal.detail}
            else:
                rows[-1]["row"] = len(accepted)
                accepted.append(rows[-1]["clip_id"])
                yield samples[:limit]

    samples = write_group(store / shard, clips(), accepted)
    _write(pl.DataFrame(rows, schema=CLIPS), part, samples=samples)


def ingest_images(corpus: CorpusConfig, shard: str, source: Path, pictures: Path, part: Path) -> None:
    """Write the bytes of a shard's pictures (each content once) to `pictures` and one row per source row to `part`.

    Reasons: those of images.decode, `no_name` (nothing can refer to it), the source's own. Raises as ingest_audio does.
    """
    rows: list[dict[str, Any]] = []
    taken: dict[str, int] = {}  # image_id: source row; its place in `pictures` is its place here
    for row in track(_rows(source, "image"), label=f"ingest {shard}", unit=" pictures"):
        encoded = row.pop("bytes")
        rows.append({key: row[key] for key in ("source_row", "source_path", *REFUSAL)} | {"shard": shard})
        try:
            _picture(rows[-1], encoded)
        except images.BadImage as refusal:
            rows[-1] |= {"reason": refusal.reason, "detail": refusal.detail}
        else:
            taken.setdefault(rows[-1]["image_id"], row["source_row"])
    places = {image_id: place for place, image_id in enumerate(taken)}
    for row in rows:
        row["row_in_shard"] = None if row.get("reason") else places[row["image_id"]]
    chosen = pl.LazyFrame([*taken.items()], {"image_id": pl.String, "source_row": pl.UInt32}, orient="row")
    scan = pl.scan_parquet(source, row_index_name="source_row")
    scan = scan.join(chosen, on="source_row", maintain_order="left")
    with atomic(pictures) as temporary:
        scan.select("image_id", pl.col("image").struct.field("bytes")).sink_parquet(
            temporary, row_group_size=ROW_GROUP, compression="uncompressed", statistics=False
        )
    _write(pl.DataFrame(rows, schema=PICTURES), part)


def _clip(row: dict[str, Any], encoded: bytes | None) -> Int16[np.ndarray, " n"]:
    """Check one clip, fill in `clip_id` and `duration_s`, return all its samples. Raises BadAudio."""
    row["clip_id"] = hashlib.sha256(encoded).hexdigest()[:32] if encoded else None
    if row["speaker"] in UNKNOWN_SPEAKERS:
        row["speaker"] = None
    if row["reason"]:
        raise audio.BadAudio(row["reason"], row["detail"])
    samples = audio.decode(encoded or b"")
    row["duration_s"] = len(samples) / audio.RATE
    for column, reason in (("language", "no_language"), ("image_reference", "no_reference")):
        if not row[column]:
            raise audio.BadAudio(reason, f"{TEXTS[column]} is {row[column]!r}")
    return samples


def _picture(row: dict[str, Any], encoded: bytes | None) -> None:
    """Check one picture, fill in its identity, size and perceptual hash. Raises BadImage."""
    row["image_id"] = hashlib.sha256(encoded).hexdigest() if encoded else None
    if row["reason"]:
        raise images.BadImage(row["reason"], row["detail"])
    picture = images.decode(encoded or b"")
    row["width"], row["height"] = picture.size
    row["phash"] = images.phash(picture)
    if not row["source_path"]:
        raise images.BadImage("no_name", f"image.path is {row['source_path']!r}")


def _rows(source: Path, media: str) -> Iterator[dict[str, Any]]:
    """The rows of a shard: source_row, bytes and source_path from the struct column `media`, texts (stripped)."""
    with parquet.naming(source):
        scan = pl.scan_parquet(source)
        schema = scan.collect_schema()
        struct = schema.get(media)
        if not isinstance(struct, pl.Struct) or not {"bytes", "path"} <= {field.name for field in struct.fields}:
            raise ValueError(f"{source}: no column {media} of bytes and path; it has {', '.join(schema.names())}")
        columns = [pl.col(media).struct.field("bytes"), pl.col(media).struct.field("path").alias("source_path")]
        for name, column in (TEXTS | REFUSAL).items():
            text = pl.col(column) if column in schema.names() else pl.lit(None)
            columns.append(text.cast(pl.String).str.strip_chars().alias(name))
        number = 0
        for batch in scan.select(columns).collect_batches(chunk_size=BATCH, maintain_order=True):
            for row in batch.iter_rows(named=True):
                yield row | {"source_row": number}
                number += 1


def _write(frame: pl.DataFrame, part: Path, **metadata: str) -> None:
    """Write a part, with metadata of the file, and log how many rows were refused, and why."""
    refused = Counter(frame["reason"].drop_nulls().to_list())
    reasons = ", ".join(f"{reason} {n}" for reason, n in refused.most_common())
    log.info("%s: %d rows, %d refused%s", part, len(frame), refused.total(), f" ({reasons})" if reasons else "")
    with atomic(part) as temporary:
        frame.write_parquet(temporary, metadata=metadata)
