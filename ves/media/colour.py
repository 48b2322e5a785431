"""Colours as their profile means them: every picture is brought to sRGB, which is what the backbones were trained on.

A picture without an ICC profile is taken for sRGB, as browsers do, and so is one whose profile cannot be read or is
of another kind of colour than its pixels.
"""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

SAME = 2  # of 255: where no colour moves further, the profile is sRGB's in all but its name, and pixels stay
UNUSABLE = (OSError, ValueError, TypeError, AttributeError, ImageCms.PyCMSError)  # what a damaged profile raises
PROFILES = 64  # kept at a time: a corpus has a few


def to_srgb(picture: Image.Image) -> Image.Image:
    """The picture in sRGB, RGB or RGBA; itself, in its own mode, if it has no profile, or that of sRGB."""
    profile = picture.info.get("icc_profile")
    if not isinstance(profile, bytes):
        return picture
    kind = profile[16:20].strip()  # the colours that it is of (ICC.1, 7.2)
    opaque = picture.convert("RGBA") if picture.has_transparency_data else picture
    if kind == b"GRAY" and picture.mode in ("1", "L", "LA"):
        colours = picture.convert("L")
    elif kind == b"CMYK" and picture.mode == "CMYK":
        colours = picture
    elif kind == b"RGB" and picture.mode != "CMYK":
        colours = opaque if opaque.mode == "RGB" else opaque.convert("RGB")
    else:
        return picture
    if (transform := _transform(profile, colours.mode)) is None:
        return picture
    found = ImageCms.applyTransform(colours, transform)
    assert found is not None  # it is None only where the picture itself is changed
    if opaque is not picture:
        found.putalpha(opaque.getchannel("A"))
    found.info = {key: value for key, value in picture.info.items() if key not in ("icc_profile", "transparency")}
    return found


@lru_cache(PROFILES)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile to sRGB, for pixels of a mode; None if there is nothing to do, or the profile cannot be used."""
    levels = np.linspace(0, 255, 16).astype(np.uint8)
    colours = Image.fromarray(np.stack(np.meshgrid(*[levels] * 3), axis=-1).reshape(-1, 16, 3)).convert(mode)
    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(given, ImageCms.createProfile("sRGB"), mode, "RGB")
        moved = ImageCms.applyTransform(colours, transform)
    except UNUSABLE:
        return None
    off = np.abs(np.asarray(moved, int) - np.asarray(colours.convert("RGB"), int)).max()
    return transform if off > SAME else None
