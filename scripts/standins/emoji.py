"""Cut-outs that the corpus does not have: emoji of other things, and shapes of nothing.

Left out are all pictures of the corpus, every emoji whose English name or keywords in Unicode CLDR contain the name of
a kind of the corpus, flags, and what is a variant of another emoji (tones of skin, professions).
"""

import json
from pathlib import Path

from choose_kinds import KINDS, emoji, names
from PIL import Image

VARIANTS = {  # tones of skin, letters of flags, keycaps, joiners
    f"{code:x}" for code in [*range(0x1F3FB, 0x1F400), *range(0x1F1E6, 0x1F200), 0x20E3, 0x200D]
}
SIDE = 128  # of the longer side, in pixels
SMALLEST = 24  # pixels of 256: what is thinner is a line


def _keywords(root: Path) -> dict[str, set[str]]:
    """Words of the English keywords of each emoji."""
    table = json.loads((root / "annotations" / "en" / "annotations.json").read_text("utf-8"))
    entries: dict[str, dict[str, list[str]]] = table["annotations"]["annotations"]
    return {sign: {word for text in entry["default"] for word in text.split()} for sign, entry in entries.items()}


def other_emoji(pictures: Path, annotations: Path) -> list[Image.Image]:
    """RGBA cut-outs of all emoji that show no kind of the corpus, in the order of their file names."""
    shown = {_code(sign) for signs in KINDS.values() for sign in emoji(signs.replace("|", ""))}
    words = {_code(sign): found for sign, found in _keywords(annotations).items()}
    said = {_code(sign): set(name.lower().split()) for sign, name in names(annotations, "en").items()}
    cut_outs = []
    for file in sorted((pictures / "assets").glob("*.webp")):
        code = _plain(file.stem)
        about = words.get(code, set()) | said.get(code, set())
        if code in shown or about & KINDS.keys() or VARIANTS & set(code.split("-")):
            continue
        picture = Image.open(file).convert("RGBA")
        box = picture.getchannel("A").point([0] * 16 + [255] * 240).getbbox()
        if box is None or min(box[2] - box[0], box[3] - box[1]) < SMALLEST:
            continue
        seen = picture.crop(box)
        seen.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        cut_outs.append(seen)
    return cut_outs


def _code(sign: str) -> str:
    return _plain("-".join(f"{ord(part):x}" for part in sign))


def _plain(code: str) -> str:
    """The code without the selectors that ask for a coloured picture."""
    return "-".join(part for part in code.split("-") if part != "fe0f")
