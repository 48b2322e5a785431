"""Colours are seen as their profile means them."""

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.support import profiles
from tests.support.odd_pictures import encode, scene
from ves.media.images import decode, decode_any, upright
from ves.sources.pairs.packing import as_known_format

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EXCHANGED = (profiles.SRGB[1], profiles.SRGB[2], profiles.SRGB[0])
SPACES = {
    "Display P3": (profiles.DISPLAY_P3, 2.2),
    "Adobe RGB": (profiles.ADOBE_RGB, 2.2),
    "ProPhoto RGB": (profiles.PROPHOTO, 1.8),
    "exchanged channels": (EXCHANGED, 2.2),
    "linear": (profiles.SRGB, 1.0),
}


def off(found: Image.Image, expected: np.ndarray) -> float:
    return float(np.abs(np.asarray(found).astype(int) - expected.astype(int)).mean())


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("space", SPACES)
def test_pictures_are_brought_to_srgb(space: str, form: str):
    options = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}.get(form, {})
    content = encode(scene(1), form, icc_profile=profiles.of_primaries(*SPACES[space]), **options)
    expected = profiles.to_srgb(np.asarray(scene(1)), *SPACES[space])
    assert off(scene(1), expected) > 3
    for found in (decode_any(content), decode(as_known_format(content))):
        assert found.mode == "RGB" and off(found, expected) < 2
        assert off(upright(found), expected) < 2  # not a second time


def test_a_jpeg_turned_on_its_side_has_its_colours_and_stands_upright():
    exif = Image.Exif()
    exif[0x0112] = 8
    content = encode(
        scene(1), "JPEG", quality=98, exif=exif, icc_profile=profiles.of_primaries(*SPACES["ProPhoto RGB"])
    )
    expected = profiles.to_srgb(np.rot90(np.asarray(scene(1))), *SPACES["ProPhoto RGB"])
    assert off(decode(content), expected) < 4


@pytest.mark.parametrize(
    ("mode", "options"), [("P", {}), ("RGBA", {}), ("P", {"transparency": 3}), ("L", {}), ("LA", {}), ("1", {})]
)
def test_colours_of_every_mode_are(mode: str, options):
    profile = profiles.of_primaries(*SPACES["linear"])
    plain = encode(scene(1).convert(mode), "PNG", **options)
    expected = profiles.to_srgb(np.asarray(decode(plain)), *SPACES["linear"])
    assert off(decode(encode(scene(1).convert(mode), "PNG", icc_profile=profile, **options)), expected) < 2


def test_grey_has_profiles_of_its_own_and_inks_too():
    grey = scene(1).convert("L")
    for picture in (grey, grey.convert("LA")):
        found = decode(encode(picture, "PNG", icc_profile=profiles.of_grey(1.0)))
        assert off(found, profiles.to_srgb(np.asarray(grey.convert("RGB")), profiles.SRGB, 1.0)) < 2
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    found = decode(encode(deep, "PNG", icc_profile=profiles.of_grey(1.0)))
    assert off(found, profiles.to_srgb(np.asarray(grey.convert("RGB")), profiles.SRGB, 1.0)) < 2
    cyan = Image.new("CMYK", (32, 32), (255, 0, 0, 0))
    assert np.asarray(decode(encode(cyan, "JPEG"))).std() > 50
    assert np.asarray(decode(encode(cyan, "JPEG", icc_profile=profiles.of_inks()))).std() < 2


def test_alpha_stays_beside_the_colours():
    clear = scene(1)
    clear.putalpha(0)
    content = encode(clear, "PNG", icc_profile=profiles.of_primaries(*SPACES["linear"]))
    assert np.asarray(decode(content)).min() == 255


@pytest.mark.parametrize("profile", [SRGB, b"no profile", SRGB[:200], profiles.of_grey(1.0), profiles.of_inks()])
def test_pixels_stay_where_a_profile_is_that_of_srgb_or_does_not_fit(profile: bytes):
    content = encode(scene(1), "PNG", icc_profile=profile)
    np.testing.assert_array_equal(np.asarray(decode(content)), np.asarray(scene(1)))


def test_lab_and_deep_grey_are_read_by_ingest_as_by_localise():
    lab = Image.merge("LAB", scene(1).split())
    deep = Image.fromarray(np.arange(65536, dtype=np.uint16).reshape(256, 256))
    for content in (encode(lab, "TIFF"), encode(deep, "TIFF"), encode(deep, "PNG"), encode(deep, "PPM")):
        np.testing.assert_array_equal(np.asarray(decode(as_known_format(content))), np.asarray(decode_any(content)))
    assert np.asarray(decode_any(encode(lab, "TIFF"))).std() > 10
