"""The frames of an MP3 (MPEG audio, layers I to III): how many there are, and how many its first one promises.

Only the Xing, Info or VBRI frame that most encoders put in front says how long an MP3 is. A file that was written to a
pipe or cut from a stream has none, and a decoder then guesses from size and bit rate. So the frames are counted here:
each has its size in its header.

Sources: ISO/IEC 11172-3 and 13818-3; Gabriel Bouvigne, "MP3 Info Tag revision 1"; Fraunhofer's VBRI header.
"""

import struct
from typing import NamedTuple

from ves.media.audio import BadAudio

_RATES = (44_100, 48_000, 32_000)  # of MPEG 1; 2 has half, 2.5 a quarter
_KBITS = {
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}  # by MPEG version and layer; layer III of MPEG 2 is as layer II
_TAGS = {b"TAG": 128, b"TAG+": 227}  # ID3v1 and its extension: bytes
_SAME = 0xFFFE0C00  # bits of the header that all frames of a recording share: version, layer, rate
_LONGEST = 2_881  # bytes of a frame
_RESYNC = 1 << 16  # bytes that are searched for the next frame


class Frame(NamedTuple):
    """Size in bytes, samples of each channel, and whether there is only one channel."""

    size: int
    samples: int
    mono: bool
    mpeg: int  # 1 or 2 (2 and 2.5)
    layer: int


def frame(header: int) -> Frame | None:
    """What a frame's header of four bytes says; None if it is no header, or the bit rate is free."""
    version, layer, kbits, rate = header >> 19 & 3, 4 - (header >> 17 & 3), header >> 12 & 15, header >> 10 & 3
    if header >> 21 != 0x7FF or version == 1 or layer == 4 or kbits in (0, 15) or rate == 3:
        return None
    mpeg = 1 if version == 3 else 2
    bits = 1_000 * _KBITS[mpeg, min(layer, 2) if mpeg == 2 else layer][kbits]
    hertz = _RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    samples = {1: 384, 2: 1_152, 3: 1_152 if mpeg == 1 else 576}[layer]
    padding = header >> 9 & 1
    size = 4 * (12 * bits // hertz + padding) if layer == 1 else samples // 8 * bits // hertz + padding
    return Frame(size, samples, header >> 6 & 3 == 3, mpeg, layer)


def _promise(encoded: bytes, position: int, first: Frame) -> int | None:
    """How many frames an Xing, Info or VBRI frame promises after itself, 0 if it does not say; None for any other
    frame."""
    side = (17 if first.mono else 32) if first.mpeg == 1 else (9 if first.mono else 17)
    xing, vbri = position + 4 + side, position + 36
    if encoded[xing : xing + 4] in (b"Xing", b"Info") and xing + 12 <= len(encoded):
        flags, frames = struct.unpack_from(">II", encoded, xing + 4)
        return frames if flags & 1 else 0
    if encoded[vbri : vbri + 4] == b"VBRI" and vbri + 18 <= len(encoded):
        return struct.unpack_from(">I", encoded, vbri + 14)[0]
    return None


def behind_tag(encoded: bytes, position: int) -> int | None:
    """The place behind the tag (ID3, APE, Lyrics3) that begins here; None if none does."""
    if size := id3_size(encoded, position):
        return position + size
    if encoded[position : position + 8] == b"APETAGEX" and position + 16 <= len(encoded):
        (size,) = struct.unpack_from("<I", encoded, position + 12)
        return position + 32 + size
    if encoded[position : position + 11] == b"LYRICSBEGIN":
        end = encoded.find(b"LYRICS200", position)
        return end + 9 if end >= 0 else None
    return next((position + size for name, size in _TAGS.items() if encoded.startswith(name, position)), None)


def id3_size(encoded: bytes, position: int = 0) -> int:
    """Bytes of the ID3v2 tag that begins here, 0 if none does."""
    header = encoded[position : position + 10]
    if header[:3] != b"ID3" or len(header) < 10 or header[3] == 0xFF or max(header[6:]) > 0x7F:
        return 0
    size = header[6] << 21 | header[7] << 14 | header[8] << 7 | header[9]
    return 10 + size + (10 if header[5] & 0x10 else 0)


def recordings(encoded: bytes) -> list[bytes]:
    """The recordings in an MP3, mostly one; each begins with its Xing, Info or VBRI frame, if it has one. They consist
    of frames only, since decoders stumble over tags.

    Raises BadAudio: `truncated` if fewer frames are there than promised, or the last one is cut off; `unreadable` if
    bytes between two frames are neither a frame nor a tag. Before the first frame, such bytes may be the rest of
    another frame, if the recorder cut into a stream. After the last one, zeros are what a disk leaves in place of lost
    frames, unless a promise shows that none is missing.
    """
    position, count, total, kind = 0, 0, 0, None
    parts: list[list[bytes]] = [[]]
    while position + 4 <= len(encoded):
        (header,) = struct.unpack_from(">I", encoded, position)
        here = frame(header)
        if here is None or (header & _SAME != kind and not _has_successor(encoded, position, here)):
            if (behind := _behind_other(encoded, position, header, count)) is None:
                break
            position = behind
            continue
        if (promise := _promise(encoded, position, here)) is None:
            count += 1
        else:
            total += promise
            if parts[-1]:
                parts.append([])
        kind = header & _SAME
        if position + here.size > len(encoded):
            raise BadAudio("truncated", f"frame {count} of MPEG audio is cut off")
        parts[-1].append(encoded[position : position + here.size])
        position += here.size
    rest = encoded[position : position + 16]
    if kind is not None and (rest[:1] == b"\xff" and len(rest) < 4):
        raise BadAudio("truncated", f"frame {count + 1} of MPEG audio is cut off")
    if kind is not None and not total and rest == bytes(16):
        raise BadAudio("truncated", f"zeros follow frame {count} of MPEG audio")
    if count < total:
        raise BadAudio("truncated", f"the first frame promises {total} frames, {count} are there")
    return [b"".join(part) for part in parts] if kind is not None else [encoded]


def _behind_other(encoded: bytes, position: int, header: int, count: int) -> int | None:
    """The place of the next frame after bytes that are no frame; None if there is none. `count` frames come before.
    Raises BadAudio `unreadable` if frames are missing here."""
    if (behind := behind_tag(encoded, position)) or (behind := _next_frame(encoded, position + 1)) is None:
        return behind
    same = (header ^ int.from_bytes(encoded[behind : behind + 4], "big")) & _SAME == 0
    if count or same or behind - position > _LONGEST or header == 0:
        raise BadAudio("unreadable", f"{behind - position} bytes after frame {count} of MPEG audio are no frame")
    return behind


def _has_successor(encoded: bytes, position: int, here: Frame) -> bool:
    """Whether another frame follows this one. If none does, the header is most likely a chance among other bytes."""
    after = encoded[position + here.size : position + here.size + 4]
    return len(after) == 4 and frame(int.from_bytes(after, "big")) is not None


def _next_frame(encoded: bytes, position: int) -> int | None:
    """The place of the next frame that has a successor; None if there is none within _RESYNC bytes."""
    end = min(position + _RESYNC, len(encoded) - 4)
    while (position := encoded.find(b"\xff", position, end)) >= 0:
        here = frame(int.from_bytes(encoded[position : position + 4], "big"))
        if here is not None and _has_successor(encoded, position, here):
            return position
        position += 1
    return None
