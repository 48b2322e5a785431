"""Whether a picture's file is intact, as far as its format has checksums that Pillow does not check."""

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def check(form: str, encoded: bytes) -> None:
    """Raise ValueError for a PNG whose pixel data do not match their checksum."""
    if form == "PNG":
        _check_png(encoded)


def _check_png(encoded: bytes) -> None:
    place = len(SIGNATURE)
    while place + 12 <= len(encoded):
        length, kind = struct.unpack_from(">I4s", encoded, place)
        if kind == b"IDAT":  # Pillow checks those of all other chunks
            stop = place + 8 + length
            if stop + 4 > len(encoded):
                return  # the file is cut off: Pillow notices, unless all pixels are there
            if encoded[stop : stop + 4] != zlib.crc32(memoryview(encoded)[place + 4 : stop]).to_bytes(4, "big"):
                raise ValueError("a part of the pixels is damaged: it does not match its checksum")
        place += 12 + length
