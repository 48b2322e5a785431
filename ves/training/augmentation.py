"""Augmentation of speech: another window, another speed, noise, another loudness; all of it off in the paper.

What is drawn is a function of (seed, step, place in the batch) alone, so a resumed run hears what it would have heard.
Speed is changed as by a tape that runs faster or slower, pitch with tempo (Ko et al. 2015). It is by linear
interpolation, not by a resampling filter: any speed can be drawn, and a filter made for each would be used once.
"""

import numpy as np
from jaxtyping import Float32, Int16

from ves.config.experiment import AugmentConfig
from ves.media.audio import RATE, window


def active(augment: AugmentConfig) -> bool:
    """Whether anything is changed at all."""
    return augment != AugmentConfig(window="start", speed=None, noise_snr_db=None, gain_db=None)


def draws(seed: int, step: int, place: int) -> np.random.Generator:
    """The generator of one clip of one step."""
    return np.random.default_rng([seed, step, place])


def augmented(
    samples: Int16[np.ndarray, " n"], seconds: float, augment: AugmentConfig, draw: np.random.Generator
) -> tuple[Float32[np.ndarray, " L"], int]:
    """As ves.media.audio.window, of a whole clip, changed by what `draw` says: L samples, and how many are not padding.

    Noise is white, its loudness relative to the mean power of the window, and only where there is speech: padding stays
    zero. The gain comes last, so that a clip need not peak at 1.
    """
    speed = 1.0 if augment.speed is None else _between(augment.speed, draw)
    needed = min(len(samples), int(np.ceil(seconds * RATE * speed)))
    start = int(draw.integers(len(samples) - needed + 1)) if augment.window == "random" else 0
    part = samples[start : start + needed]
    waveform, valid = window(part if speed == 1 else at_speed(part, speed), seconds)
    if augment.noise_snr_db is not None:
        power = np.square(waveform[:valid]).mean() if valid else 0.0
        loudness = np.sqrt(power) * 10 ** (-_between(augment.noise_snr_db, draw) / 20)
        waveform[:valid] += np.float32(loudness) * draw.standard_normal(valid, np.float32)
    if augment.gain_db is not None:
        waveform *= np.float32(10 ** (_between(augment.gain_db, draw) / 20))
    return waveform, valid


def _between(bounds: list[float], draw: np.random.Generator) -> float:
    return draw.uniform(bounds[0], bounds[1])


def at_speed(samples: Int16[np.ndarray, " n"], speed: float) -> Int16[np.ndarray, " m"]:
    """The clip played `speed` times as fast: m = n / speed samples, interpolated between the nearest two."""
    places = np.arange(int(len(samples) / speed)) * speed
    return np.rint(np.interp(places, np.arange(len(samples)), samples)).astype(np.int16)
