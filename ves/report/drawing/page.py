"""What every page of figures is made of: paragraphs, centred lines, the bars of light and of colours.

Lengths are pixels of the page, y down.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from ves.base.files import atomic
from ves.report.drawing import lettering
from ves.report.drawing.overlay import Scale, colour_bar
from ves.report.drawing.spotlight import light_bar

INK, QUIET, PAPER = "#1b1b1f", "#6a6a73", "#ffffff"
MARGIN, GAP = 28, 14


def size_within(picture: Image.Image, box: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the picture, as large as fits in a box, its aspect ratio kept."""
    ratio = min(box[0] / picture.width, box[1] / picture.height)
    return max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio))


def paragraph(
    page: Image.Image, at: tuple[int, int], text: str, size: int, width: int, colour: str, language: str
) -> int:
    """Write `text` below y, in lines of `width`, flush right where the script is; returns the y below it."""
    x, y = at
    lines = lettering.wrap(text, size, width, language)
    extents = [lettering.measure(line, size, language) for line in lines]
    widest = max((extent.width for extent in extents), default=0)
    for line, extent in zip(lines, extents, strict=True):
        y += max(extent.above, round(size * 0.95))
        left = x + (widest - extent.width if lettering.right_to_left(line) else 0)
        lettering.draw(page, (left, y), line, size, colour, language)
        y += max(extent.below, round(size * 0.3)) + round(size * 0.1)
    return y


def bar(page: Image.Image, at: tuple[int, int], width: int, scale: Scale, size: int) -> int:
    """The colours of a scale with numbers of that size at its ends and its middle; returns the y below."""
    x, y = at
    page.paste(colour_bar(width, size - 1), (x, y))
    for place, value in ((0, scale.low), (0.5, (scale.low + scale.high) / 2), (1, scale.high)):
        text = f"{value:.2f}".replace("-", "−")
        length = lettering.measure(text, size).width
        lettering.draw(page, (x + round(place * (width - length)), y + 2 * size + 1), text, size, QUIET)
    return y + 3 * size - 3


def lights(page: Image.Image, at: tuple[int, int], width: int, size: int) -> int:
    """From dim to lit, and what these mean, in letters of that size; returns the y below."""
    x, y = at
    page.paste(light_bar(width, size - 1), (x, y))
    for place, text in ((0, "median and less"), (1, "most alike")):
        length = lettering.measure(text, size).width
        lettering.draw(page, (x + round(place * (width - length)), y + 2 * size + 1), text, size, QUIET)
    return y + 3 * size - 3


def row_height(names: Iterable[str], height: int) -> int:
    """The height of a row of pictures: at least what the longest name beside it needs, which runs upwards."""
    return max(height, *(lettering.measure(name, 17).width + 6 for name in names))


def upright(page: Image.Image, name: str, x: int, top: int, height: int) -> None:
    """Write a name upwards along the left edge of a row."""
    extent = lettering.measure(name, 17)
    strip = Image.new("RGB", (extent.width + 2, 24), PAPER)
    lettering.draw(strip, (1, 17), name, 17, INK)
    turned = strip.rotate(90, expand=True)
    page.paste(turned, (x, top + (height - turned.height) // 2))


def centred(page: Image.Image, middle: int, y: int, text: str, size: int, colour: str, language: str) -> None:
    """A line centred on x = `middle`, on the baseline y."""
    width = lettering.measure(text, size, language).width
    lettering.draw(page, (middle - width // 2, y), text, size, colour, language)


def _units(pieces: Sequence[tuple[str, str]], rightwards: bool) -> list[tuple[str, str]]:
    """Words with their colours, in reading order. In a line from right to left, consecutive words from left to right of
    one colour stay one unit, or they would change places."""
    units: list[tuple[str, str]] = []
    for text, colour in pieces:
        for word in text.split():
            against = not rightwards and not lettering.right_to_left(word)
            if against and units and units[-1][1] == colour and not lettering.right_to_left(units[-1][0]):
                units[-1] = (f"{units[-1][0]} {word}", colour)
            else:
                units.append((word, colour))
    return units


def coloured(
    page: Image.Image, at: tuple[int, int], pieces: Sequence[tuple[str, str]], size: int, width: int, language: str
) -> int:
    """A paragraph, as `paragraph` writes it, of pieces (text, colour); returns the y below it."""
    x, y = at
    leftwards = lettering.right_to_left("".join(text for text, _ in pieces))
    space = lettering.measure("a a", size).width - lettering.measure("aa", size).width
    lines: list[list[tuple[str, str, int]]] = []
    room = 0
    for word, colour in _units(pieces, not leftwards):
        length = lettering.measure(word, size, language).width
        if not lines or length > room:
            lines.append([])
            room = width
        lines[-1].append((word, colour, length))
        room -= length + space
    widest = max((sum(length for _, _, length in line) + space * (len(line) - 1) for line in lines), default=0)
    for line in lines:
        extents = [lettering.measure(word, size, language) for word, _, _ in line]
        y += max(round(size * 0.95), *(extent.above for extent in extents))
        pen = x + widest if leftwards else x
        for word, colour, length in line:
            lettering.draw(page, (pen - length if leftwards else pen, y), word, size, colour, language)
            pen += -(length + space) if leftwards else length + space
        y += max(round(size * 0.3), *(extent.below for extent in extents)) + round(size * 0.1)
    return y


def stacked(pages: Sequence[Image.Image]) -> Image.Image:
    """Pages below each other, aligned at the left edge."""
    page = Image.new("RGB", (max(part.width for part in pages), sum(part.height for part in pages)), PAPER)
    y = 0
    for part in pages:
        page.paste(part, (0, y))
        y += part.height
    return page


def save(page: Image.Image, path: Path) -> None:
    """Write a PNG, whole or not at all."""
    with atomic(path) as temporary:
        page.save(temporary, "PNG", compress_level=4)  # half the time of 6, 2 % larger
