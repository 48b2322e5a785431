"""The scripts of India in Latin letters, for readers of a figure who do not know the script.

ISO 15919, letter by letter: the spelling, not the pronunciation (in Hindi and its neighbours the last `a` of a word is
silent). Three things are simplified: the vocalic r is `ri`, both marks of nasal vowels are `ṁ`, and e and o are long
without a mark in scripts that have no short ones. The nine scripts share one order of letters in Unicode, so one table
by offset serves all. Urdu is left out: it does not write its short vowels.
"""

import unicodedata

BLOCKS = {0x0900 + 0x80 * number: number for number in range(9)}  # Devanagari to Malayalam, first code point of each
SHORT_E = (0x0B80, 0x0C00, 0x0C80, 0x0D00)  # Tamil, Telugu, Kannada, Malayalam distinguish short e and o from long ones
LONG = {"e": "ē", "o": "ō"}
NASAL, VISARGA, ADDAK = (0x01, 0x02, 0x70), 0x03, 0x71  # 0x70, 0x71: of Gurmukhi; addak doubles what follows
NUKTA, AVAGRAHA, VIRAMA = 0x3C, 0x3D, 0x4D
VOWEL_PLACES = (*range(0x05, 0x0D), *range(0x0E, 0x11), *range(0x12, 0x15))
VOWEL_LETTERS = "a ā i ī u ū ri li e e ai o o au"
VOWELS = dict(zip(VOWEL_PLACES, VOWEL_LETTERS.split(), strict=True)) | {0x0D: "ê", 0x11: "ô"}
CONSONANT_LETTERS = "k kh g gh ṅ c ch j jh ñ ṭ ṭh ḍ ḍh ṇ t th d dh n ṉ p ph b bh m y r ṟ l ḷ ḻ v ś ṣ s h"
CONSONANTS = dict(zip(range(0x15, 0x3A), CONSONANT_LETTERS.split(), strict=True))
SIGNS = {place + 0x38: vowel for place, vowel in VOWELS.items() if place > 0x05} | {0x44: "rī"}
DOTTED = {
    0x15: "q",
    0x16: "ḵẖ",
    0x17: "ġ",
    0x1C: "z",
    0x21: "ṛ",
    0x22: "ṛh",
    0x2B: "f",
    0x2F: "ẏ",
    0x32: "ḷ",
    0x38: "ś",
}
WHOLE = dict(zip("ৎൺൻർൽൾൿஃ।॥", ("t", "ṇ", "n", "r", "l", "ḷ", "k", "ḵ", ".", "."), strict=True))  # have no vowel
OTHERS = {"ৰ": "r", "ৱ": "v", "ੜ": "ṛ", "ୱ": "v", "ୟ": "ẏ"}  # consonants out of the common order
UNSEEN = "\u200c\u200d"  # joiners


def _block(character: str) -> int | None:
    """First code point of the block of a letter of these scripts."""
    first = ord(character) & ~0x7F
    return first if first in BLOCKS else None


class _Line:
    """The line so far; a consonant waits for the vowel that follows it."""

    def __init__(self) -> None:
        self.text, self.waiting, self.doubled = "", -1, False

    def close(self, vowel: str) -> None:
        if self.waiting >= 0:
            self.text, self.waiting = self.text + vowel, -1

    def consonant(self, letters: str, place: int) -> None:
        self.close("a")
        self.text += (letters[0] if self.doubled else "") + letters
        self.waiting, self.doubled = place, False

    def add(self, character: str, first: int, place: int) -> None:
        """One character of a block."""
        long = LONG if first in SHORT_E and place & 0x0F in (0x0F, 0x03, 0x07, 0x0B) else {}
        if place in CONSONANTS or character in OTHERS:
            self.consonant(OTHERS.get(character) or CONSONANTS[place], place)
        elif place == NUKTA and self.waiting in DOTTED:
            self.text = self.text.removesuffix(CONSONANTS[self.waiting]) + DOTTED[self.waiting]
        elif place in SIGNS:
            self.close(long.get(SIGNS[place], SIGNS[place]))
        elif place == VIRAMA:
            self.close("")
        elif place == ADDAK and first == 0x0A00:
            self.close("a")
            self.doubled = True
        else:
            self.close("a")
            self.text += _independent(character, place, long)


def _independent(character: str, place: int, long: dict[str, str]) -> str:
    if place in VOWELS:
        return long.get(VOWELS[place], VOWELS[place])
    if place in NASAL:
        return "ṁ"
    if 0x66 <= place <= 0x6F:
        return str(place - 0x66)
    return {VISARGA: "ḥ", AVAGRAHA: "’"}.get(place, "")


def transliterate(text: str) -> str:
    """The line in Latin letters; empty where it is Latin already, or has a letter of a script not among these."""
    line, ours = _Line(), False
    for character in unicodedata.normalize("NFC", text):
        first = _block(character)
        if character in WHOLE:
            line.close("a")
            line.text += WHOLE[character]
        elif first is not None:
            ours = True
            line.add(character, first, ord(character) - first)
        elif character.isalpha() and not character.isascii():
            return ""
        elif character not in UNSEEN:
            line.close("a")
            line.text += character
    line.close("a")
    return line.text if ours else ""
