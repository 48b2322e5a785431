"""Segments of a film: a stretch of its sound, and pictures at evenly spaced times of that stretch.

Segments lie side by side from the film's first picture on, which is time 0 here. A segment that lacks a part of its
sound or pictures, or in which something is damaged, is a Refusal; nothing is made up for what is missing.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int16
from PIL import Image

from ves.media.audio import RATE
from ves.media.film import PROMISE_S, Film, last_packet_s, open_film
from ves.media.film_events import BadFilm, Damage, Event, Heard
from ves.media.film_pictures import to_picture
from ves.media.film_tracks import SLACK_S, ChosenPictures, SoundTrack

APART_S = 10.0  # seconds between sound and pictures in a file; what comes later still is not waited for
AHEAD_S = 600.0  # sound that is so far ahead of the pictures is not kept: there are no more of them
SEEK_S = 1.0  # a decoder hears from so much before a segment on, so that it has settled


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How films are cut: the length of segments, pictures in each (a number, or from how many are shown a second),
    the longest side of these in pixels (null: as stored), and whether only the segment in the middle is taken."""

    segment_s: float
    frames: int | Callable[[float], int]
    side: int | None
    middle: bool


@dataclass(frozen=True, eq=False)
class Segment[T]:
    """One segment: its number and start, int16 mono sound at 16 kHz of exactly its length, and its pictures."""

    number: int
    start_s: float
    samples: Int16[np.ndarray, " n"]
    pictures: list[T]


@dataclass(frozen=True)
class Refusal:
    """Why a segment, or all from it on, cannot be used: a word for refused.parquet, and more."""

    number: int
    start_s: float
    reason: str
    detail: str


def cut[T](path: Path, how: Cut, keep: Callable[[Image.Image], T]) -> Iterator[Segment[T] | Refusal]:
    """The segments of a film in order, whole or refused; `keep` is given each picture once and returns what is kept.

    Refusals: `sound_missing`, `damaged`, and for what remains of a film `short_tail`, `truncated` (it has less than it
    promises). Raises BadFilm for a film without any segment: as open_film does, `too_short`, `truncated`, `bad_times`,
    `rotation`.
    """
    if not how.middle:
        with open_film(path) as film:
            yield from _Cutter(film, how, keep).run()
        return
    yield _cut_middle(path, how, keep, _middle(path, how.segment_s))


def _cut_middle[T](path: Path, how: Cut, keep: Callable[[Image.Image], T], start_s: float) -> Segment[T] | Refusal:
    """The segment that begins at `start_s`; all of the film before it is decoded only where a seek leads astray."""
    if start_s > SEEK_S:
        with suppress(BadFilm), open_film(path) as film:
            found = next(_Cutter(film, how, keep, start_s).run(start_s - SEEK_S))
            if isinstance(found, Segment):
                return found
    with open_film(path) as film:
        return next(_Cutter(film, how, keep, start_s).run())


def _middle(path: Path, segment_s: float) -> float:
    """When the segment in the middle begins, in seconds of the container. Raises BadFilm `too_short`."""
    with open_film(path) as film:
        begin_s, end_s = film.begin_s, film.end_s
    if math.isnan(end_s):
        end_s = last_packet_s(path)
    if end_s - begin_s < segment_s - SLACK_S:
        raise _too_short(end_s - begin_s, segment_s)
    return max((begin_s + end_s - segment_s) / 2, begin_s)


def _too_short(film_s: float, segment_s: float) -> BadFilm:
    return BadFilm("too_short", f"{film_s:.2f} s of pictures, a segment has {segment_s:g} s")


class _Cutter[T]:
    """Gathers sound and pictures of a film until a segment has both."""

    def __init__(self, film: Film, how: Cut, keep: Callable[[Image.Image], T], start_s: float | None = None) -> None:
        self.film, self.how = film, how
        frames = how.frames if isinstance(how.frames, int) else how.frames(1 / film.usual_s)
        self.pictures = ChosenPictures(
            how.segment_s, frames, lambda frame: keep(to_picture(frame, film.pixel_aspect, how.side))
        )
        self.sound, self.damages, self.number = SoundTrack(), list[Damage](), 0
        self.start_s = start_s  # of segment 0, in seconds of the container; that of the first picture if None

    def run(self, seek_s: float = -math.inf) -> Iterator[Segment[T] | Refusal]:
        """All segments; only the first one if a start was given. Raises BadFilm if there is none."""
        try:
            for event in self.film.events(seek_s):
                self._take(event)
                yield from self._ready(ended=False)
                if self.how.middle and self.number:
                    return
            self.pictures.close(self.film.end_s)
            yield from self._ready(ended=True)
            if (rest := self._rest()) is not None:
                yield rest
        except BadFilm as error:
            if self.number == 0:
                raise
            yield Refusal(self.number, self.number * self.how.segment_s, error.reason, error.detail)

    def _take(self, event: Event) -> None:
        if isinstance(event, Damage):
            self.damages.append(event)
        elif isinstance(event, Heard):
            if event.time_s - max(self.pictures.until_s, self.film.begin_s) < AHEAD_S:
                self.sound.add(event)
            if (until_s := self.sound.until_s - APART_S) > self.pictures.until_s:
                self.pictures.hold(until_s, self.film.end_s)  # a still
        else:
            if self.start_s is None:  # the first picture, or the first stated one if that is damaged
                lost = any(damage.start_s == -math.inf for damage in self.damages)
                self.start_s = min(self.film.begin_s, event.time_s) if lost else event.time_s
            self.pictures.add(event, self.start_s)

    def _ready(self, ended: bool) -> Iterator[Segment[T] | Refusal]:
        """Segments whose pictures are all there, and whose sound is, or will not come."""
        while self.start_s is not None:
            end_s = self._at(self.number + 1)
            if not self.pictures.has(self.number) or self.pictures.until_s < end_s - SLACK_S:
                return
            if not ended and self.sound.until_s < self._due(end_s) and self.pictures.until_s < end_s + APART_S:
                return
            yield self._segment()
            self.number += 1
            self.sound.forget(end_s)
            self.damages = [damage for damage in self.damages if damage.end_s > end_s]
            if self.how.middle:
                return

    def _due(self, end_s: float) -> float:
        """Until when sound is waited for: not beyond the end that the film states for it."""
        stated_s = self.film.sound_end_s
        return end_s if math.isnan(stated_s) else min(end_s, stated_s - SLACK_S)

    def _at(self, number: int) -> float:
        return (self.start_s or 0.0) + number * self.how.segment_s

    def _segment(self) -> Segment[T] | Refusal:
        begin_s, end_s = self._at(self.number), self._at(self.number + 1)
        pictures = self.pictures.pop(self.number)
        start_s = self.number * self.how.segment_s
        for damage in self.damages:
            if damage.start_s < end_s and damage.end_s > begin_s:
                return Refusal(self.number, start_s, "damaged", damage.detail)
        length = round(self.how.segment_s * RATE)
        samples, missing = self.sound.between(round(begin_s * RATE), length)
        if missing > SLACK_S * RATE:
            detail = f"no sound for {missing / RATE:.2f} of its {self.how.segment_s:g} s"
            return Refusal(self.number, start_s, "sound_missing", detail)
        return Segment(self.number, start_s, samples, pictures)

    def _rest(self) -> Refusal | None:
        """Why what remains after the last segment is none. Raises BadFilm if there was no segment at all."""
        until_s, promised_s = self.pictures.until_s, self.film.end_s
        begin_s = self.film.begin_s if self.start_s is None else self.start_s
        start_s, left_s = self.number * self.how.segment_s, until_s - self._at(self.number)
        broken = next((damage.detail for damage in self.damages if damage.end_s == math.inf), None)
        reason, detail = "short_tail", f"{left_s:.2f} s are left, a segment has {self.how.segment_s:g} s"
        if until_s < promised_s - PROMISE_S - self.film.usual_s:
            had_s = max(until_s - begin_s, 0.0)
            reason = "truncated"
            detail = f"it promises {promised_s - begin_s:.2f} s of pictures, {had_s:.2f} s can be decoded"
            detail += f" ({broken})" if broken else ""
        elif broken and self.pictures.until_s == -math.inf:
            reason, detail = "damaged", broken
        elif self.start_s is None:
            raise BadFilm("no_picture", "no picture can be decoded")
        elif self.number == 0 and not self.how.middle:
            raise _too_short(until_s - begin_s, self.how.segment_s)
        if self.number == 0:
            raise BadFilm(reason, detail)
        return Refusal(self.number, start_s, reason, detail) if reason != "short_tail" or left_s > SLACK_S else None
