"""Colours as their profile means them: every picture is brought to sRGB, which is what the backbones were trained on.

A picture without an ICC profile is taken for sRGB, as browsers do. So is one whose profile cannot be read, or is for
another kind of colour than its pixels have.
"""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

SAME = 2  # of 255: a profile that moves no colour further is sRGB in all but name, and pixels stay as they are
UNUSABLE = (OSError, ValueError, TypeError, AttributeError, ImageCms.PyCMSError)  # what a damaged profile raises
PROFILES = 64  # transforms in memory: a corpus has a few


def to_srgb(picture: Image.Image) -> Image.Image:
    """The picture in sRGB, as RGB or RGBA; itself, in its own mode, if no profile changes anything."""
    profile = picture.info.get("icc_profile")
    if not isinstance(profile, bytes):
        return picture
    kind = profile[16:20].strip()  # the kind of colour that it describes (ICC.1, 7.2)
    with_alpha = picture.convert("RGBA") if picture.has_transparency_data else picture
    if kind == b"GRAY" and picture.mode in ("1", "L", "LA"):
        colours = picture.convert("L")
    elif kind == b"CMYK" and picture.mode == "CMYK":
        colours = picture
    elif kind == b"RGB" and picture.mode != "CMYK":
        colours = with_alpha if with_alpha.mode == "RGB" else with_alpha.convert("RGB")
    else:
        return picture
    if (transform := _transform(profile, colours.mode)) is None:
        return picture
    result = ImageCms.applyTransform(colours, transform)
    assert result is not None  # as it would be if the picture itself were changed in place
    if with_alpha is not picture:
        result.putalpha(with_alpha.getchannel("A"))
    result.info = {key: value for key, value in picture.info.items() if key not in ("icc_profile", "transparency")}
    return result


@lru_cache(PROFILES)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile to sRGB, for pixels of a mode; None if it changes nothing or cannot be used."""
    levels = np.linspace(0, 255, 16).astype(np.uint8)
    colours = Image.fromarray(np.stack(np.meshgrid(*[levels] * 3), axis=-1).reshape(-1, 16, 3)).convert(mode)
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        result = ImageCms.applyTransform(colours, transform)
    except UNUSABLE:
        return None
    shift = np.abs(np.asarray(result, int) - np.asarray(colours.convert("RGB"), int)).max()
    return transform if shift > SAME else None
