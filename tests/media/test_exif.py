"""Which way up: from one field, whatever stands in the others."""

import struct
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.support.odd_pictures import encode, scene
from ves.media.exif import orientation
from ves.media.images import decode, decode_any

GPS, MAKE = 0x8825, 0x010F


def block(*fields: tuple[int, int, int, bytes], order: str = "<") -> bytes:
    """EXIF of fields: tag, type, count, value (over four bytes, it stands behind the directory)."""
    behind, entries = b"", b""
    start = 8 + 2 + 12 * len(fields) + 4
    for tag, kind, count, value in fields:
        if len(value) > 4:
            value, behind = struct.pack(f"{order}I", start + len(behind)), behind + value
        entries += struct.pack(f"{order}HHI", tag, kind, count) + value.ljust(4, b"\0")
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", 42, 8)
    return head + struct.pack(f"{order}H", len(fields)) + entries + bytes(4) + behind


def orientation_field(number: int, order: str = "<") -> tuple[int, int, int, bytes]:
    return 0x0112, 3, 1, struct.pack(f"{order}H", number)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("number", range(1, 9))
def test_every_turn_is_that_of_pillow(number: int, form: str):
    exif = Image.Exif()
    exif[0x0112] = number
    marked = scene(1)
    marked.getexif()[0x0112] = number
    expected = ImageOps.exif_transpose(marked)
    options = {"lossless": True} if form == "WEBP" else {}
    found = decode_any(encode(scene(1), form, exif=exif, **options))
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


ODD = [
    (MAKE, 5, 1, struct.pack("<II", 5, 7)),  # a text that is a fraction: it killed a shard
    (MAKE, 12, 1, struct.pack("<d", float("nan"))),
    (0x011A, 2, 4, b"abc\0"),
    (GPS, 4, 1, struct.pack("<I", 0x7FFFFFFF)),
    (GPS, 10, 1, struct.pack("<ii", -5, 1)),
    (0xA005, 13, 0xFFFFFFFF, b"\xff" * 4),
    (0x9286, 99, 3, b"\xff" * 12),
]


@pytest.mark.parametrize("field", ODD, ids=lambda field: f"{field[0]:04x}-{field[1]}")
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_no_other_field_matters(form: str, field):
    exif = block(*sorted([orientation_field(6), field]))
    content = encode(scene(1), form, exif=exif if form == "PNG" else b"Exif\0\0" + exif)
    upright = np.rot90(np.asarray(decode(encode(scene(1), form))), -1)
    np.testing.assert_array_equal(np.asarray(decode(content)), upright)


def test_below_the_sea_a_photograph_is_upright_too():
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(GPS)[5] = b"\x01"
    exif.get_ifd(GPS)[6] = Fraction(12, 1)
    content = encode(scene(1), "JPEG", exif=exif)
    np.testing.assert_array_equal(
        np.asarray(decode(content)), np.rot90(np.asarray(decode(encode(scene(1), "JPEG"))), -1)
    )


def test_the_field_is_found_or_not():
    assert [orientation(block(orientation_field(number))) for number in (1, 2, 8, 0, 9, 300)] == [1, 2, 8, 1, 1, 1]
    assert orientation(b"Exif\0\0" + block(orientation_field(6, ">"), order=">")) == 6
    assert orientation(block((0x0112, 4, 1, struct.pack("<I", 3)))) == 3
    assert orientation(block((0x0112, 2, 1, b"6\0"))) == 1
    assert orientation(block((0x0112, 3, 2, struct.pack("<HH", 6, 6)))) == 1
    assert orientation(block(orientation_field(6))[:15]) == 1
    assert orientation(b"") == orientation(b"II") == orientation(b"no EXIF at all") == 1


def test_the_hexadecimal_block_of_imagemagick_counts():
    picture = scene(1)
    content = block(orientation_field(3)).hex()
    lines = "\n".join(content[at : at + 72] for at in range(0, len(content), 72))
    picture.info["Raw profile type exif"] = f"\nexif\n{len(content) // 2:8}\n{lines}\n"
    found = decode(encode(picture, "PNG", pnginfo=_texts(picture)))
    np.testing.assert_array_equal(np.asarray(found), np.rot90(np.asarray(scene(1)), 2))


def _texts(picture: Image.Image):
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_text("Raw profile type exif", picture.info["Raw profile type exif"])
    return texts
