"""Pictures of things that do not exist: random shapes of several parts on random textures.

A thing here is a handful of random outlines, drawn anew from its number, in any colour. Some stand among the emoji that
the vision stand-in learns from (standins.collages); others measure whether it tells colours apart.
"""

import colorsys

import numpy as np
from PIL import Image, ImageDraw

SIDE = 196  # drawn at this many pixels, seen at fewer
FIRST_SURROGATE = 1000  # things with lower numbers are for measuring only
# Centres of eight hues for measuring only: (hue, saturation, value) and how far a colour may be from them.
PROBE_COLOURS = [
    (0.0, 0.85, 0.8), (0.08, 0.9, 0.95), (0.155, 0.85, 0.95), (0.35, 0.75, 0.6),
    (0.61, 0.8, 0.75), (0.92, 0.45, 0.95), (0.1, 0.04, 0.95), (0.6, 0.2, 0.13),
]  # fmt: skip


def _outline(rng: np.random.Generator) -> np.ndarray:
    """Corners [n, 2] of a random outline about the origin, at most 1 away: a blob, or an irregular polygon."""
    if rng.random() < 0.5:
        angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        order = rng.integers(2, 7, 3)
        height, phase = rng.uniform(0.05, 0.3, (3, 1)), rng.uniform(0, 2 * np.pi, (3, 1))
        radius = 1 + (height * np.cos(order[:, None] * angle + phase)).sum(0)
    else:
        angle = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9))))
        radius = rng.uniform(0.45, 1, len(angle))
    corners = np.stack([np.cos(angle), np.sin(angle)], -1) * radius[:, None] / radius.max()
    return corners * [1, rng.uniform(0.25, 1)] @ _rotation(rng.uniform(0, np.pi))


def _rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def thing(number: int) -> list[tuple[np.ndarray, float]]:
    """The parts of thing `number`: outlines in the square [-1, 1]^2 and how much each is lighter or darker."""
    rng = np.random.default_rng([7, number])
    parts = [(_outline(rng) * rng.uniform(0.6, 0.85), 0.0)]
    for _ in range(int(rng.integers(1, 5))):
        corners = _outline(rng) * rng.uniform(0.15, 0.5) + rng.uniform(-0.65, 0.65, 2)
        parts.append((corners, float(rng.choice([-0.35, -0.2, 0.0, 0.3]))))
    return parts


def texture(rng: np.random.Generator) -> Image.Image:
    """A background: two colours mixed by noise of a random coarseness, by stripes or by a slope; then loose strokes."""
    first, second = rng.uniform(30, 235, (2, 3))
    second = first + (second - first) * rng.uniform(0.1, 0.8)
    kind = rng.integers(3)
    if kind == 0:
        cells = int(rng.integers(3, 40))
        noise = Image.fromarray(rng.integers(0, 256, (cells, cells), dtype=np.uint8))
        mix = np.asarray(noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32) / 255
    else:
        y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
        angle = rng.uniform(0, np.pi)
        along = x * np.cos(angle) + y * np.sin(angle)
        mix = (np.sin(along * rng.uniform(10, 90)) > 0) * 1.0 if kind == 1 else np.clip(along, 0, 1)
    pixels = first + (second - first) * mix[..., None] + rng.normal(0, rng.uniform(0, 8), (SIDE, SIDE, 1))
    picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(0, 12))):
        start, end = rng.uniform(0, SIDE, 2), rng.normal(0, SIDE / 5, 2)
        tint = tuple(int(v) for v in rng.uniform(20, 240, 3))
        draw.line([tuple(start), tuple(start + end)], tint, int(rng.integers(1, 5)))
    return picture


def _shade(colour: tuple[float, float, float], lighter: float) -> tuple[int, int, int]:
    hue, saturation, value = colour
    value = value + lighter * (1 - value) if lighter > 0 else value * (1 + lighter)
    saturation = saturation * (1 - max(lighter, 0) * 0.8)
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_thing(
    draws: list[ImageDraw.ImageDraw], number: int, colour: tuple[float, float, float], label: int,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Draw thing `number` somewhere, at some size and slight tilt, in a picture and as a flat `label` in a map."""
    size = rng.uniform(0.13, 0.32) * SIDE
    centre = rng.uniform(size * 0.7, SIDE - size * 0.7, 2)
    turn = _rotation(rng.normal(0, 0.15)) * [rng.choice([-1.0, 1.0]), rng.uniform(0.8, 1.2)]
    picture, flat = draws
    for corners, lighter in thing(number):
        points = [tuple(point) for point in corners @ turn * size + centre]
        edge = _shade(colour, -0.6) if lighter == 0.0 else None
        picture.polygon(points, fill=_shade(colour, lighter), outline=edge)
        flat.polygon(points, fill=label)


def _any_colour(rng: np.random.Generator) -> tuple[float, float, float]:
    """Hue, saturation and value of a thing: most are coloured, some grey."""
    return rng.uniform(), rng.beta(2, 1) if rng.random() < 0.8 else rng.uniform(0, 0.1), rng.uniform(0.1, 1)


def thing_picture(rng: np.random.Generator) -> Image.Image:
    """A random thing in a random colour, RGBA."""
    half = SIDE / 2
    picture = Image.new("RGBA", (SIDE, SIDE))
    draw, colour = ImageDraw.Draw(picture), _any_colour(rng)
    for corners, lighter in thing(FIRST_SURROGATE + int(rng.integers(2**31))):
        points = [tuple(point) for point in corners * half * 0.95 + half]
        draw.polygon(points, fill=_shade(colour, lighter), outline=_shade(colour, -0.6) if lighter == 0.0 else None)
    return picture.crop(picture.getbbox())


def probe_picture(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """RGB of random things on a texture, and per pixel which of the PROBE_COLOURS is seen there (from 1; 0 none)."""
    picture = texture(rng)
    colours = Image.new("L", picture.size)
    draws = [ImageDraw.Draw(image) for image in (picture, colours)]
    for _ in range(int(rng.integers(2, 6))):
        number, colour = int(rng.integers(FIRST_SURROGATE)), int(rng.integers(len(PROBE_COLOURS)))
        hue, saturation, value = PROBE_COLOURS[colour] + rng.normal(0, [0.012, 0.04, 0.03])
        tint = (hue, float(np.clip(saturation, 0, 1)), float(np.clip(value, 0.05, 1)))
        draw_thing(draws, number, tint, colour + 1, rng)
    return np.asarray(picture), np.asarray(colours)
