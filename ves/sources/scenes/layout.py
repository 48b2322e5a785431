"""What a picture shows, decided without drawing it: an audio shard needs the content, not the pixels.

Lengths are pixels of the finished picture, x to the right and y down; angles are degrees, counter-clockwise.
"""

from dataclasses import dataclass

import numpy as np

from ves.config.corpus import ScenesConfig
from ves.sources.scenes.paint import COLOURS
from ves.sources.scenes.streams import generator
from ves.sources.scenes.things import Kind, kinds

BACKGROUNDS = ("wall", "wood", "cloth", "bokeh", "leaves", "stone")
ASPECTS = (1.0, 4 / 3, 3 / 2, 16 / 9, 5 / 4)
CANDIDATES = 32  # places tried for each object
UNSEEN_SHOWN = 0.06  # share of the pictures that show things as no training sees them, where there is such a picture


@dataclass(frozen=True, slots=True)
class Thing:
    """One object: which picture of its kind (`seen` in training or not), and the colour that it is painted in, if any.

    Centre (x, y), side of the square that holds it, turned by `angle` after it was mirrored; `tone` varies its hue and
    light.
    """

    kind: str
    picture: str
    seen: bool
    colour: str | None
    x: float
    y: float
    side: float
    angle: float
    mirrored: bool
    tone: float


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture. Things are painted in order, so a later one hides an earlier one; no kind occurs twice."""

    index: int
    width: int
    height: int
    background: str
    things: tuple[Thing, ...]

    @property
    def seen(self) -> bool:
        """Whether training may see this picture: it has no thing that is kept from it."""
        return all(thing.seen for thing in self.things)


def _place(rng: np.random.Generator, width: int, height: int, sides: np.ndarray) -> np.ndarray:
    """Centres [N, 2] for squares of these sides, far enough apart that each stays partly visible.

    Each takes the first of its random candidates that clears all earlier ones, else the one that clears them best.
    Two squares touch at a clearance of about 1; slight overlaps are wanted, so 0.75 to 1.1 is asked for.
    """
    centres = np.empty((len(sides), 2))
    for i, side in enumerate(sides):
        low, high = np.full(2, 0.48 * side), np.array([width, height]) - 0.48 * side
        candidates = rng.uniform(low, np.maximum(high, low + 1), size=(CANDIDATES, 2))
        reach = (sides[:i] + side) / 2
        distance = np.linalg.norm(candidates[:, None] - centres[None, :i], axis=-1)
        clearance = (distance / reach).min(axis=1, initial=2.0)
        clear = np.flatnonzero(clearance >= rng.uniform(0.75, 1.1))
        centres[i] = candidates[clear[0] if len(clear) else clearance.argmax()]
    return centres


def _size(rng: np.random.Generator, sides: tuple[int, int]) -> tuple[int, int]:
    """Width and height of a picture, both within `sides`: landscape twice as often as portrait."""
    shortest, longest = sides
    long = int(rng.integers((shortest + 2 * longest) // 3, longest + 1))
    short = max(shortest, round(long / rng.choice(ASPECTS)))
    return (long, short) if rng.random() < 2 / 3 else (short, long)


def _picture_of(rng: np.random.Generator, kind: Kind, unseen: bool) -> tuple[str, bool]:
    """A picture of this kind, and whether training sees it: if `unseen`, one that it does not see, if there is one."""
    taken = unseen and bool(kind.unseen)
    return str(rng.choice(kind.unseen if taken else kind.pictures)), not taken


def scene(settings: ScenesConfig, index: int) -> Scene:
    """Content of picture `index`, the same wherever it is asked for."""
    rng = generator(settings.seed, "scene", index)
    width, height = _size(rng, (settings.image_side[0], settings.image_side[1]))
    count = int(rng.integers(settings.objects[0], settings.objects[1] + 1))
    chosen = [kinds()[i] for i in rng.permutation(settings.kinds)[:count]]
    colours = [str(rng.choice(COLOURS)) if rng.random() < settings.repainted else None for _ in chosen]
    # many objects share the picture, so each is smaller: 3 to 15 % of it is visible object
    share = rng.uniform(max(0.20, 0.43 - 0.025 * count), max(0.26, 0.64 - 0.04 * count), size=count)
    sides = -np.sort(-share) * np.sqrt(width * height)  # large things behind, small ones in front
    centres = _place(rng, width, height, sides)
    angles = rng.uniform(-22, 22, size=count)
    tones = rng.uniform(-1, 1, size=count)
    mirrored = rng.random(count) < 0.5
    unseen = bool(rng.random() < UNSEEN_SHOWN)
    things = []
    for i, kind in enumerate(chosen):
        picture, seen = _picture_of(rng, kind, unseen)
        x, y, side, angle, tone = map(float, (*centres[i], sides[i], angles[i], tones[i]))
        things.append(Thing(kind.name, picture, seen, colours[i], x, y, side, angle, bool(mirrored[i]), tone))
    return Scene(index, width, height, str(rng.choice(BACKGROUNDS)), tuple(things))
