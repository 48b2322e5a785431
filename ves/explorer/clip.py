"""What the page is told of one clip: its sound, its picture, its words, and each model's similarity of all tokens.

Dimension key
    T audio tokens    P image patches
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int16
from PIL import Image

from ves.audio import RATE, FrameGrid
from ves.explorer.media import peaks
from ves.geometry import Geometry
from ves.lettering import FORMS
from ves.spoken import Spoken

BARS = 250  # of the waveform: two to an audio token of 40 ms
LEVELS = 255  # a similarity is told as one of 256 values between the least and the greatest of its clip and run


@dataclass(frozen=True, eq=False)
class Clip:
    """One clip as the models have it. `similarity` holds, per run, the cosine of each audio token to each patch."""

    clip_id: str
    language: str
    description: str  # in its script; empty where unknown
    gloss: str  # in English, likewise
    spoken: Sequence[Spoken]  # words, or moments
    samples: Int16[np.ndarray, " n"]  # what the models hear, without padding
    seconds: float  # of the window
    picture: Image.Image
    frames: FrameGrid
    valid: Bool[np.ndarray, " T"]
    grid: tuple[int, int]  # rows and columns of patches
    image_size: int
    fit: str
    similarity: Mapping[str, Float[np.ndarray, "T P"]]

    @property
    def geometry(self) -> Geometry:
        return Geometry(*self.picture.size, self.image_size, self.fit)

    @property
    def shown(self) -> Bool[np.ndarray, " P"]:
        """Patches that show any of the picture."""
        return self.geometry.patch_mask(*self.grid)


def _square(geometry: Geometry) -> list[float]:
    """Left, top, width and height of the square that the model sees, as shares of the picture (padding: beyond it)."""
    x, y = (axis.to_picture(np.array([0.0, geometry.size])) for axis in (geometry.x, geometry.y))
    width, height = geometry.width, geometry.height
    return [x[0] / width, y[0] / height, (x[1] - x[0]) / width, (y[1] - y[0]) / height]


def _bytes(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, np.uint8).tobytes()).decode()


def _quantised(similarity: Float[np.ndarray, "T P"], low: float, high: float) -> str:
    """uint8 [T, P] in base64: LEVELS steps from low to high."""
    return _bytes(((similarity - low) / max(high - low, 1e-6) * LEVELS).round().clip(0, LEVELS))


def _word(spoken: Spoken, clip: Clip) -> dict[str, Any]:
    """A word with the tokens that it is made of; none where the models do not hear all of it."""
    heard = spoken.end_s <= clip.seconds
    tokens = clip.frames.within(spoken.start_s, spoken.end_s, len(clip.valid)) & clip.valid & heard
    about = {"text": spoken.text, "english": spoken.english, "role": spoken.role}
    return about | {"start": spoken.start_s, "end": spoken.end_s, "tokens": np.flatnonzero(tokens).tolist()}


def told(clip: Clip) -> dict[str, Any]:
    """All that the page shows of a clip but its files and its neighbours, ready for JSON.

    One scale for all runs, from the least to the greatest similarity of any valid token to any patch of the picture.
    """
    seen = [values[clip.valid][:, clip.shown] for values in clip.similarity.values()]
    low, high = (float(end(values)) for end, values in ((min, map(np.min, seen)), (max, map(np.max, seen))))
    start, stop = clip.frames.span(0)
    window = np.zeros(round(clip.seconds * RATE), np.int16)
    window[: len(clip.samples)] = clip.samples
    return {
        "id": clip.clip_id,
        "language": clip.language,
        "lang": FORMS.get(clip.language, ""),
        "description": clip.description,
        "gloss": clip.gloss,
        "words": [_word(spoken, clip) for spoken in clip.spoken],
        "size": list(clip.picture.size),
        "square": [round(share, 6) for share in _square(clip.geometry)],
        "grid": list(clip.grid),
        "shown": _bytes(clip.shown),
        "seconds": clip.seconds,
        "heard": len(clip.samples) / RATE,
        "first": start,
        "hop": stop - start,
        "valid": _bytes(clip.valid),
        "peaks": _bytes(peaks(window, BARS)),
        "scale": [low, high],
        "runs": {run: {"similarity": _quantised(values, low, high)} for run, values in clip.similarity.items()},
    }
