"""How many bytes a recording has if it is whole, as its own headers say: what is shorter is cut off.

Decoders read what is there and seldom say that more was promised. Each function takes the bytes of one container and
returns the place behind the last byte that its headers promise, or None where they promise nothing: the writer did not
know (it wrote to a pipe, and sizes are 0 or absurdly large), or the container has no such field. It is never more than
a lower bound: behind it there may be tags.

Sources: the specifications of AIFF-C (Apple, 1991), Sun/NeXT audio, NIST SPHERE, Creative Voice, 8SVX, Sony Wave64,
Core Audio Format, ISO/IEC 14496-12 (MP4), RFC 8794 and RFC 9559 (Matroska), Adobe FLV 10.1, Microsoft ASF.
"""

import re
import struct
from collections.abc import Iterator

from ves.media import wav_header
from ves.media.wav_header import UNKNOWN, UNKNOWN_64

_SEGMENT, _INFO, _DURATION = 0x18538067, 0x1549A966, 0x4489  # elements of Matroska
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")


def wav(encoded: bytes) -> int | None:
    """RIFF, RIFX, RF64, BW64: the size of the chunk `data`, or that in `ds64`."""
    header = wav_header.parse(encoded)
    return header and header.start + header.declared


def riff(encoded: bytes) -> int | None:
    """AVI: the size of RIFF."""
    (size,) = struct.unpack_from("<I", encoded, 4)
    return 8 + size if 0 < size < UNKNOWN else None


def iff(encoded: bytes) -> int | None:
    """AIFF, AIFF-C and 8SVX: the size of the chunk of samples, `SSND` or `BODY`."""
    (form,) = struct.unpack_from(">I", encoded, 4)
    position = 12
    while position + 8 <= len(encoded):
        name, size = struct.unpack_from(">4sI", encoded, position)
        position += 8
        if name in (b"SSND", b"BODY"):
            unwritten = size <= 8 and form + 8 <= position + size  # nothing is in FORM: the writer never came back
            return None if size >= UNKNOWN or unwritten else position + size
        position += size + size % 2
    return position if position > len(encoded) else None


def au(encoded: bytes) -> int | None:
    """Sun/NeXT: the size of the samples, behind the offset of the first."""
    order = ">" if encoded[:4] == b".snd" else "<"
    if len(encoded) < 12:
        return None
    offset, size = struct.unpack_from(f"{order}II", encoded, 4)
    return offset + size if 0 < size < UNKNOWN else None


def nist(encoded: bytes) -> int | None:
    """SPHERE: the number of samples, of channels and of bytes for each; None if they are compressed."""
    fields = dict(re.findall(rb"(?m)^(\w+) -\w+ (.*)$", encoded[:1024]))
    if b"embedded" in fields.get(b"sample_coding", b""):
        return None
    try:
        header = int(encoded[8:16])
        return header + int(fields[b"sample_count"]) * int(fields[b"sample_n_bytes"]) * int(fields[b"channel_count"])
    except (KeyError, ValueError):
        return None


def voc(encoded: bytes) -> int | None:
    """Creative Voice: its blocks, one behind the other, to the terminator."""
    (position,) = struct.unpack_from("<H", encoded, 20) if len(encoded) >= 22 else (22,)
    while position + 4 <= len(encoded) and encoded[position]:
        position += 4 + int.from_bytes(encoded[position + 1 : position + 4], "little")
    return position


def w64(encoded: bytes) -> int | None:
    """Sony Wave64: the size of the chunk `data`."""
    position = 40
    while position + 24 <= len(encoded):
        (size,) = struct.unpack_from("<Q", encoded, position + 16)  # with its own 24 bytes
        if encoded[position : position + 4] == b"data":
            return position + size if 24 < size < UNKNOWN_64 else None
        position += max(size + -size % 8, 24)
    return position if position > len(encoded) else None


def caf(encoded: bytes) -> int | None:
    """Core Audio: its chunks; a size of -1 is to the end."""
    position = 8
    while position + 12 <= len(encoded):
        (size,) = struct.unpack_from(">q", encoded, position + 4)
        if size < 0:
            return None
        position += 12 + size
    return position if position > len(encoded) else None


def mp4(encoded: bytes) -> int | None:
    """MP4 and QuickTime: their outermost boxes; a size of 0 is to the end."""
    position = 0
    while position + 8 <= len(encoded):
        size, name = struct.unpack_from(">I4s", encoded, position)
        if size == 1 and position + 16 <= len(encoded):
            (size,) = struct.unpack_from(">Q", encoded, position + 8)
        if size < 8 or not name.replace(b"\xa9", b"c").isascii() or not name.decode("latin-1").isprintable():
            return None  # to the end, or no box: something behind the last
        position += size
    return position


def _vint(encoded: bytes, position: int, keep_marker: bool) -> tuple[int | None, int]:
    """A number of EBML (None: unknown size), and its length in bytes; ValueError if it is none or cut off."""
    first = encoded[position] if position < len(encoded) else 0
    length = 9 - first.bit_length()
    if not 1 <= length <= 8 or position + length > len(encoded):
        raise ValueError("no number of EBML")
    number = int.from_bytes(encoded[position : position + length], "big")
    if keep_marker:
        return number, length
    number &= (1 << 7 * length) - 1
    return (None if number == (1 << 7 * length) - 1 else number), length


def _elements(encoded: bytes, position: int) -> Iterator[tuple[int, int, int | None]]:
    """ID, place of the content and size of the elements from `position` on; those of unknown size are gone into."""
    while position < len(encoded):
        name, length = _vint(encoded, position, keep_marker=True)
        size, more = _vint(encoded, position + length, keep_marker=False)
        assert name is not None
        position += length + more
        yield name, position, size
        position += size or 0


def matroska(encoded: bytes) -> int | None:
    """Matroska, WebM: the size of the segment; where it is unknown, that of the last element in it."""
    end = 0
    try:
        for name, position, size in _elements(encoded, 0):
            if name == _SEGMENT and size is not None:
                return position + size
            end = position + (size or 0)
    except ValueError:  # behind the last element lies something else, or a part of one
        return None if end + 12 < len(encoded) else len(encoded) + 1
    return end


def matroska_states_duration(encoded: bytes) -> bool:
    """Whether the segment's information has a duration (a browser that records writes none)."""
    try:
        for name, position, _ in _elements(encoded, 0):
            if name == _SEGMENT:
                inner = _elements(encoded, position)
                break
        else:
            return False
        for name, position, size in inner:
            if name == _INFO and size:
                return any(child == _DURATION for child, _, _ in _elements(encoded[: position + size], position))
    except ValueError:
        pass
    return False


def flv(encoded: bytes) -> int | None:
    """Flash: its tags, one behind the other."""
    position = 13
    while position + 15 <= len(encoded):
        if encoded[position] & 0x1F not in (8, 9, 18):
            return None
        position += 15 + int.from_bytes(encoded[position + 1 : position + 4], "big")
    return position - 4  # the last may lack the size that stands behind each


def asf(encoded: bytes) -> int | None:
    """Windows Media: its outermost objects; an object of data of size 0 is to the end."""
    position = 0
    while position + 24 <= len(encoded):
        (size,) = struct.unpack_from("<Q", encoded, position + 16)
        if size < 24:
            return None
        if encoded[position : position + 16] == _ASF_DATA and size >= UNKNOWN_64:
            return None
        position += size
    return position
