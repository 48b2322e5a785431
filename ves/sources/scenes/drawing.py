"""Draws a scene as a collage: the picture, and for each thing its visible pixels.

Things are pictures with alpha. As in photographs they differ in size, tilt, side, light and a little in hue, cast
shadows, hide each other, and stand before something out of focus; light, noise and JPEG are those of the whole picture.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageFilter

from ves.sources.scenes import things
from ves.sources.scenes.backdrop import backdrop, noise
from ves.sources.scenes.layout import Scene, Thing
from ves.sources.scenes.paint import painted
from ves.sources.scenes.streams import generator

JPEG_QUALITY = 88
NOTHING = 255  # owner of a pixel that shows background
MOSTLY = [0] * 128 + [255] * 128  # table of alpha: whether a thing covers more than half of a pixel
HUE = 0.12  # radians by which a thing's hue may differ from that of its picture: a name of a colour stays true
SHADE = 0.22  # by how much the light on a thing differs from one side to the other


@dataclass(frozen=True, slots=True)
class Picture:
    """`image` is RGB; `owner` [height, width] uint8 names the thing seen at each pixel by its index, or NOTHING.

    One pixel has one owner, so the masks `owner == i` are disjoint by construction.
    """

    image: Image.Image
    owner: np.ndarray


class Light(NamedTuple):
    """Light of one picture: where it comes from (unit vector, y down), its tint, how dark and soft shadows are."""

    x: float
    y: float
    tint: Float[np.ndarray, "3"]
    shadow: float  # of 1
    softness: float  # blur, as a share of a thing's side
    distance: float  # of the shadow, as a share of a thing's side


def _light(rng: np.random.Generator) -> Light:
    """Light from somewhere above."""
    angle, warm = rng.uniform(-1.1, 1.1), rng.uniform(-0.06, 0.06)
    tint = (rng.uniform(0.86, 1.08) * np.array([1 + warm, 1, 1 - warm])).astype(np.float32)
    x, y = float(np.sin(angle)), -float(np.cos(angle))
    return Light(x, y, tint, *(float(rng.uniform(*bounds)) for bounds in ((0.25, 0.55), (0.02, 0.06), (0.02, 0.07))))


def turned_hue(angle: float) -> Float[np.ndarray, "3 3"]:
    """The matrix that turns colours [..., 3] about the axis of greys, by radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    third, root = (1 - cos) / 3, sin / np.sqrt(3)
    one, two, three = cos + third, third - root, third + root
    return np.array([[one, three, two], [two, one, three], [three, two, one]], np.float32)


def _cut_out(thing: Thing, light: Light) -> Image.Image:
    """One thing as an RGBA patch: painted, mirrored, scaled, turned and lit."""
    picture = painted(thing.picture, thing.colour) if thing.colour else things.picture(thing.picture)
    picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if thing.mirrored else picture
    scale = thing.side / things.SIDE
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    scaled = picture.resize(size, Image.Resampling.BICUBIC)
    turned = scaled.rotate(thing.angle, Image.Resampling.BILINEAR, expand=True)
    patch = np.asarray(turned).copy()
    height, width = patch.shape[:2]
    x = np.linspace(-light.x, light.x, width, dtype=np.float32)[None]
    y = np.linspace(-light.y, light.y, height, dtype=np.float32)[:, None]
    shade = 1 + np.float32(SHADE / 2) * (x + y)
    colours = turned_hue(HUE * thing.tone) * (light.tint * np.float32(1 + 0.06 * thing.tone))
    lit = patch[..., :3] @ colours * shade[..., None]
    patch[..., :3] = np.clip(lit, 0, 255)
    return Image.fromarray(patch)


def _cast_shadow(canvas: Image.Image, alpha: Image.Image, left: int, top: int, side: float, light: Light) -> None:
    """Darken the canvas behind a thing, on the side away from the light, with a soft edge."""
    shift = round(-light.x * light.distance * side), round(-light.y * light.distance * side)
    blur = max(1, round(light.softness * side))
    wide = Image.new("L", (alpha.width + 4 * blur, alpha.height + 4 * blur))
    wide.paste(alpha.point([round(value * light.shadow) for value in range(256)]), (2 * blur, 2 * blur))
    corner = (left - 2 * blur + shift[0], top - 2 * blur + shift[1])
    canvas.paste((20, 18, 24), corner, wide.filter(ImageFilter.BoxBlur(blur)))


def _developed(rng: np.random.Generator, canvas: Image.Image, light: Light) -> Image.Image:
    """The whole picture with a camera's uneven light and noise."""
    width, height = canvas.size
    uneven = 1 + np.float32(0.08) * noise(rng, width, height, 90, 90)
    grain = rng.standard_normal((height, width), np.float32) * np.float32(rng.uniform(1, 5))
    pixels = np.asarray(canvas).astype(np.float32)
    pixels *= uneven[..., None]
    pixels += grain[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255, out=pixels).astype(np.uint8))


def draw(seed: int, scene: Scene) -> Picture:
    """Draw a scene back to front. A thing owns a pixel where it covers more than half of it and is the topmost."""
    return Stage(seed, scene).picture(scene)


class Stage:
    """A scene before its picture is taken: backdrop and cut-out things, which several pictures may show. They differ in
    where the things stand and how bright they are."""

    def __init__(self, seed: int, scene: Scene) -> None:
        self.seed, self.index = seed, scene.index
        self.backdrop = backdrop(generator(seed, "backdrop", scene.index), scene.background, scene.width, scene.height)
        self.light = _light(generator(seed, "light", scene.index))
        self.patches = [_cut_out(thing, self.light) for thing in scene.things]

    def picture(self, scene: Scene, brighter: Mapping[int, float] = MappingProxyType({})) -> Picture:
        """The picture with the things where `scene` has them; `brighter` has the factor of light of some of them."""
        rng = generator(self.seed, "light", self.index)
        light, canvas = _light(rng), self.backdrop.copy()
        owner = Image.new("L", canvas.size, NOTHING)
        for i, (thing, patch) in enumerate(zip(scene.things, self.patches, strict=True)):
            alpha = patch.getchannel("A")
            left, top = round(thing.x - patch.width / 2), round(thing.y - patch.height / 2)
            _cast_shadow(canvas, alpha, left, top, thing.side, light)
            lit = patch if i not in brighter else _brighter(patch, brighter[i])
            canvas.paste(lit, (left, top), alpha)
            owner.paste(i, (left, top), alpha.point(MOSTLY))
        return Picture(_developed(rng, canvas, light), np.asarray(owner))


def _brighter(patch: Image.Image, factor: float) -> Image.Image:
    """The same thing in more light: lifted towards white as well, since black times anything is black."""
    pixels = np.asarray(patch).astype(np.float32)
    pixels[..., :3] = np.clip(pixels[..., :3] * factor + 28 * (factor - 1), 0, 255)
    return Image.fromarray(pixels.astype(np.uint8))


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
