"""Augmentation: each kind does what its name says; random numbers depend on seed, step and place only."""

import numpy as np
import pytest

from ves.config.train import AugmentConfig
from ves.media.audio import RATE, window
from ves.training.augmentation import at_speed, is_active, jitter, jitter_generator

pytestmark = pytest.mark.numbers

OFF = AugmentConfig(frame="middle", window="start", speed=None, noise_snr_db=None, gain_db=None)


def augmentation(**changes) -> AugmentConfig:
    return AugmentConfig.model_validate(OFF.model_dump() | changes)


def tone(hertz: float, seconds: float) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.int16)


def pitch(samples: np.ndarray) -> float:
    """Frequency of the strongest component, in hertz."""
    return float(np.abs(np.fft.rfft(samples)).argmax() * RATE / len(samples))


@pytest.mark.parametrize("seconds", [1.0, 3.0])
def test_switched_off_it_is_the_window(seconds):
    assert not is_active(OFF)
    actual, valid = jitter(clip := tone(300, 2.0), seconds, OFF, jitter_generator(0, 0, 0))
    expected, count = window(clip, seconds)
    assert np.array_equal(actual, expected)
    assert valid == count


def test_random_numbers_are_a_function_of_seed_step_and_place():
    augment = augmentation(window="random", gain_db=[-6.0, 6.0], noise_snr_db=[5.0, 20.0], speed=[0.9, 1.1])
    clip = tone(300, 3)
    assert is_active(augment)
    first, _ = jitter(clip, 1.0, augment, jitter_generator(1, 2, 3))
    assert np.array_equal(first, jitter(clip, 1.0, augment, jitter_generator(1, 2, 3))[0])
    for other in ((0, 2, 3), (1, 0, 3), (1, 2, 0)):
        assert not np.array_equal(first, jitter(clip, 1.0, augment, jitter_generator(*other))[0])


def test_a_random_window_may_begin_anywhere():
    clip = np.arange(1, 101, dtype=np.int16).repeat(160)  # 1 s: each hundredth has a value of its own
    begins = []
    for place in range(400):
        actual, valid = jitter(clip, 0.5, augmentation(window="random"), jitter_generator(0, 0, place))
        assert valid == 8000
        steps = np.flatnonzero(np.diff(actual)) + 1
        assert np.all(np.diff(steps) == 160), "samples of one stretch, in their order"
        begins.append(actual[0] / actual[-1])  # rises with the place where it begins
    assert min(begins) < 0.05 < 0.45 < max(begins)
    actual, valid = jitter(clip, 2.0, augmentation(window="random"), jitter_generator(0, 0, 0))
    assert valid == len(clip) and np.array_equal(actual, window(clip, 2.0)[0]), "all of a clip that is shorter"


def test_speed_changes_length_and_pitch():
    faster = at_speed(tone(400, 2.0), 1.25)
    assert len(faster) == pytest.approx(1.6 * RATE, abs=1)
    assert pitch(faster) == pytest.approx(500, abs=1)
    actual, valid = jitter(tone(400, 1.0), 2.0, augmentation(speed=[0.8, 0.8]), jitter_generator(0, 0, 0))
    assert valid == pytest.approx(1.25 * RATE, abs=1)
    assert pitch(actual[:valid]) == pytest.approx(320, abs=1)
    actual, valid = jitter(tone(400, 3.0), 2.0, augmentation(speed=[1.25, 1.25]), jitter_generator(0, 0, 0))
    assert valid == 2 * RATE, "a longer clip fills the window at any speed"


def test_noise_has_its_loudness_and_is_only_where_there_is_speech():
    clip = tone(300, 1.0)
    plain, valid = window(clip, 1.5)
    noisy, _ = jitter(clip, 1.5, augmentation(noise_snr_db=[10.0, 10.0]), jitter_generator(0, 0, 0))
    speech, noise = (np.square(part[:valid]).mean() for part in (plain, noisy - plain))
    assert 10 * np.log10(speech / noise) == pytest.approx(10, abs=0.2)
    assert not noisy[valid:].any()


def test_gain_is_in_decibels_after_the_peak_is_normalised():
    actual, _ = jitter(tone(300, 1.0), 1.0, augmentation(gain_db=[-6.0, -6.0]), jitter_generator(0, 0, 0))
    assert np.abs(actual).max() == pytest.approx(10 ** (-6 / 20), rel=1e-3)


def test_silence_stays_silent():
    actual, valid = jitter(
        np.zeros(RATE, np.int16), 1.0, augmentation(noise_snr_db=[0.0, 0.0]), jitter_generator(0, 0, 0)
    )
    assert valid == RATE and not actual.any()
