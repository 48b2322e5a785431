"""From the channels of a recording to one: their mean, where that keeps the sound, and what to know where it does not.

Channels in opposite phase (a balanced line recorded as two channels) cancel in the mean, and only noise is left. The
mean of n unrelated channels has 1/n of their mean energy, that of equal channels all of it, that of opposite ones none.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32

from ves.media.audio import BadAudio

MOST_SAMPLES = 90_000_000  # of a clip, at its own rate: 94 min at 16 kHz, 31 at 48; a small FLAC can unpack to days
MOST_CHANNELS = 32
CANCELLATION = 0.1  # of the energy that the mean of unrelated channels has: below it, the channels cancel
WINDOW_S = 0.5  # seconds in which that is asked, about a word: phases may be opposite in a part of a recording only
CANCELLED_SHARE = 0.02  # of all energy that is in windows that cancel: from here on, words are lost in the mean
INT16 = 32_768  # steps to full scale
CLIPPING_LIMIT = 4.0  # full scale is 1; a peak up to here is clipped, one beyond it belongs to another unit
STEPS_PEAK = (1_000, 46_340)  # such a peak is of 16-bit steps: far above any full scale of 1, up to 3 dB above INT16
STEPS_SHARE = 0.01  # of the samples lie beyond CLIPPING_LIMIT then; a damaged file has a few that do


@dataclass(frozen=True, eq=False)
class Mix:
    """One channel out of all: its samples within [-1, 1], and what is to be known of the others.

    `peak` is the largest absolute value before clipping, `whole` whether all values beyond 1 are whole numbers and
    there are some, `beyond` the share of values beyond CLIPPING_LIMIT, `loudest` the channel with the most energy,
    `cancels` whether the channels cancel in their mean.
    """

    samples: Float32[np.ndarray, " n"]
    channels: int
    peak: float
    whole: bool
    beyond: float
    loudest: int
    cancels: bool


def mix(
    blocks: Iterable[Float32[np.ndarray, "_ channels"]], rate: int, unit: float = 1.0, channel: int | None = None
) -> Mix:
    """The mean of the channels, or only one of them, of samples divided by `unit`; blocks are mixed one by one, so
    that the channels of a long recording are never in memory together.

    Raises BadAudio: `unreadable` for samples that are not finite, `too_long`, `channels`.
    """
    mono, count, peak, whole, beyond, values, energy = [], 0, 0.0, True, 0, 0, _Energy(rate)
    for block in blocks:
        if block.shape[1] > MOST_CHANNELS:
            raise BadAudio("channels", f"{block.shape[1]} channels, at most {MOST_CHANNELS} are read")
        count, values = count + len(block), values + block.size
        if count > MOST_SAMPLES:
            raise too_long(rate)
        if unit != 1.0:
            block = block / np.float32(unit)
        highest = max(float(block.max(initial=0)), -float(block.min(initial=0)))
        if not np.isfinite(highest):
            raise BadAudio("unreadable", "samples that are not finite numbers")
        peak = max(peak, highest)
        if highest > 1:
            whole = whole and np.array_equal(block, np.rint(block))
            beyond += np.count_nonzero(np.abs(block) > CLIPPING_LIMIT)
            block = block.clip(-1, 1)
        if block.shape[1] > 1:
            energy.add(block)
        mono.append(_one(block, channel))
    samples = np.concatenate(mono) if mono else np.empty(0, np.float32)
    return Mix(samples, energy.channels, peak, whole and peak >= 2, beyond / max(values, 1), *energy.verdict())


def unit(mono: Mix) -> float:
    """What the values of a recording must be divided by for a full scale of 1: 1 or INT16, by their distribution.

    Raises BadAudio `scale` where neither is beyond doubt.
    """
    least, most = STEPS_PEAK
    if mono.whole and mono.peak <= INT16:
        return float(INT16)
    if mono.peak <= CLIPPING_LIMIT:
        return 1.0
    if not mono.whole and least <= mono.peak <= most and mono.beyond >= STEPS_SHARE:
        return float(INT16)  # 16-bit steps that somebody resampled or filtered
    raise BadAudio(
        "scale",
        f"samples reach {mono.peak:.6g} where full scale is 1, {mono.beyond:.2%} of them beyond {CLIPPING_LIMIT:g}: "
        "their unit is unknown; divide them by what full scale is in it",
    )


def too_long(rate: int) -> BadAudio:
    """The refusal of a recording of more than MOST_SAMPLES."""
    return BadAudio("too_long", f"more than {MOST_SAMPLES} samples, {MOST_SAMPLES / rate / 60:.0f} min at {rate} Hz")


def _one(block: Float32[np.ndarray, "n channels"], channel: int | None) -> Float32[np.ndarray, " n"]:
    if channel is not None:
        return block[:, channel].copy()
    return block[:, 0].copy() if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)


class _Energy:
    """Covariances of the channels, over the recording and in windows of it."""

    def __init__(self, rate: int) -> None:
        self.whole = self.window = _Covariance()
        self.size, self.energy, self.cancelled = max(round(WINDOW_S * rate), 1), 0.0, 0.0

    @property
    def channels(self) -> int:
        return len(self.whole.sums)

    def add(self, block: Float32[np.ndarray, "n channels"]) -> None:
        """Take in a block; windows are as long whatever the blocks are."""
        while len(block):
            free = self.size - self.window.count
            self.window = self.window + _Covariance.of(block[:free])
            block = block[free:]
            if self.window.count == self.size:
                self._close()

    def _close(self) -> None:
        """End a window."""
        covariance = self.window.matrix()
        own = float(covariance.trace())
        self.energy += own * self.window.count
        self.cancelled += own * self.window.count * (covariance.sum() < CANCELLATION * own)
        self.whole, self.window = self.whole + self.window, _Covariance()

    def verdict(self) -> tuple[int, bool]:
        """The channel with the most energy (about its mean), and whether the channels cancel in their mean."""
        if self.window.count:
            self._close()
        if self.channels == 1:
            return 0, False
        covariance = self.whole.matrix()
        own = covariance.diagonal()
        parts = self.cancelled > CANCELLED_SHARE * self.energy
        return int(own.argmax()), bool(parts or covariance.sum() < CANCELLATION * own.sum())


@dataclass(frozen=True, eq=False)
class _Covariance:
    """What the covariances of some samples are made of."""

    count: int = 0
    sums: np.ndarray = field(default_factory=lambda: np.zeros(1))
    products: np.ndarray = field(default_factory=lambda: np.zeros((1, 1)))

    @classmethod
    def of(cls, block: Float32[np.ndarray, "n channels"]) -> "_Covariance":
        return cls(len(block), block.sum(axis=0, dtype=np.float64), (block.T @ block).astype(np.float64))

    def __add__(self, other: "_Covariance") -> "_Covariance":
        return _Covariance(self.count + other.count, self.sums + other.sums, self.products + other.products)

    def matrix(self) -> np.ndarray:
        means = self.sums / self.count
        return self.products / self.count - np.outer(means, means)
