"""Cut-outs that the corpus does not have: emoji of other things, and shapes of nothing.

Left out are all pictures of the corpus, every emoji whose English name or keywords in Unicode CLDR contain the name of
a kind of the corpus, flags, and what is a variant of another emoji (tones of skin, professions).
"""

from pathlib import Path

from choose_kinds import KINDS, annotations, cropped, emoji
from PIL import Image

VARIANTS = {  # tones of skin, letters of flags, keycaps, joiners
    f"{code:x}" for code in [*range(0x1F3FB, 0x1F400), *range(0x1F1E6, 0x1F200), 0x20E3, 0x200D]
}
SIDE = 128  # of the longer side, in pixels
SMALLEST = 24  # pixels of 256: what is thinner is a line


def _words(root: Path) -> dict[str, set[str]]:
    """Words of the English name and keywords of each emoji, by its code."""
    entries = annotations(root, "en").items()
    texts = {_code(sign): [*entry.get("tts", []), *entry.get("default", [])] for sign, entry in entries}
    return {code: {word for text in each for word in text.lower().split()} for code, each in texts.items()}


def other_emoji(pictures: Path, names: Path) -> list[Image.Image]:
    """RGBA cut-outs of all emoji that show no kind of the corpus, in the order of their file names."""
    shown = {_code(sign) for signs in KINDS.values() for sign in emoji(signs.replace("|", ""))}
    words = _words(names)
    cut_outs = []
    for file in sorted((pictures / "assets").glob("*.webp")):
        code = _plain(file.stem)
        if code in shown or words.get(code, set()) & KINDS.keys() or VARIANTS & set(code.split("-")):
            continue
        seen = cropped(Image.open(file).convert("RGBA"))
        if min(seen.size) < SMALLEST:
            continue
        seen.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        cut_outs.append(seen)
    return cut_outs


def _code(sign: str) -> str:
    return _plain("-".join(f"{ord(part):x}" for part in sign))


def _plain(code: str) -> str:
    """The code without the selectors that ask for a coloured picture."""
    return "-".join(part for part in code.split("-") if part != "fe0f")
