"""What the page is told of one clip: its sound, its picture, its words, and each model's similarity of all tokens.

Dimension key
    T audio tokens
"""

import base64
from typing import Any

import numpy as np
from jaxtyping import Float

from ves.media.audio import RATE
from ves.media.encoding import peaks
from ves.media.geometry import Geometry
from ves.report.clips.spoken import Spoken
from ves.report.clips.viewing import Viewing
from ves.report.drawing.lettering import FORMS

BARS = 250  # of the waveform: two to an audio token of 40 ms
LEVELS = 255  # a similarity is told as one of 256 values between the least and the greatest of its clip and run


def _square(geometry: Geometry) -> list[float]:
    """Left, top, width and height of the square that the model sees, as shares of the picture (padding: beyond it)."""
    x, y = (axis.to_picture(np.array([0.0, geometry.size])) for axis in (geometry.x, geometry.y))
    width, height = geometry.width, geometry.height
    return [x[0] / width, y[0] / height, (x[1] - x[0]) / width, (y[1] - y[0]) / height]


def _bytes(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, np.uint8).tobytes()).decode()


def _quantised(similarity: Float[np.ndarray, "T rows columns"], low: float, high: float) -> str:
    """uint8 [T, rows, columns] in base64: LEVELS steps from low to high."""
    return _bytes(((similarity - low) / max(high - low, 1e-6) * LEVELS).round().clip(0, LEVELS))


def _best(values: np.ndarray, allowed: np.ndarray) -> int | list[int]:
    """The place of the greatest allowed value along the last axis: of the numbers as they are, not of their levels, of
    which many are equal."""
    return np.where(allowed, values, -np.inf).argmax(-1).tolist()


def _told_run(
    similarity: Float[np.ndarray, "T rows columns"], viewing: Viewing, words: list[list[int]]
) -> dict[str, Any]:
    """What one run finds: its levels; the most similar patch of each token and of each word (of its tokens; null
    without any), and the token that is most like each patch."""
    flat, seen = similarity.reshape(len(similarity), -1), viewing.seen.ravel()
    return {
        "similarity": _quantised(similarity, viewing.scale.low, viewing.scale.high),
        "hottest": _best(flat, seen),
        "words": [_best(flat[tokens].mean(0), seen) if tokens else None for tokens in words],
        "moments": _best(flat.T, viewing.valid),
    }


def _word(spoken: Spoken, viewing: Viewing, seconds: float) -> dict[str, Any]:
    """A word with the tokens that it is made of; none where the models do not hear all of it."""
    heard = spoken.end_s <= seconds
    tokens = viewing.frames.within(spoken.start_s, spoken.end_s, len(viewing.valid)) & viewing.valid & heard
    about = {"text": spoken.text, "english": spoken.english, "role": spoken.role}
    return about | {"start": spoken.start_s, "end": spoken.end_s, "tokens": np.flatnonzero(tokens).tolist()}


def told(viewing: Viewing, seconds: float) -> dict[str, Any]:
    """All that the page shows of a clip but its files and its neighbours, ready for JSON.

    `seconds` is the window, of which what is heard may fill a part. The scale is that of the films, one for all runs:
    the least to the greatest similarity of any token that counts to any patch of the picture.
    """
    low, high = viewing.scale.low, viewing.scale.high
    start, stop = viewing.frames.span(0)
    window = np.zeros(max(round(seconds * RATE), len(viewing.samples)), np.int16)
    window[: len(viewing.samples)] = viewing.samples
    words = [_word(spoken, viewing, seconds) for spoken in viewing.words or viewing.shown]
    tokens = [word["tokens"] for word in words]
    return {
        "id": viewing.clip_id,
        "language": viewing.heading,
        "lang": FORMS.get(viewing.language, ""),
        "description": viewing.description,
        "gloss": viewing.gloss,
        "words": words,
        "size": list(viewing.picture.size),
        "square": [round(share, 6) for share in _square(viewing.geometry(viewing.picture.size))],
        "grid": list(viewing.grid),
        "shown": _bytes(viewing.seen),
        "seconds": len(window) / RATE,
        "heard": viewing.seconds,
        "first": start,
        "hop": stop - start,
        "valid": _bytes(viewing.valid),
        "peaks": _bytes(peaks(window, BARS)),
        "scale": [low, high],
        "runs": {run: _told_run(values, viewing, tokens) for run, values in viewing.similarity.items()},
    }
