"""Speech from espeak-ng, with the time of every word and phoneme.

The library comes with the `espeakng_loader` wheel and is called through ctypes; the constants below are those of its
`speak_lib.h`. It keeps process-wide state and is not thread-safe, so a lock serialises the calls, and parallel
synthesis takes one process per worker. Part of that state (pitch flutter, roughness, the random numbers of breathy
voices) leaks from one text into the next and no call resets it: two sayings of one text differ by a few samples. The
library is therefore loaded anew for each text (0.3 ms) with its random seed fixed, which makes the samples a function
of the arguments alone.
"""

import ctypes
import math
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import espeakng_loader
import numpy as np
from scipy.signal import firwin, resample_poly

SAMPLE_RATE = 16_000
ESPEAK_RATE = 22_050
SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: espeak_Synth returns when all is said
PHONEME_EVENTS = 1  # option of espeak_Initialize
CHARS_UTF8 = 1  # flag of espeak_Synth
RATE, PITCH = 1, 3  # espeak_PARAMETER
END_OF_EVENTS, WORD, PHONEME = 0, 1, 7  # espeak_EVENT_TYPE
STRESS_MARKS = "',%="  # stand before a phoneme's name and are not part of it
PAUSE = "_"  # names of pauses begin with it
SWITCH = "("  # and those of changes of language, such as `(en)`, which are no sound
SILENCE = 0.003  # of full scale: below it at the end, nothing is being said
LOCK = threading.Lock()


class _Event(ctypes.Structure):
    """`espeak_EVENT`: `text_position` counts characters from 1, `sample` counts samples at ESPEAK_RATE from 0."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    ]


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True, slots=True)
class Span:
    """A word or phoneme and when it is heard, in seconds; `position` is where its word begins in the text."""

    text: str
    start_s: float
    end_s: float
    position: int


@dataclass(frozen=True, slots=True)
class Speech:
    """Mono samples at 16 kHz in [-1, 1] without trailing silence; `phonemes` is empty unless asked for."""

    samples: np.ndarray
    words: list[Span]
    phonemes: list[Span]


@cache
def _resolve(voice: str) -> str:
    """The language file of a voice such as `hi` or `hi+f2`, as espeak takes it (`inc/hi+f2`); a path needs no search.

    Raises ValueError for a language or a variant that espeak does not have (espeak itself ignores unknown variants).
    """
    data = Path(espeakng_loader.get_data_path())
    language, plus, variant = voice.partition("+")
    files = sorted(path for path in (data / "lang").rglob("*") if path.name == language and path.is_file())
    if not files:
        raise ValueError(f"espeak-ng has no voice for the language {language!r} (voice {voice!r})")
    if plus and not (data / "voices" / "!v" / variant).is_file():
        raise ValueError(f"espeak-ng has no variant {variant!r} (voice {voice!r}): f1-f5, m1-m8 and some names exist")
    return str(files[0].relative_to(data / "lang")) + plus + variant


def _synthesise(text: str, voice: str, rate: int, pitch: int) -> tuple[np.ndarray, list[tuple[int, int, int, str]]]:
    """Samples [n] int16 at ESPEAK_RATE and the events (type, sample, text position from 0, text), in order."""
    chunks: list[np.ndarray] = []
    events: list[tuple[int, int, int, str]] = []

    def receive(samples, count: int, event) -> int:
        if count > 0:
            chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while event[index].type != END_OF_EVENTS:
            one = event[index]
            position = one.text_position - 1
            if one.type == WORD:
                events.append((WORD, one.sample, position, text[position : position + one.length]))
            elif one.type == PHONEME:
                events.append((PHONEME, one.sample, position, one.name.decode(errors="replace").lstrip(STRESS_MARKS)))
            index += 1
        return 0

    callback = _CALLBACK(receive)  # held here: the library keeps only a pointer
    encoded, data = text.encode(), espeakng_loader.get_data_path()
    with LOCK:
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        try:
            if library.espeak_Initialize(SYNCHRONOUS, 0, data.encode(), PHONEME_EVENTS) != ESPEAK_RATE:
                raise OSError(f"espeak-ng does not start from {data}; reinstall espeakng_loader, in a shorter path")
            library.espeak_SetSynthCallback(callback)
            if library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise ValueError(f"espeak-ng refuses the voice {voice!r}")
            library.espeak_SetParameter(RATE, rate, 0)
            library.espeak_SetParameter(PITCH, pitch, 0)
            library.espeak_ng_SetRandSeed(1)
            library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, CHARS_UTF8, None, None)
        finally:
            library.espeak_Terminate()
            ctypes.CDLL(None).dlclose(ctypes.c_void_p(library._handle))
    return np.concatenate(chunks) if chunks else np.zeros(0, np.int16), events


def _spans(events: list[tuple[int, int, int, str]], kind: int, end: int) -> list[Span]:
    """Spans of the events of one kind: each ends where the next of them, or a pause, begins, or with the speech.

    A word that espeak spells out letter by letter comes as several events of one position: they become one span.
    """
    spans: list[Span] = []
    for index, (event, start, position, name) in enumerate(events):
        if event != kind or name.startswith((PAUSE, SWITCH)) or start >= end:
            continue
        following = (e[1] for e in events[index + 1 :] if e[0] == kind or e[3].startswith(PAUSE))
        stop = min(next(following, end), end)
        spelt = kind == WORD and bool(spans) and spans[-1].position == position
        first = spans.pop().start_s if spelt else start / ESPEAK_RATE
        spans.append(Span(name, first, stop / ESPEAK_RATE, position))
    return spans


@cache
def _low_pass() -> np.ndarray:
    """The filter that resample_poly designs for these rates by default; it would do so for every clip."""
    most = max(SAMPLE_RATE, ESPEAK_RATE) // math.gcd(SAMPLE_RATE, ESPEAK_RATE)
    kaiser: Any = ("kaiser", 5.0)  # scipy declares names of windows only
    taps: Any = firwin(20 * most + 1, 1 / most, window=kaiser)
    return taps.astype(np.float32)


def speak(text: str, voice: str, rate: int = 160, pitch: int = 50, phonemes: bool = False) -> Speech:
    """Say `text` with an espeak voice (`hi`, `bn+m3`); `rate` in words a minute (80-450), `pitch` 0-99.

    The same arguments give the same samples, whatever was said before. Word starts are those of espeak's own events.
    Raises ValueError for an unknown voice, or when nothing audible comes out; OSError when the library does not start.
    """
    samples, events = _synthesise(text, _resolve(voice), rate, pitch)
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > SILENCE * 32768)
    if len(loud) == 0:
        raise ValueError(f"espeak-ng says nothing for {text!r} with voice {voice!r}")
    end = int(loud[-1]) + 1
    heard = resample_poly(samples[:end].astype(np.float32) / 32768, SAMPLE_RATE, ESPEAK_RATE, window=_low_pass())
    return Speech(
        np.clip(heard, -1, 1).astype(np.float32),
        _spans(events, WORD, end),
        _spans(events, PHONEME, end) if phonemes else [],
    )
