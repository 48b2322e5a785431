"""One clip as models see it: the picture, the sound, what is said, and the similarity of each moment to each patch.

Plates, strips, films and panels are all drawn from a Viewing, whether it comes from the embeddings of validation clips
(`views`) or from somebody's own picture and voice (ves.models.localise).

Dimension key
    T audio tokens    P image patches, rows x columns
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool, Float, Float32, Int16
from PIL import Image

from ves.config.experiment import DataPaths
from ves.evaluation.truth import NoTruth, decode_mask, objects, transcripts
from ves.media.audio import RATE, FrameGrid
from ves.media.geometry import Geometry
from ves.report.clips import lookup
from ves.report.clips.comparison import Comparison
from ves.report.clips.lookup import Row
from ves.report.clips.spoken import MOMENTS, Spoken, choose, moments, phrases, shown_words
from ves.report.drawing import lettering
from ves.report.drawing.overlay import Scale, scale_of
from ves.similarity.pairwise import mean_heat
from ves.store.audio import AudioStore

log = logging.getLogger(__name__)

Masks = Mapping[tuple[str, int], bytes]  # encoded, by image_id and object


@dataclass(frozen=True, eq=False)
class Viewing:
    """What is known of one clip, and what each run sees in it."""

    name: str  # files of it begin with this
    clip_id: str
    language: str  # empty where unknown
    words: Sequence[Spoken]  # all that is said; empty where nobody timed it
    transcript: str  # of such a clip, where there is one
    picture: Image.Image
    samples: Int16[np.ndarray, " n"]  # at 16 kHz, of as much as the models hear
    shown: Sequence[Spoken]  # the words that a figure shows, or moments of sharpest similarity
    masks: Sequence[np.ndarray | None]  # of the object that each of `shown` names, at the picture's resolution
    similarity: Mapping[str, Float32[np.ndarray, "T rows columns"]]  # cosines, by run
    valid: Bool[np.ndarray, " T"]  # tokens that count
    frames: FrameGrid
    image_size: int
    fit: str

    @property
    def description(self) -> str:
        """What is said, in its script; empty where unknown."""
        return " ".join(word.text for word in self.words) or self.transcript

    @property
    def heading(self) -> str:
        """Above whatever is drawn of it."""
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
        """Of the picture as drawn, width and height: the same square, other pixels."""
        return Geometry(*size, self.image_size, self.fit)

    @cached_property
    def scale(self) -> Scale:
        """One for all runs and moments: from the least to the greatest cosine of a token that counts to a patch that
        shows some of the picture."""
        return scale_of(heat[self.valid][:, self.seen] for heat in self.similarity.values())

    @cached_property
    def seen(self) -> Bool[np.ndarray, "rows columns"]:
        """Patches that show some of the picture."""
        return self.geometry(self.picture.size).patch_mask(*self.grid).reshape(self.grid)

    @property
    def centres_s(self) -> Float[np.ndarray, " T"]:
        """The moment that each token stands for."""
        return self.frames.span(0)[0] + self.frames.hop_s * (np.arange(len(self.valid)) + 0.5)

    def sharpest(self, count: int) -> list[Spoken]:
        """The moments of sharpest similarity, all runs having a say: see ves.report.clips.spoken.moments."""
        sharpness = np.stack([heat[:, self.seen].max(1) for heat in self.similarity.values()])
        return moments(sharpness, self.valid, self.centres_s, count)

    def first(self) -> "Viewing":
        """This clip with one thing to show: its first noun (its first word without one), or its sharpest moment."""
        if not self.words:
            return replace(self, shown=self.sharpest(1), masks=[None])
        roles = [word.role for word in self.shown]
        chosen = roles.index("noun") if "noun" in roles else 0
        return replace(self, shown=[self.shown[chosen]], masks=[self.masks[chosen]])

    def token_at(self, second: float) -> int:
        """The token that stands for a moment; before the first that counts and after the last one, these."""
        counted = np.flatnonzero(self.valid)
        place = int((second - self.frames.span(0)[0]) // self.frames.hop_s)
        return min(max(place, int(counted[0])), int(counted[-1]))

    def heat(self, run: str, token: int) -> Float[np.ndarray, "rows columns"]:
        """What a run sees at one token; NaN where that does not count (a pause, for models that leave them out)."""
        return self.similarity[run][token] if self.valid[token] else np.full(self.grid, np.nan, np.float32)

    def over(self, run: str, start_s: float, end_s: float) -> Float[np.ndarray, "rows columns"]:
        """The mean over the tokens of a stretch that count: the rule that localisation is measured by.

        NaN where none counts.
        """
        chosen = self.frames.within(start_s, end_s, len(self.valid)) & self.valid
        return mean_heat(self.similarity[run], chosen)


def _transcripts(truth: Path, clips: pl.DataFrame) -> Mapping[str, str]:
    """What is written of each clip, for captions; empty where the corpus has no transcripts."""
    try:
        return transcripts(truth, clips)
    except NoTruth:
        return {}


def _caption(transcript: str) -> str:
    """A transcript on one line; none, and a warning, for one in letters that no font here has."""
    line = " ".join(transcript.split())
    try:
        for character in line:
            lettering.font_for(character)
    except ValueError as reason:
        log.warning("a transcript is left out: %s", reason)
        return ""
    return line


def _masks(truth: Path, clips: pl.DataFrame) -> Masks:
    """Objects of which anything can be seen; empty where the corpus has no masks."""
    wanted = clips.select("image_id", shard="image_shard").unique()
    try:
        rows = objects(truth, wanted).filter(pl.col("visible_pixels") > 0)
    except NoTruth:
        return {}
    return {(row["image_id"], row["object"]): row["mask"] for row in rows.iter_rows(named=True)}


def _to_show(comparison: Comparison, clip: Row, told: Sequence[Row], masks: Masks) -> list[Spoken]:
    """Words that the models hear and the picture shows (where masks tell); none if they name fewer than two objects."""
    heard = [word for word in phrases(told) if comparison.heard(clip["clip_row"], word)]
    shown = shown_words(word for word in heard if not masks or (clip["image_id"], word.object) in masks)
    return shown if len({word.object for word in shown}) >= 2 else []


def views(comparison: Comparison, data: DataPaths, pictures: Path, truth: Path, count: int) -> list[Viewing]:
    """`count` validation clips (fewer if there are no more), in the order of a hash, spread over the languages.

    A clip with timed words must name two objects that its picture shows. `truth` may be absent. Raises ValueError when
    files are not of one making, or no clip can be shown.
    """
    table = lookup.located(comparison.first, data)
    told, masks = lookup.told(truth, table), _masks(truth, table)
    clips = {row["clip_id"]: row for row in table.iter_rows(named=True)}
    spoken = {name: _to_show(comparison, clips[name], told[name], masks) for name in told}
    naming = [name for name, shown in spoken.items() if shown]
    if told and not naming:
        raise ValueError(f"{truth}: no validation clip names two objects that its picture shows; make the corpus again")
    written = {} if told else _transcripts(truth, table)
    store, heard = AudioStore(Path(data.audio)), round(comparison.attrs["seconds"] * RATE)
    found = []
    for name in choose({name: str(clips[name]["language"]) for name in naming or clips}, count):
        clip, shown = clips[name], spoken.get(name, [])
        encoded = [masks.get((clip["image_id"], word.object)) for word in shown]
        viewing = _viewing(
            comparison,
            clip,
            words=phrases(told.get(name, [])),
            transcript=_caption(written.get(name, "")),
            picture=lookup.picture(pictures, clip),
            samples=store.read(clip["shard"], clip["row"], heard),
            shown=shown,
            masks=[None if mask is None else decode_mask(mask) for mask in encoded],
        )
        found.append(viewing if shown else with_moments(viewing))
    return found


def with_moments(viewing: Viewing) -> Viewing:
    """A clip whose words nobody timed, with its moments of sharpest similarity to show."""
    shown = viewing.sharpest(MOMENTS)
    return replace(viewing, shown=shown, masks=[None] * len(shown))


def _viewing(comparison: Comparison, clip: Row, **told: Any) -> Viewing:
    """A clip as the runs of a comparison see it; `told` is what the corpus says of it."""
    attrs, row, language = comparison.attrs, clip["clip_row"], str(clip["language"])
    return Viewing(
        name=f"{re.sub('[^a-z]+', '-', language.lower())}-{clip['clip_id'][:8]}",
        clip_id=clip["clip_id"],
        language=language,
        similarity={run: comparison.similarity(run, row) for run in comparison.runs},
        valid=comparison.first.audio_mask[row].numpy(),
        frames=comparison.frames,
        image_size=attrs["image_size"],
        fit=attrs["fit"],
        **told,
    )
