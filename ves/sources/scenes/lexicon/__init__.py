"""The words of each language: one YAML table per language, `<code>.yaml`, meant to be corrected by its speakers.

`hi.yaml` explains every key. Nothing here knows how a description is put together (ves.sources.scenes.description).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import yaml

HERE = Path(__file__).parent
GENDERS = ("m", "f", "n")


@dataclass(frozen=True, slots=True)
class Noun:
    """What a kind is called; `gender` is None where colours do not agree; `also` is a loan used in code-switching."""

    word: str
    gender: str | None = None
    also: str | None = None


@dataclass(frozen=True, slots=True)
class Lexicon:
    """One language. The phrase tables map an English meaning to words; `colours` to one form or one per gender."""

    language: str
    voice: str
    script: str
    phrase: str
    one: str
    openings: dict[str, str]
    joins: dict[str, str]
    closings: dict[str, str]
    fillers: dict[str, str]
    colours: dict[str, str | dict[str, str]]
    nouns: dict[str, Noun]

    def colour(self, colour: str, kind: str) -> str:
        """The colour as it is said of this kind of thing."""
        form = self.colours[colour]
        return form if isinstance(form, str) else form[self.nouns[kind].gender or "m"]


def codes() -> list[str]:
    """Every language there is a table for, as espeak voice codes."""
    return sorted(path.stem for path in HERE.glob("[!.]*.yaml"))


def digest(codes: Iterable[str]) -> str:
    """Hash of the tables of some languages, in this order: twelve hexadecimal digits."""
    return hashlib.sha256(b"".join((HERE / f"{code}.yaml").read_bytes() for code in codes)).hexdigest()[:12]


@cache
def lexicon(code: str) -> Lexicon:
    """Read one table. Raises ValueError for an unknown language, or naming the file and the keys that are wrong."""
    path = HERE / f"{code}.yaml"
    if not path.exists():
        raise ValueError(f"no lexicon for language {code!r}; there are {', '.join(codes())}")
    table = yaml.safe_load(path.read_text(encoding="utf-8"))
    expected = {field.name for field in fields(Lexicon)}
    if wrong := expected ^ set(table):
        raise ValueError(f"{path.name}: missing or unknown keys {sorted(wrong)}; expected {sorted(expected)}")
    nouns = {kind: Noun(**entry) for kind, entry in table.pop("nouns").items()}
    return Lexicon(**table, nouns=nouns)
