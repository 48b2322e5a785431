"""Sounds of things that Sounding Scenes does not have, for the audio stand-in to have heard more than speech.

Sixteen kinds, none of the twelve of the corpus nor like one in how it is made: no struck partials, no ticks, no knocks,
no engine, no horn. Each take draws its parameters.
"""

from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter

RATE = 16_000

type Wave = np.ndarray


def _time(count: int) -> Wave:
    return np.arange(count) / RATE


def _sweep(frequency: Wave) -> Wave:
    return np.sin(2 * np.pi * np.cumsum(frequency) / RATE)


def _filtered(rng: np.random.Generator, count: int, low: float, high: float) -> Wave:
    spectrum, frequency = np.fft.rfft(rng.standard_normal(count)), np.fft.rfftfreq(count, 1 / RATE)
    return np.fft.irfft(spectrum * ((frequency > low) & (frequency < high)), count)


def _gate(count: int, rate: float, share: float, phase: float) -> Wave:
    return (np.mod(rate * _time(count) + phase, 1) < share).astype(float)


def _dog(rng: np.random.Generator, count: int) -> Wave:
    rate, note = rng.uniform(1.5, 3), rng.uniform(300, 600)
    place = np.mod(rate * _time(count), 1)
    bark = np.exp(-((place - 0.15) ** 2) / 0.006)
    voice = sum(_sweep(k * note * (1.2 - 0.5 * place)) / k for k in range(1, 9))
    return bark * (voice + 0.5 * _filtered(rng, count, 500, 3000))


def _whistle(rng: np.random.Generator, count: int) -> Wave:
    note, depth, rate = rng.uniform(1500, 3200), rng.uniform(20, 120), rng.uniform(10, 30)
    return _sweep(note + depth * np.sin(2 * np.pi * rate * _time(count)))


def _siren(rng: np.random.Generator, count: int) -> Wave:
    low, high, rate = rng.uniform(400, 700), rng.uniform(900, 1500), rng.uniform(0.4, 3)
    rise = 0.5 + 0.5 * np.sin(2 * np.pi * rate * _time(count))
    return np.sign(_sweep(low + (high - low) * rise)) + 0.2 * _sweep(2 * (low + (high - low) * rise))


def _rain(rng: np.random.Generator, count: int) -> Wave:
    drops = (rng.random(count) < rng.uniform(0.01, 0.05)) * rng.standard_normal(count)
    return lfilter([1.0], [1, -rng.uniform(0.2, 0.6)], drops)


def _saw(rng: np.random.Generator, count: int) -> Wave:
    stroke = np.abs(np.sin(np.pi * rng.uniform(1.5, 3) * _time(count)))
    teeth = np.mod(_time(count) * rng.uniform(120, 260) * (0.6 + 0.4 * stroke), 1) - 0.5
    return stroke * (teeth + 0.8 * _filtered(rng, count, 1500, 6000))


def _frog(rng: np.random.Generator, count: int) -> Wave:
    pulses = _gate(count, rng.uniform(30, 55), 0.35, rng.random())
    return (
        pulses * _sweep(np.full(count, rng.uniform(700, 1300))) * _gate(count, rng.uniform(1, 2.5), 0.5, rng.random())
    )


def _cricket(rng: np.random.Generator, count: int) -> Wave:
    chirp = _gate(count, rng.uniform(1.5, 4), 0.4, rng.random()) * np.abs(
        np.sin(np.pi * rng.uniform(35, 60) * _time(count))
    )
    return chirp * _sweep(np.full(count, rng.uniform(3500, 5200)))


def _thunder(rng: np.random.Generator, count: int) -> Wave:
    rumble = _filtered(rng, count, 20, rng.uniform(80, 200))
    return (
        rumble
        * np.exp(-_time(count) * rng.uniform(0.3, 1.5))
        * (1 + 0.7 * np.sin(2 * np.pi * rng.uniform(3, 9) * _time(count)))
    )


def _applause(rng: np.random.Generator, count: int) -> Wave:
    claps = (rng.random(count) < rng.uniform(0.002, 0.006)) * rng.uniform(0.3, 1, count)
    envelope = lfilter([1.0], [1, -np.exp(-1 / (0.006 * RATE))], claps)
    return envelope * _filtered(rng, count, 700, 3500)


def _fly(rng: np.random.Generator, count: int) -> Wave:
    note = rng.uniform(150, 280) * (1 + 0.08 * np.sin(2 * np.pi * rng.uniform(0.5, 2) * _time(count)))
    return (np.mod(np.cumsum(note) / RATE, 1) - 0.5) * (
        0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.3, 1.2) * _time(count))
    )


def _zip(rng: np.random.Generator, count: int) -> Wave:
    rate = rng.uniform(60, 90) + rng.uniform(40, 120) * np.mod(rng.uniform(0.8, 1.6) * _time(count), 1)
    return (np.mod(np.cumsum(rate) / RATE, 1) < 0.1) * _filtered(rng, count, 2500, 7500)


def _hum(rng: np.random.Generator, count: int) -> Wave:
    note = rng.choice([50.0, 60.0]) * rng.uniform(0.98, 1.02)
    return sum(rng.uniform(0.2, 1) * np.sin(2 * np.pi * note * k * _time(count)) for k in (2, 4, 6, 8))


def _laser(rng: np.random.Generator, count: int) -> Wave:
    place = np.mod(rng.uniform(2, 5) * _time(count), 1)
    return np.exp(-4 * place) * _sweep(rng.uniform(2500, 5000) * np.exp(-3 * place) + 200)


def _wind(rng: np.random.Generator, count: int) -> Wave:
    howl = rng.uniform(300, 700) * (1 + 0.3 * np.sin(2 * np.pi * rng.uniform(0.2, 0.7) * _time(count)))
    return _sweep(howl) * _filtered(rng, count, 1, 12) / 3e-2 * 0.05 + 0.3 * _filtered(rng, count, 100, 600)


def _cat(rng: np.random.Generator, count: int) -> Wave:
    place = np.mod(rng.uniform(0.8, 1.4) * _time(count), 1)
    note = rng.uniform(350, 600) * (1 + 0.5 * np.sin(np.pi * np.clip(place / 0.7, 0, 1)))
    return (place < 0.7) * np.sin(np.pi * place / 0.7) * sum(_sweep(k * note) / k**0.7 for k in range(1, 10))


def _static(rng: np.random.Generator, count: int) -> Wave:
    return _filtered(rng, count, rng.uniform(200, 1500), rng.uniform(4000, 7900)) * _gate(
        count, rng.uniform(5, 15), 0.7, 0
    )


KINDS: dict[str, Callable[[np.random.Generator, int], Wave]] = {
    "dog": _dog,
    "whistle": _whistle,
    "siren": _siren,
    "rain": _rain,
    "saw": _saw,
    "frog": _frog,
    "cricket": _cricket,
    "thunder": _thunder,
    "applause": _applause,
    "fly": _fly,
    "zip": _zip,
    "hum": _hum,
    "laser": _laser,
    "wind": _wind,
    "cat": _cat,
    "static": _static,
}


def take(kind: str, rng: np.random.Generator, seconds: float) -> Wave:
    """One take, RMS 1, float64 [n]."""
    wave = KINDS[kind](rng, round(seconds * RATE))
    return wave / max(np.sqrt(np.mean(wave**2)), 1e-9)
