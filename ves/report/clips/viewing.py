"""One clip as models see it: the picture, the sound, what is said, and the similarity of each moment to each patch.

Plates, strips, films and panels are all drawn from a Viewing, whether it comes from the embeddings of clips
(ves.report.clips.views) or from somebody's own picture and voice (ves.models.localise).

Dimension key
    T audio tokens    P image patches, rows x columns
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Float32, Int16
from PIL import Image

from ves.media.audio import RATE, FrameGrid
from ves.media.geometry import Geometry
from ves.report.clips.spoken import Spoken, moments
from ves.report.drawing.overlay import Scale, scale_of
from ves.similarity.pairwise import mean_heat

COSINE = "cosine similarity"  # what heat is, in words
PRODUCT = "inner product in units of the mean lengths of tokens (of tokens of length 1, the cosine)"


@dataclass(frozen=True, eq=False)
class Viewing:
    """One clip: what is known of it, and what each run finds in it."""

    name: str  # its files begin with this
    clip_id: str
    language: str  # empty where unknown
    words: Sequence[Spoken]  # all that is said; empty without word timings
    transcript: str  # of a clip without word timings, if there is one
    picture: Image.Image
    samples: Int16[np.ndarray, " n"]  # at 16 kHz, of as much as the models hear
    shown: Sequence[Spoken]  # the words that a figure shows, or moments of sharpest similarity
    masks: Sequence[np.ndarray | None]  # of the object that each of `shown` names, at the picture's resolution
    similarity: Mapping[str, Float32[np.ndarray, "T rows columns"]]  # by run, as `measure` says
    valid: Bool[np.ndarray, " T"]  # tokens that count: neither padding nor, for some models, pauses
    frames: FrameGrid
    image_size: int
    fit: str
    measure: str = COSINE

    @property
    def objects(self) -> dict[int, np.ndarray]:
        """The masks that are known, by the number of their object."""
        pairs = zip(self.shown, self.masks, strict=True)
        return {word.object: mask for word, mask in pairs if mask is not None}

    @property
    def description(self) -> str:
        """What is said, in its script; empty where unknown."""
        return " ".join(word.text for word in self.words) or self.transcript

    @property
    def heading(self) -> str:
        """The heading of its figures."""
        return self.language or "your picture and voice"

    @property
    def gloss(self) -> str:
        """What is said, in English, phrase by phrase; empty where unknown."""
        return " · ".join(word.english for word in self.words)

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        rows, columns = next(iter(self.similarity.values())).shape[1:]
        return rows, columns

    def geometry(self, size: tuple[int, int]) -> Geometry:
        """The geometry of the picture at another size (width, height): the same square, other pixels."""
        return Geometry(*size, self.image_size, self.fit)

    @cached_property
    def scale(self) -> Scale:
        """One for all runs and moments: that of the similarities of valid tokens and visible patches."""
        return scale_of(heat[self.valid][:, self.visible] for heat in self.similarity.values())

    @cached_property
    def visible(self) -> Bool[np.ndarray, "rows columns"]:
        """Patches that show some of the picture."""
        return self.geometry(self.picture.size).patch_mask(*self.grid).reshape(self.grid)

    @property
    def centres_s(self) -> Float[np.ndarray, " T"]:
        """The moment that each token stands for."""
        return self.frames.span(0)[0] + self.frames.hop_s * (np.arange(len(self.valid)) + 0.5)

    def sharpest(self, count: int) -> list[Spoken]:
        """The moments of sharpest similarity over all runs: see ves.report.clips.spoken.moments."""
        sharpness = np.stack([heat[:, self.visible].max(1) for heat in self.similarity.values()])
        return moments(sharpness, self.valid, self.centres_s, count)

    def at_moments(self, moments: Sequence[Spoken]) -> "Viewing":
        """This clip with these moments to show, which name no object."""
        return replace(self, shown=moments, masks=[None] * len(moments))

    def first(self) -> "Viewing":
        """This clip with one thing to show: its first noun (without a noun its first word), or its sharpest moment."""
        if not self.words:
            return self.at_moments(self.sharpest(1))
        roles = [word.role for word in self.shown]
        chosen = roles.index("noun") if "noun" in roles else 0
        return replace(self, shown=[self.shown[chosen]], masks=[self.masks[chosen]])

    def token_at(self, second: float) -> int:
        """The token that stands for a moment; the first valid one for earlier moments, the last one for later ones."""
        valid = np.flatnonzero(self.valid)
        place = int((second - self.frames.span(0)[0]) // self.frames.hop_s)
        return min(max(place, int(valid[0])), int(valid[-1]))

    def heat(self, run: str, token: int) -> Float[np.ndarray, "rows columns"]:
        """The heat of one token by a run; NaN if the token is not valid (a pause, for models that leave pauses out)."""
        return self.similarity[run][token] if self.valid[token] else np.full(self.grid, np.nan, np.float32)

    def says(self, second: float) -> bool:
        """Whether anything is said at a moment, as far as is known: without word timings it always may be."""
        return not self.words or any(word.start_s <= second < word.end_s for word in self.words)

    def over(self, run: str, start_s: float, end_s: float) -> Float[np.ndarray, "rows columns"]:
        """The mean heat over the valid tokens of a stretch of time: the rule that localisation is measured by.

        NaN where none is valid.
        """
        chosen = self.frames.within(start_s, end_s, len(self.valid)) & self.valid
        return mean_heat(self.similarity[run], chosen)
