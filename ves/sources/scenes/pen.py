"""A pen that draws in the unit square: x to the right, y down, widths as shares of the side."""

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

PAINTS = {
    "red": (206, 36, 38),
    "orange": (241, 130, 22),
    "yellow": (247, 210, 46),
    "green": (46, 150, 62),
    "blue": (40, 92, 204),
    "pink": (243, 128, 182),
    "white": (245, 245, 241),
    "black": (42, 42, 46),
}
NEUTRALS = {
    "wood": (126, 86, 52),
    "glass": (176, 206, 220),
    "paper": (240, 234, 218),
    "steel": (150, 152, 156),
    "tyre": (48, 46, 48),
    "gold": (206, 164, 74),
    "moss": (96, 112, 70),
}
OUTLINE = 0.02  # share of the side

type Points = Sequence[tuple[float, float]]
type RGB = tuple[int, int, int]


def blend(a: RGB, b: RGB, share: float) -> RGB:
    """The colour that lies `share` of the way from a to b."""
    red, green, blue = (round(p + (q - p) * share) for p, q in zip(a, b, strict=True))
    return red, green, blue


def palette(colour: str, tone: float) -> dict[str, RGB]:
    """Paints of one object. base is its colour, a little lighter or darker by tone (-1 to 1); the rest derive from it.

    Details on black must be lighter than it and details on white darker, or they would not be seen.
    """
    target = (255, 255, 255) if tone > 0 else (0, 0, 0)
    base = blend(PAINTS[colour], target, abs(tone) * (0.05 if colour in ("white", "yellow") else 0.12))
    dark = (92, 92, 98) if colour == "black" else blend(base, (0, 0, 0), 0.30)
    light = blend(base, (255, 255, 255), 0.18 if colour == "black" else 0.45)
    ink = (14, 14, 16) if colour == "black" else blend(base, (24, 20, 24), 0.72)
    return NEUTRALS | {"base": base, "dark": dark, "light": light, "ink": ink}


class Pen:
    """Draws outlined shapes on a transparent square of `size` pixels with the paints of one object."""

    def __init__(self, size: int, paints: dict[str, RGB]):
        self.size, self.paints = size, paints
        self.image = Image.new("RGBA", (size, size), (*paints["ink"], 0))
        self.draw = ImageDraw.Draw(self.image)

    def _width(self, share: float) -> int:
        return max(1, round(share * self.size))

    def _scaled(self, points: Points) -> list[tuple[float, float]]:
        return [(x * self.size, y * self.size) for x, y in points]

    def polygon(self, points: Points, fill: str = "base", outline: float = OUTLINE) -> None:
        """A filled polygon with round corners on its outline."""
        scaled = self._scaled(points)
        self.draw.polygon(scaled, fill=self.paints[fill])
        if outline:
            width = self._width(outline)
            self.draw.line([*scaled, *scaled[:2]], fill=self.paints["ink"], width=width, joint="curve")

    def box(self, left: float, top: float, right: float, bottom: float, fill: str = "base", r: float = 0.0) -> None:
        """A filled rectangle, its corners rounded by radius `r`."""
        corners = self._scaled([(left, top), (right, bottom)])
        self.draw.rounded_rectangle(
            [*corners[0], *corners[1]], r * self.size, self.paints[fill], self.paints["ink"], self._width(OUTLINE)
        )

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: str = "base", outline: float = OUTLINE) -> None:
        """A filled ellipse around (x, y)."""
        corners = [v * self.size for v in (x - rx, y - ry, x + rx, y + ry)]
        self.draw.ellipse(corners, self.paints[fill], self.paints["ink"], self._width(outline) if outline else 0)

    def ring(self, x: float, y: float, r: float, width: float, fill: str = "base") -> None:
        """An open ring: what is behind shows through its hole."""
        for radius, thick, paint in ((r, width, "ink"), (r - OUTLINE, width - 2 * OUTLINE, fill)):
            corners = [v * self.size for v in (x - radius, y - radius, x + radius, y + radius)]
            self.draw.ellipse(corners, None, self.paints[paint], self._width(thick))

    def line(self, points: Points, width: float, fill: str = "ink") -> None:
        """A thick line through the points, its ends and corners round."""
        scaled, thick = self._scaled(points), self._width(width)
        self.draw.line(scaled, fill=self.paints[fill], width=thick, joint="curve")
        for x, y in (scaled[0], scaled[-1]):
            r = thick / 2 - 0.5
            self.draw.ellipse((x - r, y - r, x + r, y + r), fill=self.paints[fill])

    def bar(self, points: Points, width: float, fill: str = "base") -> None:
        """A thick line with an outline."""
        self.line(points, width, "ink")
        self.line(points, width - 2 * OUTLINE, fill)


def circle(x: float, y: float, r: float, start: int = 0, end: int = 360, steps: int = 40) -> Points:
    """Points along an arc around (x, y); degrees run clockwise from the right, because y points down."""
    angles = [math.radians(start + (end - start) * i / steps) for i in range(steps + 1)]
    return [(x + r * math.cos(a), y + r * math.sin(a)) for a in angles]
