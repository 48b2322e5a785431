"""One speaker has one name, and nobody is called nan."""

import re
import unicodedata
from pathlib import Path

import pytest

from ves.sources.identities import UNKNOWN, known, speaker


@pytest.mark.parametrize(
    "text",
    [None, "", "  ", "\u00a0", "\t", " nan ", "none", "NAN", "Null", "na", "Nan", "n.a.", "N.A.", "-", "?", "Unknown"],
)
def test_who_is_unknown(text: str | None):
    assert speaker(text) is None
    assert known(text) is None


def test_the_page_lists_every_spelling_of_unknown():
    (row,) = [line for line in Path("docs/own-data.md").read_text().splitlines() if line.endswith("| unknown |")]
    assert row.strip().startswith("| empty, ")
    assert {"", *(name.casefold() for name in re.findall("`([^`]+)`", row))} == UNKNOWN


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("17", "17"), ("17.0", "17"), (" 17.00 ", "17"), ("-1.0", "-1"), ("1.5", "1.5"), ("007", "007"),
        ("1e5", "1e5"), ("17.0.0", "17.0.0"), ("S17.0", "S17.0"), (".0", ".0"), ("nana", "nana"), ("--", "--"),
        (unicodedata.normalize("NFD", "José"), "José"), ("क़", unicodedata.normalize("NFC", "क़")),
    ],
)  # fmt: skip
def test_who_is_known(text: str, name: str):
    assert speaker(text) == name
