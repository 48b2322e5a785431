"""The pages of an Ogg file: whether all of them are there and intact, and where one recording ends and the next begins.

Ogg files may simply follow each other in one file (a chained stream). Decoders differ in what they make of the second
one, so each is decoded by itself. A page has its number, a checksum and the time of its last sample (granule position),
and it says whether it is the last one: a file without a last page is cut off.

Sources: RFC 3533 (Ogg), RFC 5334, RFC 7845 (Opus), the Vorbis I specification, the mapping of FLAC to Ogg.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from ves.media.audio import BadAudio

FIRST, LAST = 2, 4  # flags of a page
_HEADER = 27
_SOUND = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ")  # how a stream of sound begins
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # bits of each byte


@dataclass(frozen=True)
class Page:
    """One page: where it begins and ends, its flags, its stream, its number there, its first bytes."""

    start: int
    end: int
    flags: int
    stream: int
    number: int
    begins_with: bytes


def checksum(page: bytes) -> int:
    """Ogg's CRC-32: the polynomial is zlib's, and the bits of each byte are in the other order."""
    blank = page[:22] + bytes(4) + page[26:]
    reflected = zlib.crc32(blank.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)


def _pages(encoded: bytes) -> Iterator[Page]:
    """All pages, up to bytes that are no page. Raises BadAudio: `truncated` if it ends within one, `unreadable` if a
    checksum does not match."""
    position = 0
    while encoded[position : position + 4] == b"OggS":
        if position + _HEADER > len(encoded):
            raise BadAudio("truncated", "the last page of Ogg is cut off")
        flags, _, stream, number, crc, segments = struct.unpack_from("<xBqIIIB", encoded, position + 4)
        body = position + _HEADER + segments
        end = body + sum(encoded[position + _HEADER : body])
        if end > len(encoded) or body > len(encoded):
            raise BadAudio("truncated", "the last page of Ogg is cut off")
        if checksum(encoded[position:end]) != crc:
            raise BadAudio("unreadable", f"page {number} of Ogg is damaged: it does not match its checksum")
        yield Page(position, end, flags, stream, number, encoded[body : body + 8])
        position = end


def recordings(encoded: bytes) -> list[bytes]:
    """The recordings in an Ogg file, mostly one. Raises BadAudio as `_pages` does, and `truncated` if a page in the
    middle is missing, or the last page of a stream of sound."""
    starts, last, sound = [0], {}, set()
    end, in_header = 0, True
    for page in _pages(encoded):
        end = page.end
        if page.flags & FIRST:
            if not in_header:  # the first pages of all streams of a recording stand together
                _check_ended(last, sound)
                starts.append(page.start)
                last, sound = {}, set()
            if page.begins_with.startswith(_SOUND):
                sound.add(page.stream)
        elif page.stream in last and page.number != last[page.stream].number + 1:
            missing = last[page.stream].number + 1
            raise BadAudio("truncated", f"page {missing} of Ogg is missing, {page.number} follows")
        last[page.stream], in_header = page, bool(page.flags & FIRST)
    _check_ended(last, sound)
    if (next_page := encoded.find(b"OggS", end)) >= 0:
        raise BadAudio("unreadable", f"between two pages of Ogg, {next_page - end} bytes belong to neither")
    return [encoded[start:stop] for start, stop in zip(starts, [*starts[1:], end], strict=True)]


def _check_ended(last: dict[int, Page], sound: set[int]) -> None:
    """Raise BadAudio `truncated` if the last page of a stream of sound does not say that it is the last."""
    if open_ended := [last[stream].number for stream in sorted(sound) if not last[stream].flags & LAST]:
        raise BadAudio("truncated", f"page {open_ended[0]} of Ogg is the last one in the file, but should not be")
