"""Pictures of things that do not exist: random shapes of several parts on random textures.

The vision stand-in learns from these. None is a kind of the corpus, which draws its own twenty; a thing here is a
handful of random outlines, drawn anew from its number, in any colour.
"""

import colorsys

import numpy as np
from PIL import Image, ImageDraw

SIDE = 196  # drawn at this many pixels, seen at fewer
THINGS_SHOWN = 4  # in a picture to learn from
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
    draws: list[tuple[ImageDraw.ImageDraw, bool]], number: int, colour: tuple[float, float, float], label: int,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Draw thing `number` somewhere, at some size and slight tilt; where the flag is set, as a flat `label`."""
    size = rng.uniform(0.13, 0.32) * SIDE
    centre = rng.uniform(size * 0.7, SIDE - size * 0.7, 2)
    turn = _rotation(rng.normal(0, 0.15)) * [rng.choice([-1.0, 1.0]), rng.uniform(0.8, 1.2)]
    for corners, lighter in thing(number):
        points = [tuple(point) for point in corners @ turn * size + centre]
        for draw, flat in draws:
            if flat:
                draw.polygon(points, fill=label)
            else:
                edge = _shade(colour, -0.6) if lighter == 0.0 else None
                draw.polygon(points, fill=_shade(colour, lighter), outline=edge)


def _any_colour(rng: np.random.Generator) -> tuple[float, float, float]:
    """Hue, saturation and value of a thing: most are coloured, some grey."""
    return rng.uniform(), rng.beta(2, 1) if rng.random() < 0.8 else rng.uniform(0, 0.1), rng.uniform(0.1, 1)


def surrogate_picture(rng: np.random.Generator, numbers: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """RGB [side, side, 3] uint8 of the surrogate things `numbers`, and of each its (x, y, size) in [-1, 1] of the side.

    Each stands in a cell of its own of a 3 x 3 grid, so that things seldom hide each other.
    """
    picture = texture(rng)
    draw, places = ImageDraw.Draw(picture), []
    for number, cell in zip(numbers, rng.permutation(9), strict=False):
        size = rng.uniform(0.11, 0.26) * SIDE
        centre = (np.array([cell % 3, cell // 3]) + 0.5) / 3 * SIDE + rng.uniform(-0.12, 0.12, 2) * SIDE
        centre = np.clip(centre, size * 0.6, SIDE - size * 0.6)
        colour = _any_colour(rng)
        turn = _rotation(rng.normal(0, 0.2)) * [rng.choice([-1.0, 1.0]), rng.uniform(0.8, 1.2)]
        for corners, lighter in thing(FIRST_SURROGATE + int(number)):
            edge = _shade(colour, -0.6) if lighter == 0.0 else None
            points = [tuple(point) for point in corners @ turn * size + centre]
            draw.polygon(points, fill=_shade(colour, lighter), outline=edge)
        places.append((*(centre / SIDE * 2 - 1), size / SIDE * 2))
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR)), np.array(places)


def probe_picture(rng: np.random.Generator, things: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """RGB, and per pixel which of `things` things (0 none) and which of the PROBE_COLOURS (0 none) is seen there."""
    picture = texture(rng)
    shapes, colours = Image.new("L", picture.size), Image.new("L", picture.size)
    draws = [ImageDraw.Draw(image) for image in (picture, shapes, colours)]
    for _ in range(int(rng.integers(2, 6))):
        number, colour = int(rng.integers(things)), int(rng.integers(len(PROBE_COLOURS)))
        hue, saturation, value = PROBE_COLOURS[colour] + rng.normal(0, [0.012, 0.04, 0.03])
        tint = (hue, float(np.clip(saturation, 0, 1)), float(np.clip(value, 0.05, 1)))
        state = rng.bit_generator.state
        draw_thing([(draws[0], False), (draws[1], True)], number, tint, number + 1, rng)
        rng.bit_generator.state = state
        draw_thing([(draws[2], True)], number, tint, colour + 1, rng)
    return np.asarray(picture), np.asarray(shapes), np.asarray(colours)
