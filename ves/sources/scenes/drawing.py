"""A scene drawn: the picture, and for each thing the pixels of it that one sees."""

import io
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageFilter

from ves.sources.scenes.backdrop import backdrop
from ves.sources.scenes.layout import Scene, Thing
from ves.sources.scenes.pen import Pen, palette
from ves.sources.scenes.shapes import SHAPES
from ves.sources.scenes.streams import generator

SUPERSAMPLING = 3
JPEG_QUALITY = 88
NOTHING = 255  # owner of a pixel that shows background
MOSTLY = [0] * 128 + [255] * 128  # table of alpha: whether a thing covers more than half of a pixel
FAINT = [value * 2 // 5 for value in range(256)]  # table of alpha: how dark a shadow is


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
