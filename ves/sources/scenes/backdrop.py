"""What is behind the things: walls, wood, cloth, lights, leaves and stone out of focus, and nothing that has a name.

Each is two or three paints mixed by fields of noise, with shapes that no description mentions, then blurred as a lens
does. Fields are computed at half the size, since the blur leaves nothing finer.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFilter

PALETTES = np.array(  # pairs of paints: plaster, ground, cloth, stone, dusk, grass, sand, sea, oak, night
    [
        [[224, 216, 200], [176, 158, 134]],
        [[150, 146, 138], [98, 98, 96]],
        [[196, 188, 206], [132, 122, 150]],
        [[208, 212, 212], [142, 152, 158]],
        [[232, 202, 182], [146, 120, 140]],
        [[168, 184, 140], [92, 112, 80]],
        [[226, 210, 166], [184, 156, 106]],
        [[164, 192, 202], [92, 124, 142]],
        [[182, 140, 98], [116, 80, 52]],
        [[92, 96, 116], [44, 46, 62]],
    ],
    np.float32,
)

type Field = Float[np.ndarray, "H W"]


def noise(rng: np.random.Generator, width: int, height: int, across: int, down: int) -> Field:
    """Smooth noise in about [-1, 1] whose blots are `across` by `down` pixels."""
    coarse = rng.standard_normal((height // down + 2, width // across + 2), np.float32)
    return np.asarray(Image.fromarray(coarse * np.float32(0.5)).resize((width, height), Image.Resampling.BICUBIC))


def _wall(rng: np.random.Generator, width: int, height: int) -> Field:
    """A wall, lit from one side, above a floor or table."""
    x, y = np.arange(width, dtype=np.float32)[None] / width, np.arange(height, dtype=np.float32)[:, None] / height
    edge = np.float32(rng.uniform(0.5, 0.85))
    wall = np.float32(0.25) * (x if rng.random() < 0.5 else 1 - x) + np.float32(0.12) * noise(rng, width, height, 9, 9)
    floor = np.float32(0.75) + np.float32(0.5) * (y - edge) + np.float32(0.15) * noise(rng, width, height, 14, 5)
    return np.where(y < edge, wall, floor)


def _wood(rng: np.random.Generator, width: int, height: int) -> Field:
    """Boards with their grain, lying or standing."""
    lying = rng.random() < 0.5
    long, wide = (width, height) if lying else (height, width)
    grain = np.float32(0.25) * noise(rng, long, wide, 90, 2) + np.float32(0.3) * noise(rng, long, wide, 120, 7)
    board = int(rng.integers(14, 34))
    shades = rng.uniform(0.2, 0.8, wide // board + 1).astype(np.float32)
    rows = np.arange(wide)
    field = grain + shades[rows // board][:, None] + np.where(rows % board == 0, np.float32(0.35), 0)[:, None]
    return field if lying else field.T


def _cloth(rng: np.random.Generator, width: int, height: int) -> Field:
    """Stripes or checks, in folds."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    folds = np.float32(6) * noise(rng, width, height, 30, 30)
    angle, period = rng.uniform(0, np.pi), rng.uniform(8, 26)
    turn = np.float32(2 * np.pi / period)
    along = np.sin(turn * (x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)) + folds))
    across = np.sin(turn * (y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle)) + folds))
    weave = along if rng.random() < 0.5 else along * across
    return np.float32(0.5) + np.float32(rng.uniform(0.15, 0.4)) * weave + np.float32(0.04) * folds


def _bokeh(rng: np.random.Generator, width: int, height: int) -> Field:
    """Lights far out of focus."""
    lights = Image.new("L", (width, height), 40)
    draw = ImageDraw.Draw(lights)
    for _ in range(int(rng.integers(12, 36))):
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.02, 0.09) * width
        draw.ellipse((x - r, y - r, x + r, y + r), int(rng.integers(70, 220)))
    soft = lights.filter(ImageFilter.BoxBlur(2))
    return np.float32(1) - np.asarray(soft, np.float32) / 255 + np.float32(0.2) * noise(rng, width, height, 40, 40)


def _leaves(rng: np.random.Generator, width: int, height: int) -> Field:
    """Leaves or gravel, large and small."""
    large, small = noise(rng, width, height, 22, 22), noise(rng, width, height, 6, 6)
    return np.float32(0.5) + np.float32(0.5) * large + np.float32(0.45) * small


def _stone(rng: np.random.Generator, width: int, height: int) -> Field:
    """Veins in stone."""
    warp = noise(rng, width, height, 26, 26) + np.float32(0.4) * noise(rng, width, height, 9, 9)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    tilt = np.float32(rng.uniform(-1, 1))
    veins = np.abs(np.sin((x + tilt * y) * np.float32(np.pi / 55) + np.float32(3) * warp))
    return veins ** np.float32(0.5) * np.float32(0.7) + np.float32(0.15) * warp


FIELDS: dict[str, Callable[[np.random.Generator, int, int], Field]] = {
    "wall": _wall,
    "wood": _wood,
    "cloth": _cloth,
    "bokeh": _bokeh,
    "leaves": _leaves,
    "stone": _stone,
}


def _clutter(rng: np.random.Generator, image: Image.Image, paints: Float[np.ndarray, "2 3"]) -> None:
    """Scatter 4 to 16 blots and strokes in shades of these two paints, a few of them vivid."""
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(4, 16))):
        x, y = rng.uniform(0, image.width), rng.uniform(0, image.height)
        size = rng.uniform(2.0, 0.06 * image.width)
        paint = rng.uniform(40, 230, 3) if rng.random() < 0.35 else paints[rng.integers(2)] * rng.uniform(0.7, 1.2)
        red, green, blue = (int(v) for v in np.clip(paint, 0, 255))
        form = rng.integers(3)
        if form == 0:
            draw.ellipse((x - size, y - size, x + size, y + size), (red, green, blue))
        elif form == 1:
            corners = np.array([x, y]) + size * rng.uniform(-1.3, 1.3, (int(rng.integers(3, 6)), 2))
            draw.polygon([(float(a), float(b)) for a, b in corners], (red, green, blue))
        else:
            end = (x + rng.uniform(-4, 4) * size, y + rng.uniform(-4, 4) * size)
            draw.line([(x, y), end], (red, green, blue), max(1, int(size / 4)))


def backdrop(rng: np.random.Generator, kind: str, width: int, height: int) -> Image.Image:
    """An RGB picture of textured, cluttered, blurred nothing. `kind` is one of FIELDS; KeyError for another."""
    paints = PALETTES[rng.integers(len(PALETTES))] * rng.uniform(0.8, 1.1) + rng.uniform(-14, 14, (2, 3))
    paints = paints.astype(np.float32)[:: 1 if rng.random() < 0.5 else -1]
    half = -(-width // 2), -(-height // 2)
    share = np.clip(FIELDS[kind](rng, *half), 0, 1)[..., None]
    pixels = paints[0] + (paints[1] - paints[0]) * share
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    _clutter(rng, image, paints)
    blurred = image.filter(ImageFilter.BoxBlur(float(rng.uniform(0.5, 2.4))))
    return blurred.resize((width, height), Image.Resampling.BICUBIC)
