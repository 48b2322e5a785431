"""The twelve sounds: the same bytes, the loudness and length asked for, and what each kind must sound like."""

from itertools import pairwise

import numpy as np
import pytest

from ves.sources.scenes.recording import SAMPLE_RATE
from ves.sources.scenes.streams import generator
from ves.sources.sounding.sounds import SOUNDING, maker, sound

KINDS = pytest.mark.parametrize("kind", SOUNDING)


def heard(kind: str, person: int = 0, take: int = 0, seconds: float = 2.0) -> np.ndarray:
    return sound(kind, maker(1, person), generator(1, "take", person, take), seconds)


def spectrum(wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies, and the share of the power at each."""
    power = np.abs(np.fft.rfft(wave)) ** 2
    return np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE), power / power.sum()


def centroid(wave: np.ndarray) -> float:
    frequency, share = spectrum(wave)
    return float(frequency @ share)


def beats(wave: np.ndarray) -> float:
    """The strongest rhythm of its loudness between 1.5 and 14 a second."""
    loudness = np.abs(wave[: len(wave) // 80 * 80]).reshape(-1, 80).mean(1)
    power = np.abs(np.fft.rfft(loudness - loudness.mean())) ** 2
    rate = np.fft.rfftfreq(len(loudness), 80 / SAMPLE_RATE)
    inside = (rate > 1.5) & (rate < 14)
    return float(rate[inside][power[inside].argmax()])


@KINDS
@pytest.mark.parametrize("seconds", [0.3, 1.2, 2.4])
def test_length_loudness_and_faded_ends(kind, seconds):
    wave = heard(kind, seconds=seconds)
    assert wave.dtype == np.float32 and len(wave) == round(seconds * SAMPLE_RATE)
    assert np.sqrt(np.mean(wave.astype(float) ** 2)) == pytest.approx(1, abs=1e-4)
    assert wave[0] == wave[-1] == 0 and np.isfinite(wave).all()


@KINDS
def test_one_take_is_the_same_twice_and_unlike_others(kind):
    assert np.array_equal(heard(kind), heard(kind))
    assert not np.array_equal(heard(kind), heard(kind, take=1))
    assert not np.array_equal(heard(kind), heard(kind, person=1))


def test_a_kind_that_does_not_sound_is_an_error():
    with pytest.raises(KeyError, match="umbrella"):
        heard("umbrella")


@pytest.mark.parametrize("person", range(6))
def test_where_in_the_spectrum_each_kind_lies(person):
    """Bounds that follow from what each is: a horn is low, chirps are high, keys higher still."""
    at = {kind: centroid(heard(kind, person)) for kind in SOUNDING}
    assert all(at[kind] < 1000 for kind in ("boat", "ball", "house", "bottle")), at
    assert 2300 < at["bird"] < 7000 and at["key"] > 5000 and 1000 < at["clock"] < 3500, at
    assert at["key"] > at["bird"] > at["cup"] > at["bottle"], at


@pytest.mark.parametrize("person", range(6))
def test_a_bell_rings_in_partials_and_a_tree_does_not(person):
    def peak_share(wave: np.ndarray) -> float:
        _, share = spectrum(wave)
        return float(np.sort(share)[-60:].sum())

    assert peak_share(heard("bell", person)) > 0.5 > 0.1 > peak_share(heard("tree", person))


@pytest.mark.parametrize("person", range(6))
def test_rhythms(person):
    assert 2.8 < beats(heard("clock", person)) < 13  # or twice its rate, where both ticks are alike
    assert 3.2 < beats(heard("kite", person)) < 13
    assert 4 < beats(heard("bird", person)) < 13


@KINDS
def test_takes_of_one_maker_are_nearer_to_each_other_than_to_those_of_others(kind):
    """By the mean spectrum in 24 bands: the reason why makers are held out."""

    def bands(person: int, take: int) -> np.ndarray:
        frequency, share = spectrum(heard(kind, person, take))
        edges = np.geomspace(60, 8000, 25)
        return np.log(np.array([share[(frequency >= a) & (frequency < b)].sum() for a, b in pairwise(edges)]) + 1e-5)

    takes = np.array([[bands(person, take) for take in range(4)] for person in range(8)])
    own = np.linalg.norm(takes - takes.mean(1, keepdims=True), axis=-1).mean()
    others = np.linalg.norm(takes - takes.mean((0, 1)), axis=-1).mean()
    assert own < 0.9 * others
