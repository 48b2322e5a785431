"""From the channels of a recording to one, where their mean is sound: what is at fault is shown, and mended above.

Channels in opposite phase (a balanced line recorded as two channels) cancel in the mean, and what is left is noise. Of
n channels that have nothing to do with each other the mean has 1/n of the mean energy, of equal ones all, of opposite
ones none.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from ves.media.audio import BadAudio

MOST_SAMPLES = 90_000_000  # of a clip, at its own rate: 94 min at 16 kHz, 31 at 48; a small FLAC can unpack to days
MOST_CHANNELS = 32
CLIPPED_PEAK = 4.0  # full scale is 1; what is a little louder is clipped, what is far louder has another unit
LOST = 0.1  # of the energy that the mean of channels has that have nothing to do with each other
INT16 = 32_768  # steps to full scale


@dataclass(frozen=True, eq=False)
class Mix:
    """One channel out of all: its samples within [-1, 1], and what became of the others.

    `peak` is the largest absolute value before clipping, `whole` whether all values were whole numbers (as far as that
    matters: where they go beyond 1), `loudest` the channel with the most energy, `lost` whether the mean lost it.
    """

    samples: Float32[np.ndarray, " n"]
    channels: int
    peak: float
    whole: bool
    loudest: int
    lost: bool


def mix(
    blocks: Iterable[Float32[np.ndarray, "_ channels"]], rate: int, unit: float = 1.0, channel: int | None = None
) -> Mix:
    """The mean of the channels, or only one of them, of samples divided by `unit`; blocks are mixed one by one, so
    that the channels of a long recording are never in memory together.

    Raises BadAudio: `unreadable` for samples that are not finite, `too_long`, `channels`.
    """
    mixed, count, peak, whole, energy = [], 0, 0.0, True, _Energy()
    for block in blocks:
        if block.shape[1] > MOST_CHANNELS:
            raise BadAudio("channels", f"{block.shape[1]} channels, at most {MOST_CHANNELS} are read")
        count += len(block)
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
            block = block.clip(-1, 1)
        if block.shape[1] > 1:
            energy.add(block)
        mixed.append(_one(block, channel))
    samples = np.concatenate(mixed) if mixed else np.empty(0, np.float32)
    return Mix(samples, energy.channels, peak, whole and peak >= 2, *energy.verdict())


def too_long(rate: int) -> BadAudio:
    """The refusal of a recording of more than MOST_SAMPLES."""
    return BadAudio("too_long", f"more than {MOST_SAMPLES} samples, {MOST_SAMPLES / rate / 60:.0f} min at {rate} Hz")


def _one(block: Float32[np.ndarray, "n channels"], channel: int | None) -> Float32[np.ndarray, " n"]:
    if channel is not None:
        return block[:, channel].copy()
    return block[:, 0].copy() if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)


class _Energy:
    """Covariances of the channels, block by block."""

    def __init__(self) -> None:
        self.count, self.sums, self.products = 0, np.zeros(1), np.zeros((1, 1))

    @property
    def channels(self) -> int:
        return len(self.sums)

    def add(self, block: Float32[np.ndarray, "n channels"]) -> None:
        """Take in a block."""
        self.count += len(block)
        self.sums = self.sums + block.sum(axis=0, dtype=np.float64)
        self.products = self.products + (block.T @ block)

    def verdict(self) -> tuple[int, bool]:
        """The channel with the most energy (about its mean), and whether the mean of all has lost it."""
        if self.channels == 1:
            return 0, False
        means = self.sums / self.count
        covariance = self.products / self.count - np.outer(means, means)
        own = covariance.diagonal()
        return int(own.argmax()), bool(covariance.sum() < LOST * own.sum())
