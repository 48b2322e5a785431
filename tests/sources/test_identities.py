"""One speaker has one name, and nobody is called nan."""

import unicodedata

import pytest

from ves.sources.identities import speaker


@pytest.mark.parametrize(
    "text",
    [None, "", "  ", "\u00a0", "\t", "nan", "NaN", "None", "<NA>", "null", "NULL", "NA", "N/A", "n/a", "#N/A", " nan "],
)
def test_who_is_unknown(text: str | None):
    assert speaker(text) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("17", "17"), ("17.0", "17"), (" 17.00 ", "17"), ("-1.0", "-1"), ("1.5", "1.5"), ("007", "007"),
        ("1e5", "1e5"), ("17.0.0", "17.0.0"), ("S17.0", "S17.0"), (".0", ".0"), ("na", "na"), ("Nan", "Nan"),
        (unicodedata.normalize("NFD", "José"), "José"), ("क़", unicodedata.normalize("NFC", "क़")),
    ],
)  # fmt: skip
def test_who_is_known(text: str, name: str):
    assert speaker(text) == name
