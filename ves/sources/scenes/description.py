"""What a speaker says about a picture: words and their roles in the sentence, before they are spoken."""

from dataclasses import dataclass

import numpy as np

from ves.config.corpus import ScenesConfig
from ves.sources.scenes.layout import Scene
from ves.sources.scenes.lexicon import Lexicon

ONE_SAID = 0.2
MENTIONS = (0.06, 0.20, 0.34, 0.40)  # probabilities of 1, 2, 3, 4 mentions, if picture and settings allow them
STYLES = ("terse", "plain", "talkative")
STYLE_SHARES = (0.3, 0.55, 0.15)


@dataclass(frozen=True, slots=True)
class Token:
    """One orthographic word. `role` is noun, colour or other; `thing` is its index in the scene, or -1.

    `english` is the kind or the colour, or the meaning of the phrase it belongs to; `pause` asks for silence after it.
    """

    text: str
    english: str
    role: str = "other"
    thing: int = -1
    pause: bool = False


def _phrase(rng: np.random.Generator, table: dict[str, str]) -> list[Token]:
    """One phrase of a table, at random. Its first entry, the plainest, is the likeliest."""
    entries = list(table.items())
    weights = 1 / (1 + np.arange(len(entries)))
    english, words = entries[rng.choice(len(entries), p=weights / weights.sum())]
    return [Token(word, english) for word in words.split()]


def _thing(rng: np.random.Generator, settings: ScenesConfig, scene: Scene, i: int, words: Lexicon) -> list[Token]:
    """The noun phrase of one thing, in the word order of the language's template.

    Only a colour that was painted is said: nobody says that a tree is green.
    """
    thing = scene.things[i]
    noun = words.nouns[thing.kind]
    switched = noun.also is not None and rng.random() < settings.code_switching
    said = noun.also if switched and noun.also else noun.word
    parts = {
        "{one}": [Token(words.one, "one")] if rng.random() < ONE_SAID else [],
        "{colour}": [],
        "{noun}": [Token(word, thing.kind, "noun", i) for word in said.split()],
    }
    if rng.random() < settings.colour_said and thing.colour is not None:
        colour = words.colour(thing.colour, thing.kind)
        parts["{colour}"] = [Token(word, thing.colour, "colour", i) for word in colour.split()]
    return [token for slot in words.phrase.split() for token in parts[slot]]


def _mentioned(rng: np.random.Generator, settings: ScenesConfig, scene: Scene) -> np.ndarray:
    """Which things are mentioned, in order."""
    low, high = settings.mentions[0], min(settings.mentions[1], len(scene.things))
    counts = np.arange(low, high + 1)
    weights = np.array([MENTIONS[min(count, len(MENTIONS)) - 1] for count in counts])
    return rng.permutation(len(scene.things))[: rng.choice(counts, p=weights / weights.sum())]


def _paused(tokens: list[Token]) -> list[Token]:
    """The same words with a pause after the last one."""
    last = tokens[-1]
    return [*tokens[:-1], Token(last.text, last.english, last.role, last.thing, pause=True)]


def describe(rng: np.random.Generator, settings: ScenesConfig, scene: Scene, words: Lexicon) -> list[Token]:
    """A description of a scene: an opening (or none), one to four things joined, a closing (or none), hesitations."""
    style = rng.choice(STYLES, p=STYLE_SHARES)
    hesitation = {"terse": 0.0, "plain": 0.08, "talkative": 0.4}[style]
    tokens: list[Token] = []
    if style != "terse" and rng.random() < 0.7:
        tokens += _phrase(rng, words.openings)
        tokens = _paused(tokens) if rng.random() < 0.25 else tokens
    for order, i in enumerate(_mentioned(rng, settings, scene)):
        if order:
            tokens = _paused(tokens) if rng.random() < (0.7 if style == "talkative" else 0.3) else tokens
            tokens += _phrase(rng, words.joins) if style != "terse" or rng.random() < 0.4 else []
        if rng.random() < hesitation:
            tokens += _paused(_phrase(rng, words.fillers))
        tokens += _thing(rng, settings, scene, int(i), words)
    if style != "terse" and rng.random() < 0.5:
        tokens += _phrase(rng, words.closings)
    return tokens
