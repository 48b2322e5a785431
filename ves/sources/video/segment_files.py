"""Segments as files `{vid}_{seg}.mp4` in one folder, which is what AV-Align reads.

`vid` is a number, because AV-Align takes it for one: the place of the recording in the sorted list. Each file has
exactly `segment_s` seconds: H.264 at the rate of the film in equal steps, and mono AAC at 16 kHz (ves.media.encoding).
A file is whole or absent. What has been written of a film is in <folder>/../segment_parts/<key>.json, which names the
film, so that a segment is kept if and only if it is of the same film, cut in the same way.
"""

import csv
import logging
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from ves.base.files import atomic, read_json, same, write_json
from ves.base.progress import track
from ves.config.corpus import VideoConfig
from ves.media.encoding import even
from ves.media.encoding import write as write_film
from ves.media.film_events import BadFilm
from ves.media.segments import Cut, Refusal, Segment, cut
from ves.sources.video.folder import FilmFile, films
from ves.sources.video.shards import groups

log = logging.getLogger(__name__)

COLUMNS = ("vid", "seg", "file", "start_s", "reason", "detail")  # the last two only of refused ones, which have no file
MOST_A_SECOND = 60  # pictures of a segment; a film may claim thousands


def write(settings: VideoConfig, group: str, folder: Path, out: Path) -> None:
    """Write the segments of a group of films into `folder`, and their table to `out`.

    Raises ValueError if the folder of films has no such group.
    """
    known = groups(settings)
    if group not in known:
        raise ValueError(f"no group {group!r}: the films of {settings.folder} make {len(known)}; list them again")
    recordings = sorted({film.recording for film in films(settings) if film.fault is None})
    vids = {recording: vid for vid, recording in enumerate(recordings)}
    rows: list[dict[str, Any]] = []
    for film in track(known[group], label=group, unit=" films"):
        if film.fault is None:
            rows += _film(settings, film, vids[film.recording], folder, out.parent)
        else:
            rows.append({"file": film.name, "reason": film.fault[0], "detail": film.fault[1]})
    _write_table(out, rows)


def gather(tables: list[Path], out: Path) -> None:
    """Join tables of segments into `out`, and refused ones into refused.csv beside it; remove MP4 files that are in no
    table, which are of films that are gone or numbered otherwise now."""
    rows: list[dict[str, str]] = []
    for path in tables:
        with path.open(encoding="utf-8", newline="") as file:
            rows += csv.DictReader(file)
    taken = [row for row in rows if not row["reason"]]
    taken.sort(key=lambda row: (int(row["vid"]), int(row["seg"])))
    listed = {f"{row['vid']}_{row['seg']}.mp4" for row in taken}
    stale = [path for path in out.parent.glob("*_*.mp4") if path.name not in listed]
    for path in stale:
        path.unlink()
    if stale:
        log.info("%s: removed %d segments that are in no table", out.parent, len(stale))
    refused = [row for row in rows if row["reason"]]
    _write_table(out.parent / "refused.csv", refused)
    _write_table(out, taken, COLUMNS[:4])
    log.info(
        "%s: %d segments of %d recordings, %d refused",
        out,
        len(taken),
        len({row["vid"] for row in taken}),
        len(refused),
    )


def _film(settings: VideoConfig, film: FilmFile, vid: int, folder: Path, states: Path) -> list[dict[str, Any]]:
    """Rows of the segments of one film, which are then all there."""
    status = Path(settings.folder, film.name).stat()
    cutting = settings.model_dump(include={"layout", "segment_s", "at", "side"})
    begun = {"film": film.name, "size": status.st_size, "changed_ns": status.st_mtime_ns, "cut": cutting}
    key = f"{vid}" if film.segment is None else f"{vid}_{film.segment}"
    state = read_json(states / f"{key}.json") if (states / f"{key}.json").is_file() else {}
    if not same({name: state.get(name) for name in begun}, begun):
        for path in folder.glob(f"{key}_*.mp4" if film.segment is None else f"{key}.mp4"):
            path.unlink()  # of another film, or cut in another way
        state = begun | {"rows": None}
        write_json(states / f"{key}.json", state)
    rows = state["rows"]
    if rows is None or not all(_is_there(folder, row) for row in rows):
        rows = list(_segments(settings, film, vid, folder))
        write_json(states / f"{key}.json", begun | {"rows": rows})
    return rows


def _is_there(folder: Path, row: dict[str, Any]) -> bool:
    return bool(row["reason"]) or _place(folder, row["vid"], row["seg"]).is_file()


def _place(folder: Path, vid: int, seg: int) -> Path:
    return folder / f"{vid}_{seg}.mp4"


def _segments(settings: VideoConfig, film: FilmFile, vid: int, folder: Path) -> Iterable[dict[str, Any]]:
    """Write what is not there yet of a film, and yield the row of each of its segments, refused ones too."""

    def frames(rate: float) -> int:
        return max(round(min(rate, MOST_A_SECOND) * settings.segment_s), 1)

    how = Cut(segment_s=settings.segment_s, frames=frames, side=settings.side, middle=settings.at == "middle")
    row: dict[str, Any] = {"vid": vid, "file": film.name, "reason": "", "detail": ""}
    try:
        for piece in cut(Path(settings.folder, film.name), how, even):
            seg = piece.number if film.segment is None else film.segment
            place = row | {"seg": seg, "start_s": round(piece.start_s, 6)}
            if isinstance(piece, Refusal):
                yield place | {"reason": piece.reason, "detail": piece.detail}
                continue
            if not (path := _place(folder, vid, seg)).is_file():
                _write_segment(path, piece, settings.segment_s)
            yield place
            if film.segment is not None:
                return  # the file is one segment
    except BadFilm as error:
        yield row | {"seg": film.segment or 0, "start_s": 0.0, "reason": error.reason, "detail": error.detail}


def _write_segment(path: Path, piece: Segment[UInt8[np.ndarray, "H W 3"]], segment_s: float) -> None:
    rate = Fraction(len(piece.pictures)) / Fraction(segment_s).limit_denominator(1000)
    write_film(path, iter(piece.pictures), rate, piece.samples)


def _write_table(path: Path, rows: list[dict[str, Any]], columns: tuple[str, ...] = COLUMNS) -> None:
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
