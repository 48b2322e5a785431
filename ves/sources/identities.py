"""Who speaks, in one spelling for every source: two tables that mean one speaker must not make two.

A speaker in two spellings may be held out under the one and trained on under the other; one called "nan" would be all
unknown speakers at once. docs/own-data.md has the table.
"""

import re
import unicodedata

UNKNOWN_SPEAKERS = frozenset({  # what pandas writes or reads as missing (read_csv, na_values), beside R's and SQL's
    "", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "<NA>", "NaN", "nan", "-NaN", "-nan", "1.#IND", "-1.#IND",
    "1.#QNAN", "-1.#QNAN", "None", "NULL", "null",
})  # fmt: skip
_WHOLE = re.compile(r"([+-]?\d+)\.0+")  # a number beside a missing one, as pandas writes it


def speaker(text: str | None) -> str | None:
    """The name of a speaker: stripped, in Unicode's form NFC, 17.0 as 17; None for one of UNKNOWN_SPEAKERS."""
    text = unicodedata.normalize("NFC", (text or "").strip())
    if text in UNKNOWN_SPEAKERS:
        return None
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text
