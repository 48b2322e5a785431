"""What happens in each film of Sounding Scenes: who speaks, what sounds when, and where it then stands.

A film is decided as a whole from the settings and its number, so every shard can be made alone. Times are seconds from
the beginning of the film.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ves.base.apportion import quotas
from ves.config.corpus import ScenesConfig, SoundingConfig
from ves.sources.scenes.description import Token, describe
from ves.sources.scenes.layout import Scene, scene
from ves.sources.scenes.lexicon import lexicon
from ves.sources.scenes.recording import SAMPLE_RATE, Voice, room_noise, utter, voice
from ves.sources.scenes.streams import generator
from ves.sources.sounding.sounds import SOUNDING, maker, sound

SHARES = {"speech": 0.35, "sound": 0.35, "both": 0.2, "off_screen": 0.05, "silence": 0.05}
LENGTHS_S, GAPS_S = (1.2, 2.4), (0.1, 0.4)  # of events and of the pauses between them
LOUDER_DB = (-3.0, 3.0)  # a sound beside speech
QUIET_PEAK = (0.01, 0.05)  # of a room where nothing happens: 300 steps of 16 bits or more
OFF_SCREEN = -1
TRIES = 64  # scenes that are looked at for one with a thing that sounds: among thirty kinds nearly every third has


@dataclass(frozen=True, slots=True)
class Event:
    """A thing sounds; `thing` is its place in the scene, or OFF_SCREEN."""

    kind: str
    thing: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Track:
    """What is heard: int16 [n] at 16 kHz, each word that is said and when, and the ratio of all that to the noise."""

    samples: np.ndarray
    tokens: list[Token]
    times: list[tuple[float, float]]
    snr_db: float | None


@dataclass(frozen=True)
class Film:
    """One film, by its number."""

    settings: SoundingConfig
    plan: "Plan"
    number: int

    @property
    def kind(self) -> str:
        """One of SHARES."""
        return tuple(SHARES)[self.plan.kind[self.number]]

    @property
    def person(self) -> int:
        """Who speaks and who makes the sounds."""
        return int(self.plan.person[self.number])

    @property
    def voice(self) -> Voice:
        return voice(self.settings.seed, self.person)

    @property
    def language(self) -> str:
        """The code of the language in which this person speaks."""
        return self.settings.languages[self.person % len(self.settings.languages)]

    @property
    def speaks(self) -> bool:
        return self.kind in ("speech", "both")

    @cached_property
    def scene(self) -> Scene:
        """The first of this film's scenes that has what its kind needs: a thing that sounds, and for `both` another."""
        needed = {"sound": 1, "both": 2}.get(self.kind, 0)
        for attempt in range(TRIES):
            drawn = scene(self.plan.scenery, self.number + attempt * self.settings.films)
            if not needed or (len(drawn.things) >= needed and _sounding(drawn)):
                return drawn
        raise ValueError(
            f"corpus.sounding.kinds: {self.settings.kinds} kinds make too few scenes with one that sounds; take 12 or "
            "more, or more objects"
        )

    @cached_property
    def events(self) -> list[Event]:
        """What sounds, in the order of time; one event at most where somebody speaks too."""
        rng = generator(self.settings.seed, "events", self.number)
        if self.kind not in ("sound", "both", "off_screen"):
            return []
        if self.kind == "off_screen":
            shown = {thing.kind for thing in self.scene.things}
            absent = str(rng.choice([kind for kind in SOUNDING if kind not in shown]))
        events: list[Event] = []
        now = rng.uniform(*GAPS_S)
        while (length := min(rng.uniform(*LENGTHS_S), self.settings.seconds - now)) > LENGTHS_S[0] / 2:
            place = OFF_SCREEN if self.kind == "off_screen" else int(rng.choice(_sounding(self.scene)))
            kind = absent if place == OFF_SCREEN else self.scene.things[place].kind
            events.append(Event(kind, place, float(now), float(now + length)))
            now += length + rng.uniform(*GAPS_S)
            if self.kind == "both":
                break
        return events

    @cached_property
    def tokens(self) -> list[Token]:
        """What is said: a description of the scene, without the thing that sounds meanwhile."""
        if not self.speaks:
            return []
        sounding = {event.thing for event in self.events}
        others = [i for i in range(len(self.scene.things)) if i not in sounding]
        described = replace(self.scene, things=tuple(self.scene.things[i] for i in others))
        rng = generator(self.settings.seed, "description", self.number)
        low, high = self.settings.mentions
        scenery = self.plan.scenery.model_copy(update={"mentions": (min(low, len(others)), high)})
        said = describe(rng, scenery, described, lexicon(self.language))
        return [replace(token, thing=others[token.thing]) if token.thing >= 0 else token for token in said]

    @cached_property
    def track(self) -> Track:
        """Speech, sounds and the noise of the room; speech that is longer than the film is cut at its end."""
        settings, who = self.settings, self.voice
        rng, count = generator(settings.seed, "track", self.number), round(settings.seconds * SAMPLE_RATE)
        wave, tokens, times = np.zeros(count, np.float32), self.tokens, []
        if tokens:
            speech = utter(rng, who, lexicon(self.language).voice, tokens)
            part = speech.samples[:count] / speech.loudness
            begin = int(rng.integers(0, count - len(part) + 1))
            wave[begin : begin + len(part)] = part
            times = [(start + begin / SAMPLE_RATE, end + begin / SAMPLE_RATE) for start, end in speech.times]
        hands = maker(settings.seed, self.person)
        for event in self.events:
            heard = sound(event.kind, hands, rng, event.end_s - event.start_s)
            begin = round(event.start_s * SAMPLE_RATE)
            loudness = 10 ** (rng.uniform(*LOUDER_DB) / 20) if tokens else 1.0
            wave[begin : begin + len(heard)] += np.float32(loudness) * heard[: count - begin]
        noise = room_noise(rng, count, who.noise_colour)
        snr_db = float(rng.uniform(*settings.snr_db))
        happens = bool(tokens or self.events)
        mixed = wave + noise * 10 ** (-snr_db / 20) if happens else noise
        level = rng.uniform(*((0.25, 0.95) if happens else QUIET_PEAK)) / np.abs(mixed).max()
        samples = np.round(mixed * level * 32767).astype(np.int16)
        return Track(samples, tokens, times, snr_db if happens else None)


def _sounding(shown: Scene) -> list[int]:
    """The places of things that can sound."""
    return [i for i, thing in enumerate(shown.things) if thing.kind in SOUNDING]


@dataclass(frozen=True)
class Plan:
    """What all films have in common: the share of each kind, and who makes which."""

    settings: SoundingConfig

    @cached_property
    def scenery(self) -> ScenesConfig:
        """The settings by which Spoken Scenes draws and describes."""
        return self.settings.scenery()

    @cached_property
    def kind(self) -> np.ndarray:
        """The kind of each film, by its place in SHARES."""
        counts = quotas(self.settings.films, np.array(list(SHARES.values())), 0)
        return generator(self.settings.seed, "film kind").permutation(np.repeat(np.arange(len(SHARES)), counts))

    @cached_property
    def person(self) -> np.ndarray:
        """The person of each film; all have about as many."""
        people = np.arange(self.settings.films) % self.settings.speakers
        return generator(self.settings.seed, "person of film").permutation(people)

    def film(self, number: int) -> Film:
        return Film(self.settings, self, number)

    def films_of(self, shard: int) -> list[int]:
        """The numbers of the films of one shard."""
        return [int(n) for n in np.array_split(np.arange(self.settings.films), self.settings.shards)[shard]]
