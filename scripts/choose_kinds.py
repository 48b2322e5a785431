"""Take the things of Spoken Scenes out of two npm packages: their pictures, and their names where a table has none.

    python scripts/choose_kinds.py                    # pictures and kinds.yaml into ves/sources/scenes/things
    python scripts/choose_kinds.py --sheet sheet.png  # and every picture on one sheet, to look at
    python scripts/choose_kinds.py --names            # nouns that a table of words lacks, as CLDR has them

KINDS was chosen by eye from 849 emoji of animals, food, places and objects that have a name in all twelve languages:
things that one can point at, with names of at most two words, which look different from each other. `--twins` prints
the pairs that share most of their colours, which is how near-twins were found (camel and dog, sun and orange).
"""

import argparse
import io
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image, ImageDraw

from ves.base.files import atomic

ROOT = Path(__file__).resolve().parent.parent
THINGS, LEXICON = ROOT / "ves/sources/scenes/things", ROOT / "ves/sources/scenes/lexicon"
PICTURES, NAMES = "@lobehub/fluent-emoji-3d@1.1.0", "cldr-annotations-full@48.2.0"
SIDE = 160  # pixels of the longer side
QUALITY = 90
MOST_WORDS = 2
# kind: its pictures, and after the bar those that no training sees. The twenty kinds of the first edition come first.
KINDS = {
    "ball": "🏀⚽|🥎", "cup": "☕|🍵", "car": "🚗🚙🚕|🚓", "tree": "🌳🌲|🎄", "house": "🏠🏡|🏚", "chair": "🪑",
    "umbrella": "☂⛱", "fish": "🐟🐠|🐡", "bird": "🐦🕊|🐦‍⬛", "flower": "🌺🌼🌷🌻|🌸", "hat": "🎩👒|🧢",
    "book": "📕📗📘|📙", "bottle": "🍾🍼|🧴", "key": "🔑|🗝", "clock": "⏰⌚|🕰", "boat": "⛵🛶🚤|🛥", "kite": "🪁",
    "bell": "🔔|🛎", "star": "⭐|🌟", "shirt": "👕|🎽",
    "elephant": "🐘", "banana": "🍌", "tiger": "🐅", "grapes": "🍇", "bus": "🚌|🚍", "butterfly": "🦋",
    "watermelon": "🍉", "rabbit": "🐇", "temple": "🛕", "balloon": "🎈", "apple": "🍎|🍏", "airplane": "✈|🛩",
    "peacock": "🦚", "rainbow": "🌈", "mushroom": "🍄", "cow": "🐄", "eggplant": "🍆", "train": "🚂🚆|🚄",
    "turtle": "🐢", "carrot": "🥕", "crown": "👑", "horse": "🐎", "television": "📺", "pineapple": "🍍",
    "rooster": "🐓", "rickshaw": "🛺", "sun": "☀", "cat": "🐈‍⬛", "bucket": "🪣", "drum": "🥁|🪘", "monkey": "🐒",
    "moon": "🌙", "shoe": "👞👟|🥾", "lamp": "🪔", "scissors": "✂", "camera": "📷|📸", "dog": "🐕|🐕‍🦺",
    "bicycle": "🚲", "fire": "🔥", "mango": "🥭",
}  # fmt: skip
JOINER = "\u200d"
HEAD = """\
# The kinds of things in order, each with its pictures (<name>.webp); `unseen` are those that no training sees.
# Written by scripts/choose_kinds.py. `corpus.scenes.kinds` takes the first so many.
"""


def packages(folder: Path) -> tuple[Path, Path]:
    """Fetch and unpack both packages into a folder: the pictures' and the names' root."""
    roots = []
    for number, package in enumerate((PICTURES, NAMES)):
        place = folder / str(number)
        place.mkdir()
        subprocess.run(["npm", "pack", "--silent", package], cwd=place, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(next(place.glob("*.tgz"))) as archive:
            archive.extractall(place, filter="data")
        roots.append(place / "package")
    return roots[0], roots[1]


def emoji(text: str) -> list[str]:
    """The emoji of a string, each with all that joiners bind to it."""
    found: list[str] = []
    for sign in text:
        joined = bool(found) and (sign == JOINER or found[-1].endswith(JOINER))
        found = [*found[:-1], found[-1] + sign] if joined else [*found, sign]
    return found


def annotations(root: Path, language: str) -> dict[str, dict[str, list[str]]]:
    """Emoji -> its name (`tts`) and keywords (`default`) in Unicode CLDR."""
    table = json.loads((root / "annotations" / language / "annotations.json").read_text("utf-8"))
    return table["annotations"]["annotations"]


def names(root: Path, language: str) -> dict[str, str]:
    """Emoji -> its name; what follows a comma, as often in Hindi, is left out."""
    entries = annotations(root, language)
    return {sign: entry["tts"][0].split(",")[0] for sign, entry in entries.items() if "tts" in entry}


def cropped(picture: Image.Image) -> Image.Image:
    """What is seen of an RGBA picture; empty if nothing is."""
    return picture.crop(picture.getchannel("A").point([0] * 16 + [255] * 240).getbbox() or (0, 0, 0, 0))


def cut_out(root: Path, sign: str) -> Image.Image:
    """One emoji, cropped to what is seen of it and scaled to SIDE pixels. Raises FileNotFoundError if there is none."""
    code = "-".join(f"{ord(part):x}" for part in sign)
    joined = code.replace("-200d", "-fe0f-200d")
    files = [root / "assets" / f"{name}.webp" for name in (code, f"{code}-fe0f", joined)]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise FileNotFoundError(f"{PICTURES} has no picture {sign} ({code}); take another in KINDS")
    seen = cropped(Image.open(file).convert("RGBA"))
    scale = SIDE / max(seen.size)
    return seen.resize((round(seen.width * scale), round(seen.height * scale)), Image.Resampling.LANCZOS)


def webp(picture: Image.Image) -> bytes:
    """The picture as a WebP file with alpha."""
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY, method=6)
    return buffer.getvalue()


def sheet(pictures: dict[str, Image.Image]) -> Image.Image:
    """Every picture under its name on grey."""
    columns, cell = 12, 112
    page = Image.new("RGB", (columns * cell, -(-len(pictures) // columns) * (cell + 14)), (186, 186, 186))
    draw = ImageDraw.Draw(page)
    for i, (name, picture) in enumerate(pictures.items()):
        small = picture.resize((picture.width * 100 // SIDE, picture.height * 100 // SIDE))
        x, y = i % columns * cell, i // columns * (cell + 14)
        page.paste(small, (x + 6, y + 4), small)
        draw.text((x + 2, y + cell - 4), name[:20], fill="black")
    return page


def twins(pictures: dict[str, Image.Image], kind_of: dict[str, str]) -> list[tuple[float, str, str]]:
    """Pairs of pictures of two kinds by the share of colours (5 levels each of red, green, blue) that both have."""
    shares = []
    for picture in pictures.values():
        pixels = np.asarray(picture)
        level = pixels[..., :3].astype(int) * 5 // 256
        count = np.bincount((level @ np.array([25, 5, 1])).ravel(), pixels[..., 3].ravel(), 125)
        shares.append(count / count.sum())
    names = list(pictures)
    pairs = [(i, j) for i in range(len(names)) for j in range(i) if kind_of[names[i]] != kind_of[names[j]]]
    return sorted(((float(np.minimum(shares[i], shares[j]).sum()), names[i], names[j]) for i, j in pairs), reverse=True)


def missing_names(root: Path) -> None:
    """Print the nouns that each table of words lacks; who corrects a table adds the gender where colours agree."""
    for table in sorted(LEXICON.glob("*.yaml")):
        known, said = yaml.safe_load(table.read_text("utf-8"))["nouns"], names(root, table.stem)
        lacking = {kind: said[emoji(signs)[0]] for kind, signs in KINDS.items() if kind not in known}
        if long := {kind: name for kind, name in lacking.items() if len(name.split()) > MOST_WORDS}:
            print(f"# {table.stem}: more than {MOST_WORDS} words: {long}")
        for kind, name in lacking.items():
            print(f"{table.name}:   {kind}: {{word: {name}}}")


def main() -> None:
    """Fetch, write, and show what was asked for; see the head of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheet", type=Path, help="write a sheet of all pictures there")
    parser.add_argument("--names", action="store_true", help="print nouns that the tables of words lack")
    parser.add_argument("--twins", action="store_true", help="print the pairs of pictures with most colours in common")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pictures_root, names_root = packages(Path(folder))
        english, table, pictures, kind_of = names(names_root, "en"), {}, {}, {}
        for kind, signs in KINDS.items():
            seen, _, unseen = signs.partition("|")
            entry: dict[str, Any] = {}
            for key, group in (("pictures", seen), ("unseen", unseen)):
                for sign in emoji(group):
                    name = "-".join(english[sign].replace("’", "").lower().split())
                    pictures[name], kind_of[name] = cut_out(pictures_root, sign), kind
                    entry.setdefault(key, []).append(name)
            table[kind] = entry
        if arguments.names:
            missing_names(names_root)
    for file in THINGS.glob("*.webp"):
        if file.stem not in pictures:
            file.unlink()
    for name, picture in pictures.items():
        with atomic(THINGS / f"{name}.webp") as temporary:
            temporary.write_bytes(webp(picture))
    lines = [f"{kind}: {json.dumps(entry).replace(chr(34), '')}\n" for kind, entry in table.items()]
    with atomic(THINGS / "kinds.yaml") as temporary:
        temporary.write_text(HEAD + "\n" + "".join(lines), encoding="utf-8")
    if arguments.sheet:
        sheet(pictures).save(arguments.sheet)
    for share, one, other in twins(pictures, kind_of)[:20] if arguments.twins else []:
        print(f"{share:.2f} {one} {other}")


if __name__ == "__main__":
    main()
