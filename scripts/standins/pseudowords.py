"""Pseudo-words: random syllables in the scripts of Indian languages, none of them a word of the corpus.

The audio stand-in learns from these, so it knows the sounds of the languages but no word that it will be tested on.
"""

import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

# espeak voice: where the Unicode block of its script begins. The blocks of India share one layout (from ISCII), so a
# letter is its offset, where the block has it. Konkani is missing: espeak's voice for it names the vowel signs.
BLOCKS = {
    "hi": 0x900, "mr": 0x900, "ne": 0x900, "bn": 0x980, "as": 0x980, "pa": 0xA00,
    "gu": 0xA80, "or": 0xB00, "ta": 0xB80, "te": 0xC00, "kn": 0xC80, "ml": 0xD00,
}  # fmt: skip
CONSONANTS = [*range(0x15, 0x29), *range(0x2A, 0x31), 0x32, 0x33, *range(0x35, 0x3A)]
VOWEL_SIGNS = [0x3E, 0x3F, 0x40, 0x41, 0x42, 0x46, 0x47, 0x48, 0x4A, 0x4B, 0x4C]
VOWELS = [0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0E, 0x0F, 0x10, 0x12, 0x13, 0x14]
NASAL, VIRAMA = 0x02, 0x4D
URDU_CONSONANTS = list("بپتٹجچخدڈرڑزسشغفقکگلمنوہی")
URDU_VOWELS = ["ا", "و", "ی", "ے", "", ""]
LATIN_CONSONANTS = [*"bkdfghjlmnprstvz", "sh", "ch", "st", "cl"]
LATIN_VOWELS = [*"aeiou", "ee", "oo", "ai", "ar"]
VOICES = (*BLOCKS, "ur")


def _words_in(node: Any) -> Iterator[str]:
    """Every word of every string in a YAML tree, keys included."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _words_in(key)
            yield from _words_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from _words_in(value)
    elif isinstance(node, str):
        yield from unicodedata.normalize("NFC", node).casefold().split()


def lexicon_words(folder: Path) -> frozenset[str]:
    """All words of the corpus's lexicon, NFC: every string of every table in `folder`, English glosses included.

    Raises FileNotFoundError when the folder holds no table, since nothing would then be forbidden.
    """
    tables = sorted(folder.glob("*.yaml"))
    if not tables:
        raise FileNotFoundError(f"{folder} holds no lexicon (*.yaml)")
    return frozenset(word for table in tables for word in _words_in(yaml.safe_load(table.read_text("utf-8"))))


def _letters(block: int, offsets: list[int]) -> list[str]:
    return [chr(block + offset) for offset in offsets if unicodedata.name(chr(block + offset), "")]


def _abugida_word(block: int, syllables: int, rng: np.random.Generator) -> str:
    consonants, signs = _letters(block, CONSONANTS), _letters(block, VOWEL_SIGNS)
    word = str(rng.choice(_letters(block, VOWELS))) if rng.random() < 0.15 else ""
    for _ in range(syllables):
        if rng.random() < 0.15:
            word += str(rng.choice(consonants)) + chr(block + VIRAMA)
        word += str(rng.choice(consonants))
        if rng.random() < 0.75:
            word += str(rng.choice(signs))
        if rng.random() < 0.08 and unicodedata.name(chr(block + NASAL), ""):
            word += chr(block + NASAL)
    return word


def _alphabet_word(consonants: list[str], vowels: list[str], syllables: int, rng: np.random.Generator) -> str:
    word = "".join(str(rng.choice(consonants)) + str(rng.choice(vowels)) for _ in range(syllables))
    return word + (str(rng.choice(consonants)) if rng.random() < 0.4 else "")


def pseudo_word(voice: str, forbidden: Collection[str], rng: np.random.Generator) -> str:
    """One to four random syllables in the script of `voice`, now and then in Latin letters; none of `forbidden`."""
    while True:
        syllables = int(rng.choice([1, 2, 3, 4], p=[0.15, 0.45, 0.3, 0.1]))
        if rng.random() < 0.06:  # the corpus switches code now and then
            word = _alphabet_word(LATIN_CONSONANTS, LATIN_VOWELS, syllables, rng)
        elif voice == "ur":
            word = _alphabet_word(URDU_CONSONANTS, URDU_VOWELS, syllables + 1, rng)
        else:
            word = _abugida_word(BLOCKS[voice], syllables, rng)
        word = unicodedata.normalize("NFC", word)
        if word not in forbidden:
            return word


def sentence(voice: str, words: int, forbidden: Collection[str], rng: np.random.Generator) -> str:
    """Pseudo-words with a comma here and there."""
    spoken = [pseudo_word(voice, forbidden, rng) + ("," if rng.random() < 0.15 else "") for _ in range(words)]
    return " ".join(spoken).rstrip(",")
