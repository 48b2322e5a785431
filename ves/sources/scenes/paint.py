"""Colours that have a name, and how a thing is painted in one of them.

Only the colour moves: what is light on the thing stays light, and what is dark stays dark.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float
from PIL import Image

from ves.sources.scenes import things

PAINTS = {
    "red": (206, 36, 38),
    "orange": (241, 130, 22),
    "yellow": (247, 210, 46),
    "green": (46, 150, 62),
    "blue": (40, 92, 204),
    "pink": (243, 128, 182),
    "white": (240, 240, 236),
    "black": (46, 46, 50),
}
COLOURS = tuple(PAINTS)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
NEAR = 0.75  # cosine: hues that differ by less than 41 degrees are one colour of a thing
MAIN = 0.54  # share of a thing that its main colour must cover; else all of it is painted
DARK = 0.16  # of full light: pupils and tyres stay as they are
KEPT = 256  # painted pictures of 160 pixels, 100 kB each


def _hue(rgb: Float[np.ndarray, "H W 3"]) -> Float[np.ndarray, "H W 2"]:
    """Direction and strength of each pixel's colour, apart from its light: about 1 long for a pure colour."""
    red, green, blue = np.moveaxis(rgb, -1, 0)
    return np.stack([red - (green + blue) / 2, (green - blue) * np.float32(0.866)], -1)


def _main_colour(rgb: Float[np.ndarray, "H W 3"], alpha: Float[np.ndarray, "H W"]) -> Float[np.ndarray, "H W"]:
    """How far each pixel belongs to the colour that most of the thing has, 0 to 1; 1 everywhere where none has most."""
    hue = _hue(rgb)
    strength = np.linalg.norm(hue, axis=-1)
    angle = np.arctan2(hue[..., 1], hue[..., 0])
    count, _ = np.histogram(angle, 24, (-np.pi, np.pi), weights=strength * alpha)
    smooth = count + np.roll(count, 1) + np.roll(count, -1)
    main = (int(smooth.argmax()) + 0.5) * np.pi / 12 - np.pi
    nearness = np.cos(angle - main)
    share = np.clip((nearness - NEAR) * 6, 0, 1) * np.clip(strength * 6 - 0.6, 0, 1)
    return share if (share * alpha).sum() > MAIN * alpha.sum() else np.ones_like(share)


@lru_cache(maxsize=KEPT)
def painted(name: str, colour: str) -> Image.Image:
    """The picture of this name with its main colour, or the whole of it, in a named colour; RGBA.

    Raises KeyError for a colour without a paint.
    """
    pixels = np.asarray(things.picture(name), np.float32) / 255
    rgb, alpha = pixels[..., :3], pixels[..., 3]
    light = rgb @ LUMA
    share = _main_colour(rgb, alpha) * np.clip((light - DARK / 2) * 2 / DARK, 0, 1)
    weight = share * alpha
    usual = (light * weight).sum() / max(float(weight.sum()), 1e-6)
    relative = (light / max(float(usual), 1e-3))[..., None]
    paint = np.array(PAINTS[colour], np.float32) / 255
    lighter = np.clip(relative - 1, 0, 1) * np.float32(0.45)
    shaded = paint * np.minimum(relative, 1) ** np.float32(0.8)
    new = shaded + (1 - shaded) * lighter
    mixed = rgb + (new - rgb) * share[..., None]
    image = Image.fromarray(np.clip(mixed * 255 + 0.5, 0, 255).astype(np.uint8))
    image.putalpha(things.picture(name).getchannel("A"))
    return image
