"""How the packets of a recording follow each other in its container: whether something is missing between them.

Where a packet is damaged, FFmpeg looks for the next one, and the recording is shorter by whatever lies between. Each
function goes from element to element of one container, without a look into the sound, and returns the place behind the
last one (which in a cut-off file is behind the end), or None where it cannot tell. Raises BadAudio `unreadable` if
something else is where an element should begin.

Sources: ISO/IEC 14496-12 (MP4), RFC 8794 and RFC 9559 (Matroska), Adobe FLV 10.1, Microsoft's ASF and AVI with OpenDML,
ISO/IEC 13818-1 (MPEG-TS and -PS), ISO/IEC 13818-7 (ADTS).
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator

from ves.media.audio import BadAudio
from ves.media.wav_header import UNKNOWN, UNKNOWN_64

_SEGMENT, _INFO, _CLUSTER, _DURATION = 0x18538067, 0x1549A966, 0x1F43B675, 0x4489  # elements of Matroska
_IN_SEGMENT = {
    _INFO, _CLUSTER, 0x114D9B74, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367, 0xEC, 0xBF,
    0xE7, 0xA3, 0xA0, 0xAB, 0xA7, 0xAF, 0x5854,
}  # fmt: skip  # and in clusters
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_AVI_CHUNK = re.compile(rb"\d\d(wb|dc|db|pc|tx|sb|iv|__)|ix\d\d|JUNK|LIST|idx1|RIFF")


def _chain(encoded: bytes, start: int, what: str, size: Callable[[int], int | None]) -> int:
    """The place behind the last element from `start` on; `size` gives the bytes of the one at a place, None if there is
    none."""
    position = start
    while position < len(encoded):
        if (length := size(position)) is None:
            if not encoded[position:].strip(b"\0") or encoded.startswith((b"TAG", b"APETAGEX", b"ID3"), position):
                break
            raise BadAudio("unreadable", f"{what} is damaged at byte {position} of {len(encoded)}")
        position += length
    return position


def mp4(encoded: bytes) -> int | None:
    """MP4 and QuickTime: their outermost boxes; one with a size of 0 goes on to the end."""
    position = 0
    while position + 8 <= len(encoded):
        size, name = struct.unpack_from(">I4s", encoded, position)
        if size == 1 and position + 16 <= len(encoded):
            (size,) = struct.unpack_from(">Q", encoded, position + 8)
        if size < 8 or not name.replace(b"\xa9", b"c").isascii() or not name.decode("latin-1").isprintable():
            return None  # it goes on to the end, or something that is no box follows the last
        position += size
    return position


def _number(encoded: bytes, position: int, keep_marker: bool) -> tuple[int | None, int]:
    """A number of EBML (None: an unknown size), and its length in bytes; ValueError if it is no number or cut off."""
    first = encoded[position] if position < len(encoded) else 0
    length = 9 - first.bit_length()
    if not 1 <= length <= (4 if keep_marker else 8) or position + length > len(encoded):
        raise ValueError(f"no element at byte {position}")
    number = int.from_bytes(encoded[position : position + length], "big")
    if keep_marker:
        return number, length
    number &= (1 << 7 * length) - 1
    return (None if number == (1 << 7 * length) - 1 else number), length


def _elements(encoded: bytes, position: int, end: int) -> Iterator[tuple[int, int, int | None]]:
    """ID, place of the content, and size of the elements up to `end`. The children of clusters, and of elements whose
    size is unknown, are among them. Raises ValueError where no element begins, or a cluster does not match its
    checksum."""
    while position < end:
        name, length = _number(encoded, position, keep_marker=True)
        size, more = _number(encoded, position + length, keep_marker=False)
        assert name is not None
        position += length + more
        yield name, position, size
        if name == _CLUSTER and size is not None and position + size <= len(encoded):
            content = encoded[position : position + size]
            if content[:2] == b"\xbf\x84" and zlib.crc32(content[6:]) != int.from_bytes(content[2:6], "little"):
                raise ValueError(f"the cluster at byte {position} does not match its checksum")
        elif size is not None:
            position += size


def matroska(encoded: bytes) -> int | None:
    """Matroska, WebM: the size of the segment; if it is unknown, its elements, one after another."""
    end, limit, begin = 0, len(encoded), 0
    try:
        for name, position, size in _elements(encoded, 0, limit):
            if name == _SEGMENT:
                begin, limit = position, limit if size is None else position + size
                break
        else:
            return None
        if limit > len(encoded):
            return limit
        for name, position, size in _elements(encoded, begin, limit):
            if name not in _IN_SEGMENT:
                raise ValueError(f"no element of a segment at byte {position}")
            end = max(end, position + (size or 0))
    except ValueError as error:
        if len(encoded) - 12 < end:  # the file ends within the header or the content of an element
            return max(end, len(encoded) + 1)
        raise BadAudio("unreadable", f"Matroska is damaged: {error}") from error
    return max(end, limit)


def matroska_states_duration(encoded: bytes) -> bool:
    """Whether the segment's information has a duration (browsers that record write none)."""
    try:
        begin = next(position for name, position, _ in _elements(encoded, 0, len(encoded)) if name == _SEGMENT)
        for name, position, size in _elements(encoded, begin, len(encoded)):
            if name == _INFO and size:
                return any(child == _DURATION for child, _, _ in _elements(encoded, position, position + size))
    except (ValueError, StopIteration):
        pass
    return False


def flv(encoded: bytes) -> int:
    """Flash: its tags, each with its size before and after it."""

    def size(position: int) -> int | None:
        header = encoded[position : position + 4]
        length = 11 + int.from_bytes(header[1:], "big")
        behind = encoded[position + length : position + length + 4]
        if header[0] & 0x1F not in (8, 9, 18) or (len(behind) == 4 and int.from_bytes(behind, "big") != length):
            return None
        return length + 4

    return _chain(encoded, 13, "FLV", size)


def asf(encoded: bytes) -> int | None:
    """Windows Media: its outermost objects; an object of data without a size goes on to the end."""
    position = 0
    while position + 24 <= len(encoded):
        (size,) = struct.unpack_from("<Q", encoded, position + 16)
        if size < 24 or (size >= UNKNOWN_64 and encoded[position : position + 16] == _ASF_DATA):
            return None
        position += size
    return position


def avi(encoded: bytes) -> int | None:
    """AVI: the size of RIFF, and the chunks of its list `movi`, one after another."""
    (riff,) = struct.unpack_from("<I", encoded, 4)
    movi = encoded.find(b"movi")
    if movi < 8 or encoded[movi - 8 : movi - 4] != b"LIST":
        return 8 + riff
    (length,) = struct.unpack_from("<I", encoded, movi - 4)
    end = movi + length if 4 < length < UNKNOWN else len(encoded)
    if end <= len(encoded):

        def size(position: int) -> int | None:
            if not _AVI_CHUNK.match(encoded, position) or position + 8 > len(encoded):
                return None
            if encoded[position : position + 4] == b"LIST":
                return 12
            length = int.from_bytes(encoded[position + 4 : position + 8], "little")
            return 8 + length + length % 2

        _chain(encoded[:end], movi + 4, "AVI", size)
    return max(8 + riff if 0 < riff < UNKNOWN else 0, end)


def mpegts(encoded: bytes) -> int:
    """MPEG-TS: packets of 188 bytes, or of 192 if a time comes first, each with a byte for synchronisation."""
    length, first = (188, 0) if encoded[0] == encoded[188] == 0x47 else (192, 4)

    def size(position: int) -> int | None:
        sync = encoded[position + first : position + first + 1]
        return length if sync in (b"\x47", b"") else None

    return _chain(encoded, 0, "MPEG-TS", size)


def mpegps(encoded: bytes) -> int:
    """MPEG-PS: its packs and packets, up to the end code, which may be missing."""

    def size(position: int) -> int | None:
        header = encoded[position : position + 14]
        if len(header) < 4:
            return 4
        if header[:3] != b"\0\0\1" or header[3] < 0xB9:
            return None
        if header[3] == 0xB9:
            return 4
        if header[3] == 0xBA:
            return (14 + (header[13] & 7 if len(header) == 14 else 0)) if header[4:5] >= b"\x40" else 12
        return 6 + int.from_bytes(header[4:6], "big")

    return _chain(encoded, 0, "MPEG-PS", size)


def adts(encoded: bytes) -> int:
    """AAC in ADTS: its frames."""

    def size(position: int) -> int | None:
        header = encoded[position : position + 6]
        if header[:1] != b"\xff" or (len(header) > 1 and header[1] & 0xF6 != 0xF0):
            return None
        return max((header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5, 7) if len(header) == 6 else 7

    return _chain(encoded, 0, "AAC (ADTS)", size)
