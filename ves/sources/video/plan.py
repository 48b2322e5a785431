"""What cutting a folder of films will bring and take, said before the work: from headers, and from a trial."""

import logging
import math
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ves.base.files import atomic
from ves.base.markdown import table
from ves.base.progress import track
from ves.config.corpus import VideoConfig
from ves.media.audio import RATE
from ves.media.film import open_film
from ves.media.film_events import BadFilm
from ves.media.film_tracks import SLACK_S
from ves.media.segments import Refusal
from ves.sources.video.folder import FilmFile, films, report_faults
from ves.sources.video.shards import pieces

log = logging.getLogger(__name__)

HEADERS = 1000  # films whose headers are read, evenly spaced in the folder
TRIAL_FILMS = 20  # that are cut to measure, evenly spaced too
TRIAL_S = 20.0  # of work, then the trial ends, in the middle of a film too


@dataclass
class Trial:
    """What cutting some films brought: segments, refusals by reason, pictures and their bytes, seconds of work."""

    segments: int = 0
    pictures: set[bytes] = field(default_factory=set)
    refused: Counter[str] = field(default_factory=Counter)
    work_s: float = 0.0

    @property
    def picture_bytes(self) -> int:
        return sum(map(len, self.pictures))


def write(settings: VideoConfig, page: Path) -> None:
    """Write the page, and log its first lines. Raises ValueError as `films` does."""
    found = films(settings)
    report_faults(found)
    usable = [film for film in found if film.fault is None]
    lengths, refused = _headers(settings, _some(usable, HEADERS))
    text = _page(settings, found, lengths, refused, _try(settings, _some(usable, TRIAL_FILMS)))
    with atomic(page) as temporary:
        temporary.write_text(text, encoding="utf-8")
    log.info("%s", text)


def _some(found: list[FilmFile], most: int) -> list[FilmFile]:
    """At most so many films, evenly spaced."""
    step = max(len(found) / most, 1.0)
    return [found[int(place * step)] for place in range(math.ceil(len(found) / step))]


def _headers(settings: VideoConfig, some: list[FilmFile]) -> tuple[list[float], Counter[str]]:
    """Seconds of each film, NaN where its header does not say, and why films cannot be opened."""
    lengths: list[float] = []
    refused: Counter[str] = Counter()
    for film in track(some, label="headers", unit=" films"):
        try:
            with open_film(Path(settings.folder, film.name)) as opened:
                lengths.append(opened.end_s - opened.begin_s)
        except BadFilm as error:
            refused[error.reason] += 1
    return lengths, refused


def _try(settings: VideoConfig, some: list[FilmFile]) -> Trial:
    trial, start_s = Trial(), time.perf_counter()
    for film in track(some, label="trial", unit=" films"):
        for piece in pieces(settings, film):
            if isinstance(piece, Refusal):
                trial.refused[piece.reason] += 1
            else:
                trial.segments += 1
                trial.pictures.update(piece.pictures)
            trial.work_s = time.perf_counter() - start_s
            if trial.work_s > TRIAL_S:
                return trial
    return trial


def segments_of(settings: VideoConfig, film_s: float) -> int:
    """How many segments a film of that length has."""
    whole = int((film_s + SLACK_S) / settings.segment_s)
    return min(whole, 1) if settings.at == "middle" or settings.layout == "segments" else whole


def _page(
    settings: VideoConfig, found: list[FilmFile], lengths: list[float], refused: Counter[str], trial: Trial
) -> str:
    """The page, in Markdown."""
    known = [length for length in lengths if not math.isnan(length)]
    usable = sum(film.fault is None for film in found)
    scale = usable / max(len(lengths) + refused.total(), 1)
    share = len(lengths) / max(len(known), 1)  # films that do not state their length are taken for as long as others
    segments = round(scale * share * sum(segments_of(settings, length) for length in known))
    rows = [
        ("films", f"{usable:,}"),
        ("hours", f"{scale * share * sum(known) / 3600:,.1f}"),
        (f"segments of {settings.segment_s:g} s", f"{segments:,}"),
        ("sound in audio.zarr", _size(segments * settings.segment_s * RATE * 2)),
    ]
    if trial.segments:
        rows += [
            (f"pictures, {settings.frames} a segment at most", _size(segments * trial.picture_bytes / trial.segments)),
            ("work of one core", _duration(segments * trial.work_s / trial.segments)),
        ]
    lines = ["# Plan", "", f"Films of `{settings.folder}`, before any is cut.", ""]
    lines += [table(("what", "how much"), rows, left=1)]
    lines += [_sources(found, lengths, refused, trial)]
    return "\n".join(lines)


def _sources(found: list[FilmFile], lengths: list[float], refused: Counter[str], trial: Trial) -> str:
    """Where the numbers come from, and what will be refused."""
    unknown = sum(map(math.isnan, lengths))
    text = f"Lengths are those of {len(lengths) + refused.total():,} headers"
    text += f", {unknown} of which say none.\n" if unknown else ".\n"
    if trial.segments:
        text += f"Sizes and time are those of a trial: {trial.segments:,} segments in {trial.work_s:.1f} s.\n"
    else:
        text += "A trial brought no segment, so sizes and time are not known.\n"
    faults = Counter(film.fault[0] for film in found if film.fault)
    rows = [("before opening", reason, n) for reason, n in faults.most_common()]
    rows += [("in a header", reason, n) for reason, n in refused.most_common()]
    rows += [("in the trial", reason, n) for reason, n in trial.refused.most_common()]
    return text + (
        "\n" + table(("found", "refused for", "number"), rows, left=2) if rows else "\nNothing was refused.\n"
    )


def _size(number: float) -> str:
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.1f} GB"


def _duration(seconds: float) -> str:
    for most, unit in ((60, "s"), (60, "min")):
        if seconds < most:
            return f"{seconds:.1f} {unit}"
        seconds /= most
    return f"{seconds:,.1f} h"
