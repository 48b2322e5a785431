"""What a figure of one clip shows: the words that name something or, without word timings, moments.

Dimension key
    R runs    T audio tokens
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

COLUMNS = 4  # words of a clip in one figure
MOMENTS = 3  # of a clip in one figure
MOMENT_S = 0.3  # about a short word
ROLES = ("noun", "sound", "colour")  # of what is about something visible, in the order of precedence


@dataclass(frozen=True)
class Spoken:
    """A word (or several that are one phrase) and its time; `object` is the index of the object it names, or -1."""

    text: str  # in its script
    english: str
    role: str  # noun, colour or other; sound, where a thing sounds; moment, where it is unknown what is said
    object: int
    start_s: float
    end_s: float

    @property
    def when(self) -> str:
        """For captions, of a word: "0.82–1.24 s"."""
        return "" if self.role == "moment" else f"{self.start_s:.2f}–{self.end_s:.2f} s"


def shown_words(spoken: Iterable[Spoken]) -> list[Spoken]:
    """At most COLUMNS of these: nouns, then sounds and colours while there is room, in the order of time; each name
    once."""
    first = {(word.object, word.role): word for word in reversed(list(spoken)) if word.object >= 0}
    naming = sorted(first.values(), key=lambda word: word.start_s)
    ranked = [word for role in ROLES for word in naming if word.role == role]
    return sorted(ranked[:COLUMNS], key=lambda word: word.start_s)


def moments(
    sharpness: Float[np.ndarray, "R T"],
    valid: Bool[np.ndarray, "T"],
    centres_s: Float[np.ndarray, "T"],
    count: int = MOMENTS,
) -> list[Spoken]:
    """The `count` moments of sharpest similarity that do not overlap, in the order of time; fewer in a short clip.

    `sharpness` is the greatest similarity of each token to any patch, per run. Each run is standardised over the clip
    before the mean is taken, so that none outweighs the others by its scale.
    """
    kept = sharpness[:, valid]
    spread = np.maximum(kept.std(1, keepdims=True), 1e-6)
    score = np.where(valid, ((sharpness - kept.mean(1, keepdims=True)) / spread).mean(0), -np.inf)
    peaks: list[Spoken] = []
    while len(peaks) < count and np.isfinite(score).any():
        centre = float(centres_s[score.argmax()])
        start, end = centre - MOMENT_S / 2, centre + MOMENT_S / 2
        peaks.append(Spoken(f"at {centre:.1f} s", "sharpest similarity", "moment", -1, start, end))
        score = np.where(np.abs(centres_s - centre) < MOMENT_S, -np.inf, score)
    return sorted(peaks, key=lambda moment: moment.start_s)


def spaced(valid: Bool[np.ndarray, "T"], centres_s: Float[np.ndarray, "T"]) -> list[Spoken]:
    """The middles of MOMENTS equal parts of the valid tokens: moments that do not depend on a model.

    There are fewer where fewer tokens are valid.
    """
    middles: list[Spoken] = []
    for part in np.array_split(centres_s[valid], MOMENTS):
        if len(part):
            centre = float(part[len(part) // 2])
            start, end = centre - MOMENT_S / 2, centre + MOMENT_S / 2
            middles.append(Spoken(f"at {centre:.1f} s", "evenly spaced", "moment", -1, start, end))
    return middles


def choose(languages: Mapping[str, str], count: int) -> list[str]:
    """`count` clips (of clip_id -> language): one of every language in turn, then a second of every language, ...

    A hash orders clips and languages: neither a person nor a score picks them.
    """

    def order(clip: str) -> str:
        return hashlib.sha256(clip.encode()).hexdigest()

    turn: dict[str, int] = {}
    turns = []
    for clip in sorted(languages, key=order):
        turn[languages[clip]] = turn.get(languages[clip], -1) + 1
        turns.append((turn[languages[clip]], order(clip), clip))
    return [clip for _, _, clip in sorted(turns)[:count]]
