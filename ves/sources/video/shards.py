"""Films as shards in Vaani's layout: `files_per_shard` films are one shard of sound and one of pictures.

Both are written together, because a film is decoded once. Clips of one film share its `recordingID`; `frames` has the
names of a clip's pictures in order of time, `referenceImage` the one in the middle of these. Pictures with the same
bytes are one row. They are kept as JPEG: what a film has stored is not exact either, and lossless files of it are
several times larger (docs/films.md). Labels go to the truth, which only evaluation opens.
"""

import hashlib
import io
import logging
import os
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from ves.base.files import atomic
from ves.base.progress import track
from ves.config.corpus import VideoConfig
from ves.media.audio import RATE
from ves.media.film_events import BadFilm
from ves.media.segments import Cut, Refusal, Segment, cut
from ves.sources.video.folder import FilmFile, films, report_faults

log = logging.getLogger(__name__)

QUALITY = 92  # of the JPEGs
WHOLE = -1  # in place of the number of a segment: the whole film is refused
ROWS = 64  # of a row group, and in memory
FILE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_REFUSAL = [("refused", pa.string()), ("refusedDetail", pa.string())]
AUDIO = pa.schema([
    ("audio", FILE), ("language", pa.string()), ("referenceImage", pa.string()), ("givenSplit", pa.string()),
    ("recordingID", pa.string()), ("segment", pa.int32()), ("frames", pa.list_(pa.string())), *_REFUSAL,
])  # fmt: skip
IMAGES = pa.schema([("image", FILE)])
TRUTH = pa.schema([
    ("source_path", pa.string()), ("recordingID", pa.string()), ("segment", pa.int32()), ("label", pa.string()),
])  # fmt: skip


def how(settings: VideoConfig) -> Cut:
    """How the settings cut a film."""
    return Cut(segment_s=settings.segment_s, frames=settings.frames, side=settings.side, middle=settings.at == "middle")


def groups(settings: VideoConfig) -> dict[str, list[FilmFile]]:
    """The films of every group that is cut by one job, by the group's name. Raises ValueError as `films` does."""
    found, size = films(settings), settings.files_per_shard
    return {f"films-{start:08d}": found[start : start + size] for start in range(0, len(found), size)}


def list_shards(settings: VideoConfig) -> list[dict[str, Any]]:
    """Every shard, clips first; what cannot be used is logged. Raises ValueError as `films` does."""
    found = groups(settings)
    report_faults([film for group in found.values() for film in group])
    return [
        {"name": f"{part}/{name}", "part": part, "bytes": None, "sha256": None}
        for part in ("audio", "images")
        for name in found
    ]


def origins(settings: VideoConfig) -> dict[str, str]:
    """What the content of each shard depends on, as a hash by name: how films are cut, what is said of each of its
    films, and their sizes and times."""
    cutting = settings.model_dump_json(exclude={"folder", "table", "files_per_shard"})
    hashes = {}
    for name, group in groups(settings).items():
        digest = hashlib.sha256(cutting.encode())
        for film in group:
            digest.update(f"{film}\n".encode())
            if film.fault is None:
                status = os.stat(f"{settings.folder}/{film.name}")
                digest.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())
        hashes |= {f"{part}/{name}": digest.hexdigest() for part in ("audio", "images")}
    return hashes


def fetch(settings: VideoConfig, group: str, audio: Path, images: Path, truth: Path) -> None:
    """Cut a group of films into a shard of sound, one of pictures, and the labels of the clips (parquet).

    Each file is whole or absent. Raises ValueError if the folder has no such group, OSError that names a film which
    cannot be read.
    """
    known = groups(settings)
    if group not in known:
        raise ValueError(f"no group {group!r}: the films of {settings.folder} make {len(known)}; list them again")
    names: dict[bytes, str] = {}  # of the pictures, by their hash
    refused: Counter[str] = Counter()
    with _table(audio, AUDIO) as clips, _table(images, IMAGES) as pictures, _table(truth, TRUTH) as labels:
        for film in track(known[group], label=group, unit=" films"):
            for piece in pieces(settings, film):
                row = _begun(settings, film, piece)
                if isinstance(piece, Refusal):
                    refused[piece.reason] += 1
                    clips({**row, "refused": piece.reason, "refusedDetail": piece.detail})
                    continue
                for number, encoded in enumerate(piece.pictures):
                    if (key := hashlib.sha256(encoded).digest()) not in names:
                        names[key] = f"{clip_name(film, piece)}_{number:03d}.jpg"
                        pictures({"image": {"bytes": encoded, "path": names[key]}})
                frames = [names[hashlib.sha256(encoded).digest()] for encoded in piece.pictures]
                row["audio"]["bytes"] = wav(piece.samples)
                clips({**row, "referenceImage": frames[len(frames) // 2], "frames": frames})
                ours = {key: row[key] for key in ("recordingID", "segment")}
                labels({"source_path": row["audio"]["path"], **ours, "label": film.label})
    log.info("%s: refused: %s", group, ", ".join(f"{reason} {n}" for reason, n in sorted(refused.items())) or "none")


def pieces(settings: VideoConfig, film: FilmFile) -> Iterator[Segment[bytes] | Refusal]:
    """The segments of a film with JPEGs, whole or refused; one refusal for a film that has none.

    Refusals are those of `folder.films`, `cut` and BadFilm, and `long_segment` for a file that is no single segment.
    """
    if film.fault is not None:
        yield Refusal(WHOLE, 0.0, *film.fault)
        return
    path = Path(settings.folder, film.name)
    try:
        found = cut(path, how(settings), jpeg)
        yield from found if film.segment is None else _only(found, film.segment, settings.segment_s)
    except BadFilm as error:
        yield Refusal(WHOLE, 0.0, error.reason, error.detail)


def _only(found: Iterator[Segment[bytes] | Refusal], number: int, segment_s: float) -> Iterator[Any]:
    """The one segment of a file, under its own number."""
    first, second = next(found), next(found, None)
    if isinstance(second, Segment) or (second is not None and second.reason == "short_tail"):
        detail = f"it goes on behind its first {segment_s:g} s; set corpus.video.segment_s to its length, or take films"
        first = Refusal(number, 0.0, "long_segment", detail)
    yield replace(first, number=number)


def clip_name(film: FilmFile, piece: Segment[Any] | Refusal) -> str:
    """The name of a clip without its suffix, such as birds_000012."""
    return f"{film.recording}_{piece.number:06d}"


def _begun(settings: VideoConfig, film: FilmFile, piece: Segment[Any] | Refusal) -> dict[str, Any]:
    is_film = piece.number == WHOLE
    return {
        "audio": {"bytes": None, "path": film.name if is_film else f"{clip_name(film, piece)}.wav"},
        "language": settings.language,
        "givenSplit": film.split,
        "recordingID": film.recording,
        "segment": film.segment if is_film else piece.number,
    }


def jpeg(picture: Image.Image) -> bytes:
    """What is kept of a picture."""
    picture.save(encoded := io.BytesIO(), "JPEG", quality=QUALITY)
    return encoded.getvalue()


def wav(samples: Any) -> bytes:
    """Int16 mono samples at 16 kHz as a WAV file."""
    content = samples.astype("<i2").tobytes()
    form = struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    chunks = b"WAVEfmt " + form + b"data" + struct.pack("<I", len(content)) + content
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


@contextmanager
def _table(path: Path, schema: pa.Schema) -> Iterator[Any]:
    """A parquet file that takes one row after another, uncompressed: pictures are already, sound goes soon."""
    waiting: list[dict[str, Any]] = []
    with atomic(path) as temporary, pq.ParquetWriter(temporary, schema, compression="none") as writer:

        def flush() -> None:
            if waiting:
                writer.write_table(pa.Table.from_pylist(waiting, schema))
                waiting.clear()

        def add(row: dict[str, Any]) -> None:
            waiting.append(row)
            if len(waiting) == ROWS:
                flush()

        yield add
        flush()
