"""Records a description: 16 kHz mono samples, and when each word is heard."""

import io
import wave
from dataclasses import dataclass

import numpy as np

from ves.config.corpus import ScenesConfig
from ves.sources.scenes.description import Token
from ves.sources.scenes.espeak import Span, speak
from ves.sources.scenes.streams import generator

SAMPLE_RATE = 16_000
VARIANTS = {"Male": ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8"), "Female": ("f1", "f2", "f3", "f4", "f5")}


@dataclass(frozen=True, slots=True)
class Voice:
    """How one speaker sounds in every recording: espeak variant, pitch (0-99), rate (words a minute), room noise."""

    gender: str
    variant: str
    pitch: int
    rate: int
    noise_colour: float  # 0 white to 2 brown


@dataclass(frozen=True, slots=True)
class Recording:
    """`samples` int16 [n] at 16 kHz; `times` has (start, end) in seconds of each token, in order; `snr_db` is the ratio
    of speech to noise."""

    samples: np.ndarray
    times: list[tuple[float, float]]
    snr_db: float


def voice(seed: int, speaker: int) -> Voice:
    """The voice of speaker number `speaker`."""
    rng = generator(seed, "voice", speaker)
    gender = "Female" if rng.random() < 0.5 else "Male"
    pitch = int(rng.integers(45, 76)) if gender == "Female" else int(rng.integers(25, 56))
    rate = int(np.clip(rng.normal(175, 25), 115, 250))
    return Voice(gender, str(rng.choice(VARIANTS[gender])), pitch, rate, float(rng.uniform(0, 1.6)))


def _text(tokens: list[Token]) -> tuple[str, list[int]]:
    """The sentence for espeak, a comma where a pause is wanted, and where each token begins in it."""
    text, starts = "", []
    for token in tokens:
        starts.append(len(text))
        text += token.text + (", " if token.pause else " ")
    return text.rstrip(" ,"), starts


def _token_times(spans: list[Span], starts: list[int], tokens: list[Token]) -> list[tuple[float, float]]:
    """When each token is heard. espeak may split a token into several spans, or say several tokens as one span.

    Tokens that share a span share its time in proportion to their letters.
    """
    times: list[tuple[float, float] | None] = [None] * len(tokens)
    bounds = [*starts[1:], starts[-1] + len(tokens[-1].text) + 1]
    owners = [int(np.searchsorted(starts, span.position, side="right")) - 1 for span in spans]
    for span, owner in zip(spans, owners, strict=True):
        known = times[owner]
        times[owner] = (known[0] if known else span.start_s, span.end_s)
    first = 0
    while first < len(tokens):  # a run: one timed token and the untimed ones after it
        last = first + 1
        while last < len(tokens) and times[last] is None:
            last += 1
        start, end = times[first] or (0.0, 0.0)
        letters = np.cumsum([0, *(bounds[i] - starts[i] for i in range(first, last))])
        edges = start + (end - start) * letters / letters[-1]
        for i in range(first, last):
            times[i] = (float(edges[i - first]), float(edges[i - first + 1]))
        first = last
    return [time for time in times if time is not None]


def room_noise(rng: np.random.Generator, count: int, colour: float) -> np.ndarray:
    """Noise [count] of unit power whose spectrum falls off as frequency to the power -colour."""
    size = 1 << (count - 1).bit_length()
    spectrum = np.fft.rfft(rng.standard_normal(size, np.float32))
    frequency = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    spectrum *= np.maximum(frequency, 40.0) ** (-colour / 2)
    noise = np.fft.irfft(spectrum, size)[:count]
    return noise / np.sqrt(np.mean(noise**2))


def _spread(
    samples: np.ndarray, times: list[tuple[float, float]], gaps: dict[int, int], lead: int, tail: int
) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Put silence around the speech and, before each token in `gaps`, that many samples of it; shift the times."""
    pieces, shifted, done, delay = [np.zeros(lead, np.float32)], [], 0, lead
    for i, (start, end) in enumerate(times):
        if i in gaps:
            cut = round(start * SAMPLE_RATE)
            pieces += [samples[done:cut], np.zeros(gaps[i], np.float32)]
            done, delay = cut, delay + gaps[i]
        shifted.append((start + delay / SAMPLE_RATE, end + delay / SAMPLE_RATE))
    return np.concatenate([*pieces, samples[done:], np.zeros(tail, np.float32)]), shifted


@dataclass(frozen=True, slots=True)
class Speech:
    """What somebody says, without noise: float32 [n] at 16 kHz, when each token is heard, the RMS of the words."""

    samples: np.ndarray
    times: list[tuple[float, float]]
    loudness: np.floating


def utter(rng: np.random.Generator, who: Voice, espeak_voice: str, tokens: list[Token]) -> Speech:
    """These words in this voice, with silence around them and pauses between them."""
    rate, pitch = round(who.rate * rng.uniform(0.93, 1.07)), int(np.clip(who.pitch + rng.integers(-4, 5), 0, 99))
    text, starts = _text(tokens)
    speech = speak(text, f"{espeak_voice}+{who.variant}", rate, pitch)
    times = _token_times(speech.words, starts, tokens)
    gaps = {i + 1: int(rng.exponential(0.35) * SAMPLE_RATE) for i, token in enumerate(tokens[:-1]) if token.pause}
    lead, tail = (int(min(rng.exponential(0.22), 1.5) * SAMPLE_RATE) for _ in range(2))
    samples, times = _spread(speech.samples, times, gaps, lead, tail)
    return Speech(samples, times, np.sqrt(np.mean(speech.samples**2)))


def record(settings: ScenesConfig, clip: int, who: Voice, espeak_voice: str, tokens: list[Token]) -> Recording:
    """Clip number `clip`: these words in this voice, with silence around them, pauses between them, and noise."""
    rng = generator(settings.seed, "recording", clip)
    speech = utter(rng, who, espeak_voice, tokens)
    noise = room_noise(rng, len(speech.samples), who.noise_colour)
    snr_db = rng.uniform(*settings.snr_db)
    mixed = speech.samples + noise * speech.loudness * 10 ** (-snr_db / 20)
    level = rng.uniform(0.25, 0.95) / np.abs(mixed).max()
    return Recording(np.round(mixed * level * 32767).astype(np.int16), speech.times, float(snr_db))


def wav(samples: np.ndarray) -> bytes:
    """Samples int16 [n] as a WAV file, 16 kHz, mono, 16 bit, as Vaani stores them."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()
