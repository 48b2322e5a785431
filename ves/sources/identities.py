"""Who speaks, in one spelling for every source: two tables that mean one speaker must not make two.

A speaker in two spellings may be held out under the one and trained on under the other; one called "nan" would be all
unknown speakers at once. A language is unknown by the same table. docs/own-data.md shows it.
"""

import re
import unicodedata

UNKNOWN = frozenset({  # in any case: what pandas writes or reads as missing, R's, SQL's and people's own words for it
    "", "na", "n/a", "n.a.", "#n/a", "#n/a n/a", "#na", "<na>", "nan", "-nan", "1.#ind", "-1.#ind", "1.#qnan",
    "-1.#qnan", "none", "null", "-", "?", "unknown",
})  # fmt: skip
_WHOLE = re.compile(r"([+-]?\d+)\.0+")  # a number beside a missing one, as pandas writes it


def known(text: str | None) -> str | None:
    """A text stripped and in Unicode's form NFC; None for one that means an unknown value (UNKNOWN)."""
    text = unicodedata.normalize("NFC", (text or "").strip())
    return None if text.casefold() in UNKNOWN else text


def speaker(text: str | None) -> str | None:
    """The name of a speaker: as `known`, and 17.0 as 17."""
    text = known(text)
    whole = _WHOLE.fullmatch(text) if text else None
    return whole[1] if whole else text
