"""The pictures of a film: one a second, in which things that sound have jumped and shine, and all others are still.

Seconds that look alike share one picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ves.sources.scenes.drawing import Picture, Stage, jpeg
from ves.sources.scenes.layout import Scene, Thing
from ves.sources.scenes.pictures import truth_rows
from ves.sources.scenes.streams import generator
from ves.sources.sounding.films import OFF_SCREEN, Film

JUMP = (0.04, 0.08)  # of the picture's diagonal
BRIGHTER = 1.5  # times the light, while a thing sounds
LEAST_S = 0.25  # of a second that an event fills for its picture to show it
LEAST_SEEN = 30  # pixels of every thing: a jump that would hide one is not made
DIRECTIONS = 12  # tried, from a drawn one on


@dataclass(frozen=True)
class Pictures:
    """All pictures of a film."""

    film: Film

    @property
    def seconds(self) -> int:
        return round(self.film.settings.seconds)

    def name(self, second: int) -> str:
        """`image.path` of the picture of a second; all seconds in which nothing seen sounds have the same."""
        shown = second if self.sounding(second) else next(k for k in range(self.seconds) if not self.sounding(k))
        return f"Images/film-{self.film.number:06d}-{shown}.jpg"

    def sounding(self, second: int) -> frozenset[int]:
        """The things that sound for long enough of this second."""
        return frozenset(
            event.thing
            for event in self.film.events
            if event.thing != OFF_SCREEN and min(event.end_s, second + 1) - max(event.start_s, second) >= LEAST_S
        )

    @cached_property
    def _stage(self) -> Stage:
        return Stage(self.film.settings.seed, self.film.scene)

    def drawn(self, second: int) -> tuple[Scene, Picture]:
        """The scene of a second and its picture; a thing that sounds stands where the jump of this second took it."""
        scene, sounding = self.film.scene, sorted(self.sounding(second))
        rng = generator(self.film.settings.seed, "jump", self.film.number, second)
        picture = self._stage.picture(scene, dict.fromkeys(sounding, BRIGHTER))
        for place in sounding:
            for moved in _jumps(rng, scene, place):
                seen = self._stage.picture(moved, dict.fromkeys(sounding, BRIGHTER))
                if all((seen.owner == i).sum() >= LEAST_SEEN for i in range(len(moved.things))):
                    scene, picture = moved, seen
                    break
        return scene, picture

    def rows(self) -> Iterator[tuple[str, bytes, list[dict]]]:
        """Name, file and objects (ves.sources.scenes.pictures.truth_rows) of each distinct picture."""
        done = set()
        for second in range(self.seconds):
            if (name := self.name(second)) not in done:
                done.add(name)
                scene, picture = self.drawn(second)
                yield name, jpeg(picture.image), truth_rows(scene, picture)


def _jumps(rng: np.random.Generator, scene: Scene, place: int) -> Iterator[Scene]:
    """The scene with one thing moved, in one direction after another; it stays within the picture."""
    diagonal = float(np.hypot(scene.width, scene.height))
    first, reach = rng.uniform(0, 2 * np.pi), rng.uniform(*JUMP) * diagonal
    for step in range(DIRECTIONS):
        angle = first + 2 * np.pi * step / DIRECTIONS
        thing = scene.things[place]
        x, y = thing.x + reach * float(np.cos(angle)), thing.y + reach * float(np.sin(angle))
        if _inside(thing, x, scene.width) and _inside(thing, y, scene.height):
            moved = replace(thing, x=x, y=y)
            yield replace(scene, things=(*scene.things[:place], moved, *scene.things[place + 1 :]))


def _inside(thing: Thing, centre: float, length: int) -> bool:
    return 0.4 * thing.side <= centre <= length - 0.4 * thing.side
