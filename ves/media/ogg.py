"""The pages of an Ogg file: whether all of them are there and intact, and where one recording ends and the next begins.

Ogg allows recordings to be joined by writing one file behind the other (a chained stream). Decoders differ in what
they make of the second; so each is decoded by itself. A page has its number, a checksum, the time of its last sample
(granule position) and says whether it is the last one: a file without such a page is cut off.

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
    """One page: where it begins and ends, its flags, the stream that it belongs to, its number there, its first
    bytes."""

    start: int
    end: int
    flags: int
    stream: int
    number: int
    begins_with: bytes


def checksum(page: bytes) -> int:
    """CRC-32 as Ogg has it: of the same polynomial as zlib's, with the bits of all bytes in the other order."""
    blank = page[:22] + bytes(4) + page[26:]
    reflected = zlib.crc32(blank.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)


def _pages(encoded: bytes) -> Iterator[Page]:
    """All pages, to what is none. Raises BadAudio: `truncated` within a page, `unreadable` for a wrong checksum."""
    position = 0
    while encoded[position : position + 4] == b"OggS":
        if position + _HEADER > len(encoded):
            raise BadAudio("truncated", "the last page of Ogg is cut off")
        flags, _, stream, number, stated, segments = struct.unpack_from("<xBqIIIB", encoded, position + 4)
        body = position + _HEADER + segments
        end = body + sum(encoded[position + _HEADER : body])
        if end > len(encoded) or body > len(encoded):
            raise BadAudio("truncated", "the last page of Ogg is cut off")
        if checksum(encoded[position:end]) != stated:
            raise BadAudio("unreadable", f"page {number} of Ogg is damaged: its checksum is another")
        yield Page(position, end, flags, stream, number, encoded[body : body + 8])
        position = end


def recordings(encoded: bytes) -> list[bytes]:
    """The recordings that are joined in an Ogg file, mostly one. Raises BadAudio as `_pages` does; and `truncated` if a
    page in the middle is missing, or the last one of a stream of sound."""
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
        raise BadAudio("unreadable", f"Ogg has {next_page - end} bytes between two pages that belong to none")
    return [encoded[start:stop] for start, stop in zip(starts, [*starts[1:], end], strict=True)]


def _check_ended(last: dict[int, Page], sound: set[int]) -> None:
    """Raise BadAudio `truncated` if the last page of a stream of sound does not say that it is the last."""
    if open_ended := [last[stream].number for stream in sorted(sound) if not last[stream].flags & LAST]:
        raise BadAudio("truncated", f"page {open_ended[0]} of Ogg is the last one there, and more was to follow")
