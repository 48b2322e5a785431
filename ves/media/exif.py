"""Which way up a photograph was taken: the one field of EXIF that a picture needs.

It is read here and not by Pillow. To turn a picture, Pillow writes all of its EXIF anew, and that fails for any invalid
field, even one that says nothing about the pixels.
"""

import struct

from PIL.Image import Image, Transpose

ORIENTATION = 0x0112
TURNS = {  # EXIF 2.32, 4.6.4 A: what turns the rows of the file upright
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
INTEGERS = {1: "B", 3: "H", 4: "I", 8: "h", 9: "i"}  # types of TIFF 6.0; the field should have type 3
RAW_PROFILE = "Raw profile type exif"  # where ImageMagick puts EXIF in a PNG: in hexadecimal, below three lines


def upright(picture: Image) -> Image:
    """The picture turned by its EXIF orientation; the picture itself if it has none, or one that cannot be read."""
    turn = TURNS.get(orientation(_block(picture)))
    return picture if turn is None else picture.transpose(turn)


def orientation(block: bytes) -> int:
    """The orientation, 1 to 8, in the first directory of a block of EXIF (a TIFF file); 1 if it has none."""
    block = block.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}4xI", block)
        (fields,) = struct.unpack_from(f"{order}H", block, directory)
        for place in range(directory + 2, directory + 2 + 12 * fields, 12):
            tag, kind, count = struct.unpack_from(f"{order}HHI", block, place)
            if tag == ORIENTATION and kind in INTEGERS and count == 1:
                (number,) = struct.unpack_from(order + INTEGERS[kind], block, place + 8)
                return number if number in TURNS else 1
    except struct.error:  # the block ends before the field
        pass
    return 1


def _block(picture: Image) -> bytes:
    if isinstance(block := picture.info.get("exif"), bytes):
        return block
    if isinstance(text := picture.info.get(RAW_PROFILE), str):
        try:
            return bytes.fromhex("".join(text.split("\n")[3:]))
        except ValueError:
            pass
    return b""
