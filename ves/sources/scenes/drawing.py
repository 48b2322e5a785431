"""Draws a scene: the picture, and for each thing its visible pixels.

Behind the things are textures in muted colours, cluttered with small shapes that no description mentions.
"""

import io
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ves.sources.scenes.layout import Scene, Thing
from ves.sources.scenes.pen import Pen, palette
from ves.sources.scenes.shapes import SHAPES
from ves.sources.scenes.streams import generator

SUPERSAMPLING = 3
JPEG_QUALITY = 88
NOTHING = 255  # owner of a pixel that shows background
MOSTLY = [0] * 128 + [255] * 128  # table of alpha: whether a thing covers more than half of a pixel
FAINT = [value * 2 // 5 for value in range(256)]  # table of alpha: how dark a shadow is
PALETTES = np.array(  # muted pairs: wall, ground, cloth, stone, dusk, grass, sand, sea
    [
        [[214, 204, 186], [172, 150, 124]],
        [[150, 146, 138], [98, 98, 96]],
        [[186, 176, 196], [132, 122, 150]],
        [[204, 208, 206], [146, 158, 160]],
        [[226, 196, 178], [142, 122, 142]],
        [[166, 178, 142], [108, 124, 94]],
        [[222, 206, 160], [184, 158, 108]],
        [[160, 186, 194], [98, 128, 142]],
    ],
    np.float32,
)


@dataclass(frozen=True, slots=True)
class Picture:
    """`image` is RGB; `owner` [height, width] uint8 names the thing seen at each pixel by its index, or NOTHING.

    One pixel has one owner, so the masks `owner == i` are disjoint by construction.
    """

    image: Image.Image
    owner: np.ndarray


@cache
def _light(side: int) -> np.ndarray:
    """Light from the upper left on a square [side, side, 1]: factors from 1.12 down to 0.78."""
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    return (1.12 - 0.34 * (0.4 * x + 0.6 * y))[..., None]


def _sticker(thing: Thing) -> Image.Image:
    """One thing as an RGBA patch, antialiased by drawing it larger, turned, and lit."""
    pen = Pen(SUPERSAMPLING * round(thing.side), palette(thing.colour, thing.tone))
    SHAPES[thing.kind](pen)
    turned = pen.image.rotate(thing.angle, Image.Resampling.NEAREST, expand=True)
    patch = np.asarray(turned.reduce(SUPERSAMPLING)).copy()
    side = max(patch.shape[:2])
    lit = patch[..., :3] * _light(side)[: patch.shape[0], : patch.shape[1]]
    patch[..., :3] = np.clip(lit, 0, 255).astype(np.uint8)
    return Image.fromarray(patch)


def _cast_shadow(canvas: Image.Image, alpha: Image.Image, left: int, top: int, side: float) -> None:
    """Darken the canvas under a thing, shifted a little to the lower right and blurred."""
    shift, blur = max(1, round(0.03 * side)), max(1, round(0.03 * side))
    wide = Image.new("L", (alpha.width + 4 * blur, alpha.height + 4 * blur))
    wide.paste(alpha.point(FAINT), (2 * blur, 2 * blur))
    corner = (left - 2 * blur + shift, top - 2 * blur + shift)
    canvas.paste((20, 18, 24), corner, wide.filter(ImageFilter.BoxBlur(blur)))


def draw(seed: int, scene: Scene) -> Picture:
    """Draw a scene back to front. A thing owns a pixel where it covers more than half of it and is the topmost."""
    canvas = backdrop(generator(seed, "backdrop", scene.index), scene.background, scene.width, scene.height)
    owner = Image.new("L", canvas.size, NOTHING)
    for i, thing in enumerate(scene.things):
        patch = _sticker(thing)
        alpha = patch.getchannel("A")
        left, top = round(thing.x - patch.width / 2), round(thing.y - patch.height / 2)
        _cast_shadow(canvas, alpha, left, top, thing.side)
        canvas.paste(patch, (left, top), alpha)
        owner.paste(i, (left, top), alpha.point(MOSTLY))
    return Picture(canvas, np.asarray(owner))


def jpeg(image: Image.Image, quality: int = JPEG_QUALITY) -> bytes:
    """The picture as a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def mask_png(mask: np.ndarray) -> bytes:
    """A boolean mask [height, width] as a 1-bit PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def _noise(rng: np.random.Generator, width: int, height: int, cell: int) -> np.ndarray:
    """Smooth noise [height, width] in about [-1, 1] whose blots are `cell` pixels wide."""
    coarse = rng.standard_normal((height // cell + 2, width // cell + 2)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse * 0.5).resize((width, height), Image.Resampling.BICUBIC))


def _pattern(rng: np.random.Generator, kind: str, width: int, height: int) -> np.ndarray:
    """How much of the second colour there is at each pixel, [height, width] in [0, 1]."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    along = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    across = y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle))
    period = rng.uniform(24, 64)
    waves = np.sin(along * (2 * np.pi / period)), np.sin(across * (2 * np.pi / period))
    match kind:
        case "gradient":
            field = (along - along.min()) / np.ptp(along)
        case "noise":
            field = 0.5 + 0.6 * _noise(rng, width, height, 24) + 0.3 * _noise(rng, width, height, 7)
        case "stripes":
            field = 0.5 + 3 * waves[0] * rng.uniform(0.1, 0.3)
        case "checks":
            field = 0.5 + 6 * waves[0] * waves[1] * rng.uniform(0.08, 0.2)
        case "blotches":
            field = 0.5 + 4 * _noise(rng, width, height, int(rng.integers(28, 60)))
        case "dots":
            field = 6 * (waves[0] * waves[1] - 0.55) + 0.5
        case _:
            raise ValueError(f"unknown background {kind!r}")
    return np.clip(field, 0, 1)


def _clutter(rng: np.random.Generator, image: Image.Image, paints: np.ndarray) -> None:
    """Scatter 12 to 40 small polygons, discs and strokes in shades of these two colours, a few of them vivid."""
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(12, 40))):
        x, y = rng.uniform(0, image.width), rng.uniform(0, image.height)
        size = rng.uniform(2.0, 0.045 * image.width)
        paint = rng.uniform(40, 230, 3) if rng.random() < 0.3 else paints[rng.integers(2)] * rng.uniform(0.7, 1.15)
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
    """An RGB picture of textured, cluttered nothing. `kind` is one of `layout.BACKGROUNDS`."""
    paints = PALETTES[rng.integers(len(PALETTES))] * rng.uniform(0.8, 1.1) + rng.uniform(-12, 12, (2, 3))
    paints = paints.astype(np.float32)[:: 1 if rng.random() < 0.5 else -1]
    share = _pattern(rng, kind, width, height)[..., None]
    pixels = paints[0] + (paints[1] - paints[0]) * share
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    _clutter(rng, image, paints)
    pixels = np.asarray(image.filter(ImageFilter.BoxBlur(0.6)), np.float32)
    grain = rng.standard_normal((height, width, 1), np.float32) * np.float32(rng.uniform(2, 9))
    shade = 1 + 0.10 * _noise(rng, width, height, 90)[..., None]
    return Image.fromarray(np.clip(pixels * shade + grain, 0, 255).astype(np.uint8))
