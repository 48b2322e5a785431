"""Augmentation: a random window, speed, noise and loudness of speech, and any of a clip's pictures; all of it is off in
the paper.

Random numbers are a function of (seed, step, place in the batch) alone, so a resumed run gets the clips that it would
have got. Speed is changed as by a tape that runs faster or slower, pitch together with tempo (Ko et al. 2015). It is
done by linear interpolation, not by a resampling filter: speeds are continuous, and a filter would be made for each.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int16

from ves.config.train import AugmentConfig
from ves.media.audio import RATE, window

FRAME = 1  # keeps the choice of a picture apart from the numbers that change the speech


def is_active(augment: AugmentConfig) -> bool:
    """Whether these settings change the speech at all."""
    off = {"window": "start", "speed": None, "noise_snr_db": None, "gain_db": None}
    return augment != augment.model_copy(update=off)


def any_frame(frames: Sequence[int], seed: int, step: int, place: int) -> int:
    """One of the pictures of a clip, each as likely; it does not depend on any other setting of augmentation."""
    return frames[int(np.random.default_rng([seed, step, place, FRAME]).integers(len(frames)))]


def jitter_generator(seed: int, step: int, place: int) -> np.random.Generator:
    """The generator of the random numbers for one clip of one step."""
    return np.random.default_rng([seed, step, place])


def jitter(
    samples: Int16[np.ndarray, " n"], seconds: float, augment: AugmentConfig, generator: np.random.Generator
) -> tuple[Float32[np.ndarray, " L"], int]:
    """As ves.media.audio.window, with random changes: L samples of a whole clip, and how many are not padding.

    Noise is white, and its loudness is relative to the mean power of the window. It is added only to the speech, so
    that padding stays zero. The gain comes last, so a clip need not peak at 1.
    """
    speed = 1.0 if augment.speed is None else _uniform(augment.speed, generator)
    needed = min(len(samples), int(np.ceil(seconds * RATE * speed)))
    start = int(generator.integers(len(samples) - needed + 1)) if augment.window == "random" else 0
    part = samples[start : start + needed]
    waveform, valid = window(part if speed == 1 else at_speed(part, speed), seconds)
    if augment.noise_snr_db is not None:
        power = np.square(waveform[:valid]).mean() if valid else 0.0
        loudness = np.sqrt(power) * 10 ** (-_uniform(augment.noise_snr_db, generator) / 20)
        waveform[:valid] += np.float32(loudness) * generator.standard_normal(valid, np.float32)
    if augment.gain_db is not None:
        waveform *= np.float32(10 ** (_uniform(augment.gain_db, generator) / 20))
    return waveform, valid


def _uniform(bounds: list[float], generator: np.random.Generator) -> float:
    return generator.uniform(bounds[0], bounds[1])


def at_speed(samples: Int16[np.ndarray, " n"], speed: float) -> Int16[np.ndarray, " m"]:
    """The clip played `speed` times as fast: m = n / speed samples, interpolated between the nearest two."""
    places = np.arange(int(len(samples) / speed)) * speed
    return np.rint(np.interp(places, np.arange(len(samples)), samples)).astype(np.int16)
