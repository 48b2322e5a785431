"""The folder of an explorer as it is written: the page, what it shows of each clip, sound, pictures and fonts."""

import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ves.base.files import atomic
from ves.media.encoding import PICTURE_SIDE, THUMBNAIL_SIDE, flac, jpeg
from ves.report.clips.viewing import Viewing
from ves.report.drawing import lettering
from ves.report.drawing.overlay import COLOURS, HEAT, outline
from ves.report.drawing.spotlight import CONSTANTS
from ves.report.explorer.clip import clip_data

LATIN = 0x2FF  # letters up to this code point are in every browser's fonts
PAGE = Path(__file__).parent / "page"
INTRO = (
    "Click a word to hear it and to see what each model finds most like it: that is lit, the rest of the picture dims. "
    "White dot: the most similar patch; orange: the strongest region; blue: the object that the word names, where that "
    "is known. Press Play to see it moment by moment. Touch a spot in a picture: the moments of speech that are like "
    "it light up. Each model was trained with a different objective, on pairs of pictures and speech alone; nobody "
    "taught it any words."
)


class Page:
    """A folder being written: files by their content's name, each once, and the scripts that hold the data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(PAGE, folder)
        (folder / "data").mkdir()
        (folder / "media").mkdir()

    def has(self, name: str) -> bool:
        """Whether a file of media is there already."""
        return (self.folder / "media" / name).exists()

    def size(self) -> int:
        """Bytes of all that is there."""
        return sum(file.stat().st_size for file in self.folder.rglob("*"))

    def media(self, name: str, content: bytes) -> str:
        """Keep a file of media; returns its address for the page."""
        (self.folder / "media" / name).write_bytes(content)
        return f"media/{name}"

    def script(self, name: str, call: str, content: Any) -> None:
        """data/<name>.js, which calls a function of the explorer with `content`."""
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
        (self.folder / "data" / f"{name}.js").write_text(f"explorer.{call}({text});\n", encoding="utf-8")

    def fonts(self, texts: Sequence[str]) -> None:
        """The fonts that these texts need, and fonts.css: a browser may have none for a script."""
        unknown = set().union(*map(set, texts)) - set(map(chr, lettering.characters("NotoSans")))
        families = {
            family
            for family in lettering.FAMILIES
            if any(ord(character) in lettering.characters(family) for character in unknown)
        }
        rules = []
        for family in sorted(families):
            shutil.copy(lettering.FONTS / f"{family}-Regular.ttf", self.folder / "media")
            points = ",".join(f"U+{point:X}" for point in sorted(lettering.characters(family)) if point > LATIN)
            source = f'src: url("media/{family}-Regular.ttf"); unicode-range: {points};'
            rules.append(f"@font-face {{ font-family: Scripts; {source} }}\n")
        if families:
            shutil.copy(lettering.FONTS / "OFL.txt", self.folder / "media")
        (self.folder / "fonts.css").write_text("".join(rules), encoding="utf-8")


def _outlined(mask: np.ndarray, size: tuple[int, int]) -> bytes:
    """The outline of an object, the rest transparent, as large as a picture of that size is on the page."""
    panel = Image.new("RGBA", size)
    panel.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    outline(panel, Image.fromarray(mask.astype(np.uint8) * 255))
    panel.save(encoded := io.BytesIO(), "PNG")
    return encoded.getvalue()


def show(page: Page, viewing: Viewing, seconds: float, retrieved: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Put one clip on the page, with what each run retrieves (`pictures`, `clips`); returns its entry for the index.

    `seconds` is the length of the window with its words and tokens.
    """
    name, content = viewing.clip_id, clip_data(viewing, seconds)
    content["picture"] = page.media(f"{name}.jpg", jpeg(viewing.picture, PICTURE_SIDE))
    content["objects"] = {
        number: page.media(f"{name}-object-{number}.png", _outlined(mask, viewing.picture.size))
        for number, mask in viewing.objects.items()
    }
    content["sound"] = page.media(f"{name}.mp4", flac(viewing.samples))
    for run, neighbours in retrieved.items():
        content["runs"][run] |= neighbours
    page.script(name, "add", content)
    thumbnail = page.media(f"{name}-thumb.jpg", jpeg(viewing.picture, THUMBNAIL_SIDE))
    return {"id": name, "language": viewing.heading, "title": viewing.gloss or name[:8], "thumbnail": thumbnail}


def finish(
    page: Page, entries: list[dict[str, Any]], texts: Sequence[str], about: str, back: str | None = None
) -> None:
    """Write the index, last, since the page begins with it; `back` is the address that it links back to."""
    page.fonts(texts)
    shades = {"colours": COLOURS.tolist(), "opacity": HEAT, "light": CONSTANTS}
    page.script("index", "index", {"intro": INTRO, "about": about, "back": back, "clips": entries} | shades)


def write_one(viewing: Viewing, about: str, out: Path) -> None:
    """Write a page of one clip, somebody's own picture and voice, as the folder `out`, and replace what is there."""
    last = viewing.frames.span(len(viewing.valid) - 1)[1]
    with atomic(out) as temporary:
        page = Page(temporary)
        entry = show(page, viewing, max(viewing.seconds, last), {})
        finish(page, [entry], [viewing.description], about)
