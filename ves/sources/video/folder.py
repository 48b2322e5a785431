"""The films of a folder, each with what the table says of it, and with what is wrong with it before it is opened."""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from os.path import splitext
from pathlib import Path

from ves.config.corpus import VideoConfig
from ves.media.film import SUFFIXES
from ves.sources.video import table

log = logging.getLogger(__name__)

SEGMENT = re.compile(r"(.+)_(\d+)")  # the name of a file in a folder of segments, without its suffix
NAMED = 5  # examples in a message


@dataclass(frozen=True)
class FilmFile:
    """A film: its path in the folder, which recording it is, its number in that if the file is one segment of it, and
    its label and split. `fault` is a reason and a detail, of a row without a file for instance; then it is refused."""

    name: str
    recording: str
    segment: int | None = None
    label: str | None = None
    split: str | None = None
    fault: tuple[str, str] | None = None


def films(settings: VideoConfig) -> list[FilmFile]:
    """Every film of the folder, and every row of the table that has none, by recording and number.

    Faults are `bad_name` (not `<recording>_<number>` in a folder of segments), `no_row` (not in the table),
    `missing_file` (only in the table). Raises ValueError that begins with a key: there is no folder, no film or no
    table, the table cannot be read, or two files would be one clip.
    """
    folder = Path(settings.folder)
    if not folder.is_dir():
        raise ValueError(
            f"corpus.video.folder: there is no folder {settings.folder!r} (from {Path.cwd()}); write the path of yours"
        )
    found = [_film(name, settings.layout == "segments") for name in _names(folder)]
    if not found:
        raise ValueError(f"corpus.video.folder: no film in {folder}; suffixes of films are {', '.join(SUFFIXES)}")
    _check_distinct(found)
    if settings.table is not None:
        found = _with_rows(found, settings, Path(settings.table))
    return sorted(found, key=lambda film: (film.recording, film.segment or 0, film.name))


def _names(folder: Path) -> list[str]:
    """The paths of all films in the folder, at any depth. Other files are counted in the log; hidden ones are not."""
    films, others = [], Counter[str]()
    for name in _visible(str(folder), "", set()):
        suffix = splitext(name)[1].lower()
        if suffix in SUFFIXES:
            films.append(name)
        else:
            others[suffix or "none"] += 1
    if others:
        log.info("%s: %d files are no films, by their suffixes (%s)", folder, others.total(), ", ".join(sorted(others)))
    return films


def _visible(place: str, prefix: str, entered: set[str]) -> Iterator[str]:
    """Names of files that are not hidden, nor in a hidden folder. Links are followed, each folder is entered once.

    As strings: a folder may have 200,000 films, and every job asks.
    """
    if (real := os.path.realpath(place)) in entered:
        return
    entered.add(real)
    with os.scandir(place) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _visible(entry.path, f"{prefix}{entry.name}/", entered)
            elif entry.is_file():
                yield prefix + entry.name


def _film(name: str, is_segment: bool) -> FilmFile:
    stem = splitext(name)[0]
    if not is_segment:
        return FilmFile(name, stem)
    if (match := SEGMENT.fullmatch(stem)) is None:
        detail = f"{name} is not <recording>_<number>, as corpus.video.layout: segments says; rename it, or take films"
        return FilmFile(name, stem, fault=("bad_name", detail))
    return FilmFile(name, match[1], int(match[2]))


def _check_distinct(found: list[FilmFile]) -> None:
    seen: dict[tuple[str, int | None], str] = {}
    for film in found:
        other = seen.setdefault((film.recording, film.segment), film.name)
        if other != film.name:
            raise ValueError(
                f"corpus.video.folder: {other} and {film.name} would be the same recording, {film.recording!r}; "
                "rename or remove one of them"
            )


def _with_rows(found: list[FilmFile], settings: VideoConfig, path: Path) -> list[FilmFile]:
    """Films with what their rows say; those without a row, and rows without a film, have that as their fault."""
    if not path.is_file():
        raise ValueError(f"{table.KEY}: there is no file {settings.table!r} (from {Path.cwd()}); null means no table")
    rows = {row.file: row for row in table.read(path)}
    used: set[str] = set()
    matched: list[FilmFile] = []
    for film in found:
        stem = splitext(film.name)[0]
        both = [name for name in (film.name, stem) if name in rows]
        if len(both) == 2:
            numbers = " and ".join(str(rows[name].number) for name in both)
            raise ValueError(f"{table.KEY}: {path} rows {numbers} both mean {film.name}; keep one of them")
        used.update(both)
        if both:
            row = rows[both[0]]
            matched.append(replace(film, label=row.label, split=row.split))
        else:
            matched.append(replace(film, fault=film.fault or ("no_row", f"no row of {path.name} names {film.name}")))
    missing = [
        FilmFile(row.file, row.file, label=row.label, split=row.split, fault=(
            "missing_file", f"{path.name} row {row.number}: there is no film {row.file} in the folder"))
        for row in rows.values() if row.file not in used
    ]  # fmt: skip
    return matched + missing


def report_faults(listed: list[FilmFile]) -> None:
    """Log how many films cannot be used, by their faults, with some of their names."""
    for reason in sorted({film.fault[0] for film in listed if film.fault}):
        names = [film.name for film in listed if film.fault and film.fault[0] == reason]
        more = f" and {len(names) - NAMED} more, all in refused.parquet" if len(names) > NAMED else ""
        log.warning("%s: %d of %d films: %s%s", reason, len(names), len(listed), ", ".join(names[:NAMED]), more)
