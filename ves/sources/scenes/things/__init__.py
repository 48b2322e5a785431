"""The kinds of things that pictures show, and what each looks like: pictures with alpha, in one or several forms.

`kinds.yaml` has the kinds in their order; README.md says where the pictures come from and under what licence.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from PIL import Image

HERE = Path(__file__).parent
SIDE = 160  # pixels of the longer side of every picture


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of things, such as car: names of its pictures, and of those that no training sees (often none)."""

    name: str
    pictures: tuple[str, ...]
    unseen: tuple[str, ...] = ()


@cache
def kinds() -> tuple[Kind, ...]:
    """Every kind, in order: a corpus with n kinds has the first n."""
    table = yaml.safe_load((HERE / "kinds.yaml").read_text(encoding="utf-8"))
    return tuple(Kind(name, **{key: tuple(names) for key, names in entry.items()}) for name, entry in table.items())


@cache
def picture(name: str) -> Image.Image:
    """The picture of this name as RGBA; nobody may change it."""
    with Image.open(HERE / f"{name}.webp") as file:
        return file.convert("RGBA")


def digest() -> str:
    """Hash of the kinds and their pictures: twelve hexadecimal digits."""
    content = hashlib.sha256((HERE / "kinds.yaml").read_bytes())
    for kind in kinds():
        for name in (*kind.pictures, *kind.unseen):
            content.update((HERE / f"{name}.webp").read_bytes())
    return content.hexdigest()[:12]
