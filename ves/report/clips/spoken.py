"""What a figure of one clip shows: the words that name something, or, where nobody timed the words, moments.

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
ROLES = ("noun", "colour")  # that name something to be seen, those to be shown first


@dataclass(frozen=True)
class Spoken:
    """A word (or several that are one name) and when it is said; `object` is its index in the picture, or -1."""

    text: str  # in its script
    english: str
    role: str  # noun, colour, other; moment: nobody knows what is said
    object: int
    start_s: float
    end_s: float

    @property
    def when(self) -> str:
        """For captions, of a word: "0.82–1.24 s"."""
        return "" if self.role == "moment" else f"{self.start_s:.2f}–{self.end_s:.2f} s"


def shown_words(spoken: Iterable[Spoken]) -> list[Spoken]:
    """At most COLUMNS of these: nouns, then colours where there is room, as spoken; a name said twice counts once."""
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
    """The `count` moments of sharpest similarity that do not overlap, in the order of time; fewer of a short clip.

    `sharpness` is the greatest similarity of each token to any patch, per run. Runs are standardised over the clip and
    averaged: all have a say in the moments, none by its scale alone.
    """
    kept = sharpness[:, valid]
    spread = np.maximum(kept.std(1, keepdims=True), 1e-6)
    score = np.where(valid, ((sharpness - kept.mean(1, keepdims=True)) / spread).mean(0), -np.inf)
    found: list[Spoken] = []
    while len(found) < count and np.isfinite(score).any():
        centre = float(centres_s[score.argmax()])
        start, end = centre - MOMENT_S / 2, centre + MOMENT_S / 2
        found.append(Spoken(f"at {centre:.1f} s", "sharpest similarity", "moment", -1, start, end))
        score = np.where(np.abs(centres_s - centre) < MOMENT_S, -np.inf, score)
    return sorted(found, key=lambda moment: moment.start_s)


def spaced(valid: Bool[np.ndarray, "T"], centres_s: Float[np.ndarray, "T"]) -> list[Spoken]:
    """The middles of MOMENTS equal parts of what is valid: the same moments whatever a model makes of them.

    None where nothing is valid.
    """
    heard = centres_s[valid]
    found: list[Spoken] = []
    for part in np.array_split(heard, MOMENTS):
        if len(part):
            centre = float(part[len(part) // 2])
            found.append(
                Spoken(
                    f"at {centre:.1f} s", "evenly spaced", "moment", -1, centre - MOMENT_S / 2, centre + MOMENT_S / 2
                )
            )
    return found


def choose(languages: Mapping[str, str], count: int) -> list[str]:
    """`count` clips (of clip_id -> language): one of every language in turn, then a second of every language, ...

    Clips and languages are in the order of a hash: nobody picked them, and no score did.
    """

    def order(clip: str) -> str:
        return hashlib.sha256(clip.encode()).hexdigest()

    turn: dict[str, int] = {}
    turns = []
    for clip in sorted(languages, key=order):
        turn[languages[clip]] = turn.get(languages[clip], -1) + 1
        turns.append((turn[languages[clip]], order(clip), clip))
    return [clip for _, _, clip in sorted(turns)[:count]]
