"""What the segments of a film are put together from: the pictures at their times, and the sound at its places."""

import math
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Float32, Int16

from ves.media import mixing
from ves.media.audio import RATE
from ves.media.film_events import Heard, Shown

SLACK_S = 0.1  # of a segment may be missing: encoders begin or end sound and pictures a packet early or late
TIE_S = 0.002  # as near: the picture that is shown; containers round times to milliseconds
EARLY_S = 0.05  # the nearest picture may come so much after a time; one that is shown even later is not seen yet


class ChosenPictures[T]:
    """The pictures nearest to the middles of `count` equal parts of each segment, as `keep` returns them."""

    def __init__(self, segment_s: float, count: int, keep: Callable[[Any], T]) -> None:
        self.step_s, self.count, self.keep = segment_s / count, count, keep
        self.until_s = -math.inf  # pictures are known up to here
        self.last: Shown | None = None
        self.kept: tuple[Any, T] | None = None  # a frame, and what is kept of it
        self.chosen: dict[int, list[T]] = {}
        self.next, self.start_s = 0, 0.0  # number of the next time, and the start of the first segment

    def add(self, shown: Shown, start_s: float) -> None:
        """Take in the next picture; `start_s` is when segment 0 begins."""
        self.start_s = start_s
        while (time_s := self._time()) <= shown.time_s:
            last, ahead_s = self.last, shown.time_s - time_s
            is_nearer = last is None or ahead_s < time_s - last.time_s - TIE_S
            self._choose(shown if last is None or (is_nearer and ahead_s <= EARLY_S) else last)
        self.last, self.until_s = shown, max(self.until_s, shown.time_s)

    def close(self, stated_s: float) -> None:
        """There are no more pictures: the last one is shown to its end, which is no later than the stated end of the
        film (NaN if there is none), and to that of a segment that ends with it."""
        self.hold(math.inf, stated_s)
        while self.last is not None and self._time() < self.until_s + SLACK_S:
            self._choose(self.last)

    def hold(self, until_s: float, stated_s: float) -> None:
        """No picture will come before `until_s`, so the last one is shown up to there, or to its end."""
        if self.last is None:
            return
        end_s = self.last.time_s + self.last.lasts_s  # of a variable rate, MP4 may say that of another picture
        end_s = end_s if math.isnan(stated_s) else min(end_s, max(stated_s, self.last.time_s))
        self.until_s = max(self.until_s, min(until_s, end_s))
        while self._time() < self.until_s:
            self._choose(self.last)

    def _time(self) -> float:
        return self.start_s + (self.next + 0.5) * self.step_s

    def _choose(self, shown: Shown) -> None:
        if self.kept is None or self.kept[0] is not shown.frame:
            self.kept = (shown.frame, self.keep(shown.frame))
        self.chosen.setdefault(self.next // self.count, []).append(self.kept[1])
        self.next += 1

    def has(self, number: int) -> bool:
        """Whether all pictures of a segment are there."""
        return len(self.chosen.get(number, ())) == self.count

    def pop(self, number: int) -> list[T]:
        """The pictures of a segment, which are forgotten."""
        return self.chosen.pop(number)


class SoundTrack:
    """Sound at its places in time, as long as a segment may need it."""

    def __init__(self) -> None:
        self.blocks: deque[tuple[int, Float32[np.ndarray, "channels n"]]] = deque()  # number of its first sample
        self.until_s = -math.inf

    def add(self, heard: Heard) -> None:
        """Take in a block."""
        self.blocks.append((round(heard.time_s * RATE), heard.channels))
        self.until_s = max(self.until_s, heard.time_s + heard.channels.shape[1] / RATE)

    def forget(self, before_s: float) -> None:
        """Drop blocks that end before a time."""
        while self.blocks and self.blocks[0][0] + self.blocks[0][1].shape[1] <= before_s * RATE:
            self.blocks.popleft()

    def between(self, start: int, length: int) -> tuple[Int16[np.ndarray, " length"], int]:
        """`length` samples from number `start` on, and how many of them are missing, which are 0."""
        mono, missing = np.zeros(length, np.float32), np.ones(length, bool)
        for begin, joined in self._joined(start, start + length):
            first, last = max(begin, start), min(begin + joined.shape[1], start + length)
            if first < last:
                mono[first - start : last - start] = _mono(joined[:, first - begin : last - begin])
                missing[first - start : last - start] = False
        return np.clip(np.rint(mono * 32768.0), -32768, 32767).astype(np.int16), int(missing.sum())

    def _joined(self, start: int, end: int) -> Iterator[tuple[int, Float32[np.ndarray, "channels n"]]]:
        """Blocks of some samples, those joined that follow each other without a gap (of more than a rounded sample)."""
        run: list[np.ndarray] = []
        begin = stop = 0
        for place, block in self.blocks:
            if place >= end or place + block.shape[1] <= start:
                continue
            if run and abs(place - stop) <= 1 and len(block) == len(run[0]):
                run.append(block)
                stop += block.shape[1]
                continue
            if run:
                yield begin, np.concatenate(run, axis=1)
            run, begin, stop = [block], place, place + block.shape[1]
        if run:
            yield begin, np.concatenate(run, axis=1)


def _mono(channels: Float32[np.ndarray, "channels n"]) -> Float32[np.ndarray, " n"]:
    """The mean of the channels, or the loudest where they cancel in it, as for every other clip."""
    mix = mixing.mix([channels.T], RATE)
    return mixing.mix([channels.T], RATE, channel=mix.loudest).samples if mix.cancels else mix.samples
