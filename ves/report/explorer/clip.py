"""The data of one clip for the page: its sound, its picture, its words, and each model's similarity for all tokens.

Dimension key
    T audio tokens
"""

import base64
from typing import Any

import numpy as np
from jaxtyping import Float

from ves.evaluation.localisation.pointing import centres_inside
from ves.media.audio import RATE
from ves.media.encoding import peaks
from ves.media.geometry import Geometry
from ves.report.clips.spoken import Spoken
from ves.report.clips.viewing import Viewing
from ves.report.drawing.lettering import FORMS
from ves.report.drawing.overlay import scale_of

BARS = 250  # of the waveform: two to an audio token of 40 ms
LEVELS = 255  # a similarity is one of 256 values from the least to the greatest of its clip


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
    """The place of the greatest allowed value along the last axis; of exact values, since many levels are equal."""
    return np.where(allowed, values, -np.inf).argmax(-1).tolist()


def _right(viewing: Viewing, patches: list[Any], words: list[dict[str, Any]]) -> list[bool | None]:
    """Whether the patch that a run points at for each word has its centre on the object that the word names: the
    pointing game. None where there is no such patch, or the object is not known."""
    boxes, objects = viewing.geometry(viewing.picture.size).patch_boxes(*viewing.grid), viewing.objects
    return [
        None if patch is None or word["object"] not in objects
        else bool(centres_inside(boxes[[patch]], objects[word["object"]])[0])
        for patch, word in zip(patches, words, strict=True)
    ]  # fmt: skip


def _run_data(
    similarity: Float[np.ndarray, "T rows columns"], viewing: Viewing, words: list[dict[str, Any]]
) -> dict[str, Any]:
    """What one run finds: its levels, the most similar patch for each token and each word (null for a word without
    tokens) and whether that is right, and the most similar token for each patch."""
    flat, visible = similarity.reshape(len(similarity), -1), viewing.visible.ravel()
    tokens = [word["tokens"] for word in words]
    patches = [_best(flat[own].mean(0), visible) if own else None for own in tokens]
    return {
        "similarity": _quantised(similarity, viewing.scale.low, viewing.scale.high),
        "hottest": _best(flat, visible),
        "words": patches,
        "right": _right(viewing, patches, words),
        "moments": _best(flat.T, viewing.valid),
    }


def _rise_of_words(viewing: Viewing, words: list[dict[str, Any]]) -> float:
    """The greatest rise of the mean heat of a word above its median, over all runs: as plates have one scale for words,
    whose means are smoother than moments. 0 without words."""
    heats = [heat[:, viewing.visible] for heat in viewing.similarity.values()]
    means = [heat[word["tokens"]].mean(0) for heat in heats for word in words if word["tokens"]]
    return scale_of(means).rise if means else 0.0


def _word(spoken: Spoken, viewing: Viewing, seconds: float) -> dict[str, Any]:
    """A word with its tokens; it has none where the models do not hear all of it."""
    within = spoken.end_s <= seconds
    tokens = viewing.frames.within(spoken.start_s, spoken.end_s, len(viewing.valid)) & viewing.valid & within
    about = {"text": spoken.text, "english": spoken.english, "role": spoken.role, "object": spoken.object}
    return about | {"start": spoken.start_s, "end": spoken.end_s, "tokens": np.flatnonzero(tokens).tolist()}


def clip_data(viewing: Viewing, seconds: float) -> dict[str, Any]:
    """All data of a clip except its files and its neighbours, ready for JSON.

    `seconds` is the length of the window, which the sound may fill in part. The scale is that of the films, one for all
    runs, of the similarities of valid tokens and patches of the picture.
    """
    low, high = viewing.scale.low, viewing.scale.high
    start, stop = viewing.frames.span(0)
    window = np.zeros(max(round(seconds * RATE), len(viewing.samples)), np.int16)
    window[: len(viewing.samples)] = viewing.samples
    words = [_word(spoken, viewing, seconds) for spoken in viewing.words or viewing.shown]
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
        "shown": _bytes(viewing.visible),
        "seconds": len(window) / RATE,
        "sound_seconds": viewing.seconds,
        "first": start,
        "hop": stop - start,
        "valid": _bytes(viewing.valid),
        "peaks": _bytes(peaks(window, BARS)),
        "scale": [low, high],
        "rises": {"moment": viewing.scale.rise, "word": _rise_of_words(viewing, words)},
        "runs": {run: _run_data(values, viewing, words) for run, values in viewing.similarity.items()},
    }
