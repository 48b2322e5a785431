"""Twelve kinds of things as they sound, synthesised: bells ring, birds chirp, somebody knocks at a house.

Each kind has four parameters between bounds. A person has a way of making each sound (`Maker`): a place between the
bounds, near which all of that person's sounds are. So a bell of somebody who was never heard is still a bell, but not
one that was heard, as with voices.

Dimension key
    n samples at 16 kHz
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from ves.sources.scenes.recording import SAMPLE_RATE
from ves.sources.scenes.streams import generator

OWN = 0.07  # standard deviation of one sound from its maker's way, as a share of the bounds
FADE = SAMPLE_RATE // 200  # samples
PARTIALS = np.array([0.5, 1.0, 1.19, 1.56, 2.0, 2.66, 3.76, 5.4])  # of a bell, to its strike note

type Wave = Float[np.ndarray, " _"]


@dataclass(frozen=True, slots=True)
class Maker:
    """How one person makes each sound: for each kind, four numbers from 0 to 1."""

    ways: Mapping[str, np.ndarray]


def maker(seed: int, person: int) -> Maker:
    """The maker of person number `person`."""
    rng = generator(seed, "maker", person)
    return Maker({kind: rng.random(4) for kind in SOUNDING})


def sound(kind: str, who: Maker, rng: np.random.Generator, seconds: float) -> Float32[np.ndarray, " n"]:
    """A sound of this kind, as long as asked for, with RMS 1. Raises KeyError for a kind that does not sound."""
    make, bounds = _KINDS[kind]
    places = np.clip(who.ways[kind] + rng.normal(0, OWN, 4), 0, 1)
    values = [low + (high - low) * place for (low, high), place in zip(bounds, places, strict=True)]
    count = round(seconds * SAMPLE_RATE)
    wave = make(rng, count, *values)
    fade = min(FADE, count // 2)
    ramp = np.linspace(0, 1, fade)
    wave[:fade] *= ramp
    wave[count - fade :] *= ramp[::-1]
    return (wave / np.sqrt(np.mean(wave**2))).astype(np.float32)


def _time(count: int) -> Wave:
    return np.arange(count) / SAMPLE_RATE


def _ring(frequency: float, decay_s: float) -> Wave:
    """A damped sinusoid until it has died away."""
    time = _time(round(7 * decay_s * SAMPLE_RATE))
    return np.exp(-time / decay_s) * np.sin(2 * np.pi * frequency * time)


def _chord(*tones: tuple[float, float, float]) -> Wave:
    """Damped sinusoids at once, each given as its size, frequency and decay."""
    rings = [size * _ring(frequency, decay_s) for size, frequency, decay_s in tones]
    whole = np.zeros(max(map(len, rings)))
    for ring in rings:
        whole[: len(ring)] += ring
    return whole


def _lay(count: int, starts_s: list[float], strikes: list[Wave]) -> Wave:
    """Sounds one over another, each from its own start; what lies beyond the end is cut."""
    wave = np.zeros(count)
    for start_s, strike in zip(starts_s, strikes, strict=True):
        begin = round(start_s * SAMPLE_RATE)
        part = strike[: max(count - begin, 0)]
        wave[begin : begin + len(part)] += part
    return wave


def _regular(rng: np.random.Generator, count: int, a_second: float, jitter: float) -> list[float]:
    """Seconds at which something happens again and again, the first time at once; jitter is a share of the period."""
    period = 1 / a_second
    times = np.arange(0, count / SAMPLE_RATE, period)
    return (times + np.concatenate([[0], rng.uniform(0, jitter * period, len(times) - 1)])).tolist()


def _band(rng: np.random.Generator, count: int, centre: float, width: float) -> Wave:
    """Noise about a frequency: a bell curve over the logarithm of frequency, `width` octaves wide."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequency = np.maximum(np.fft.rfftfreq(count, 1 / SAMPLE_RATE), 1.0)
    return np.fft.irfft(spectrum * np.exp(-0.5 * (np.log2(frequency / centre) / width) ** 2), count)


def _bell(rng: np.random.Generator, count: int, note: float, decay: float, bright: float, rate: float) -> Wave:
    starts = _regular(rng, count, rate, 0.1)
    sizes = PARTIALS ** (bright - 1.5)
    tones = zip(sizes, note * PARTIALS, decay / PARTIALS**0.7, strict=True)
    strike = _chord(*(tone for tone in tones if tone[1] < 7600))
    return _lay(count, starts, [strike * rng.uniform(0.7, 1) for _ in starts])


def _bird(rng: np.random.Generator, count: int, centre: float, sweep: float, rate: float, bend: float) -> Wave:
    starts, strikes = _regular(rng, count, rate, 0.3), []
    for _ in starts:
        time = _time(round(rng.uniform(0.05, 0.09) * SAMPLE_RATE))
        share = time / time[-1]
        frequency = centre * rng.uniform(0.94, 1.06) + sweep * (bend * share + (1 - bend) * np.sin(np.pi * share))
        phase = 2 * np.pi * np.cumsum(np.minimum(frequency, 7400)) / SAMPLE_RATE
        strikes.append(np.sin(phase) * np.sin(np.pi * share) ** 2)
    return _lay(count, starts, strikes)


def _car(rng: np.random.Generator, count: int, note: float, rough: float, shake: float, bright: float) -> Wave:
    time, wave = _time(count), np.zeros(count)
    drift = np.cumsum(rng.standard_normal(count)) / SAMPLE_RATE * 6
    phase = 2 * np.pi * (note * time + drift)
    for harmonic in range(1, 40):
        wave += harmonic**-bright * np.sin(harmonic * phase + rng.uniform(0, 2 * np.pi))
    wave *= 1 + 0.5 * np.sin(2 * np.pi * shake * time)
    return wave + rough * _band(rng, count, 250.0, 1.0)


def _clock(rng: np.random.Generator, count: int, rate: float, note: float, decay: float, second: float) -> Wave:
    starts = _regular(rng, count, rate, 0.0)
    ticks = [_chord((1.0, note, decay)), _chord((second, note * 0.8, decay))]
    return _lay(count, starts, [ticks[i % 2] * rng.uniform(0.9, 1) for i in range(len(starts))])


def _ball(rng: np.random.Generator, count: int, gap: float, bounce: float, note: float, decay: float) -> Wave:
    starts, sizes, now, wait, size = [], [], 0.0, gap, 1.0
    while now < count / SAMPLE_RATE:
        starts.append(now)
        sizes.append(size)
        now, wait, size = now + wait, wait * bounce, size * bounce
        if wait < 0.06:  # it lies still, and is thrown again
            now, wait, size = now + 0.15, gap, 1.0
    thud = _chord((1.0, note, decay), (0.5, note * 2.3, decay / 3))
    return _lay(count, starts, [thud * size for size in sizes])


def _key(rng: np.random.Generator, count: int, rate: float, note: float, decay: float, spread: float) -> Wave:
    starts = np.sort(rng.uniform(0, count / SAMPLE_RATE, max(2, round(rate * count / SAMPLE_RATE)))).tolist()
    notes = np.clip(note * (1 + spread * rng.uniform(-1, 1, len(starts))), 4000, 7800)
    return _lay(count, starts, [rng.uniform(0.3, 1) * _ring(float(one), decay) for one in notes])


def _bottle(rng: np.random.Generator, count: int, note: float, sharp: float, breath: float, rate: float) -> Wave:
    puffs = np.clip(np.sin(2 * np.pi * rate * _time(count)) + 0.9, 0, None)
    tone = _band(rng, count, note, sharp)
    air = _band(rng, count, 2200.0, 0.8)
    return puffs * (tone / tone.std() + breath * air / air.std())


def _boat(rng: np.random.Generator, count: int, note: float, attack: float, second: float, bright: float) -> Wave:
    time, wave = _time(count), np.zeros(count)
    for harmonic in range(1, 24):
        for ratio in (1.0, second):
            wave += harmonic**-bright * np.sin(2 * np.pi * note * ratio * harmonic * time + rng.uniform(0, 6.28))
    return wave * np.minimum(1, 0.1 + time / attack)


def _kite(rng: np.random.Generator, count: int, rate: float, centre: float, width: float, snap: float) -> Wave:
    beat = np.mod(rate * _time(count) + rng.uniform(), 1)
    return _band(rng, count, centre, width) * np.exp(-beat * snap)


def _tree(rng: np.random.Generator, count: int, centre: float, rate: float, depth: float, width: float) -> Wave:
    gusts = 1 + depth * np.sin(2 * np.pi * rate * _time(count) + rng.uniform(0, 6.28))
    return _band(rng, count, centre, width) * gusts


def _cup(rng: np.random.Generator, count: int, rate: float, note: float, rise: float, decay: float) -> Wave:
    starts = np.sort(rng.uniform(0, count / SAMPLE_RATE, max(3, round(rate * count / SAMPLE_RATE)))).tolist()
    strikes = []
    for start in starts:
        time = _time(round(6 * decay * SAMPLE_RATE))
        base = note * rise ** (start / 2) * rng.uniform(0.75, 1.3)
        phase = 2 * np.pi * np.cumsum(np.minimum(base * (1 + 6 * time), 5000)) / SAMPLE_RATE
        strikes.append(rng.uniform(0.4, 1) * np.exp(-time / decay) * np.sin(phase))
    return _lay(count, starts, strikes)


def _house(rng: np.random.Generator, count: int, rate: float, gap: float, note: float, decay: float) -> Wave:
    pairs = _regular(rng, count, rate, 0.1)
    starts = [start + delay for start in pairs for delay in (0.0, gap)]
    knock = _chord((1.0, note, decay), (0.6, note * 2.7, decay / 2), (0.3, note * 5.1, decay / 4))
    return _lay(count, starts, [knock * rng.uniform(0.7, 1) for _ in starts])


# what makes the sound of each kind, and the bounds of its parameters (Hz, seconds, times a second, or shares)
_KINDS: dict[str, tuple[Callable[..., Wave], tuple[tuple[float, float], ...]]] = {
    "bell": (_bell, ((350, 900), (0.3, 1.2), (0.3, 1.0), (1.2, 2.6))),
    "bird": (_bird, ((2400, 4800), (400, 1600), (5, 10), (0, 1))),
    "car": (_car, ((30, 60), (0.1, 0.6), (3, 9), (0.5, 1.1))),
    "clock": (_clock, ((3, 6), (1500, 2600), (0.003, 0.009), (0.4, 0.9))),
    "ball": (_ball, ((0.3, 0.55), (0.68, 0.85), (150, 400), (0.025, 0.06))),
    "key": (_key, ((14, 40), (6000, 7400), (0.003, 0.010), (0.02, 0.15))),
    "bottle": (_bottle, ((150, 320), (0.02, 0.07), (0.05, 0.4), (1.5, 3.5))),
    "boat": (_boat, ((90, 140), (0.1, 0.35), (1.18, 1.5), (0.4, 1.0))),
    "kite": (_kite, ((3.5, 8), (300, 900), (0.5, 1.0), (4, 12))),
    "tree": (_tree, ((900, 2600), (0.4, 1.2), (0.2, 0.6), (0.5, 1.0))),
    "cup": (_cup, ((18, 45), (400, 900), (1.2, 2.2), (0.010, 0.030))),
    "house": (_house, ((1.8, 3.0), (0.12, 0.22), (160, 340), (0.015, 0.040))),
}
SOUNDING = tuple(_KINDS)
