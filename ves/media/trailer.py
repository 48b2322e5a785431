"""What may follow the samples of a recording: chunks, tags or zeros. Anything else is sound that its header leaves out.

Decoders stop where the header says that the samples end. If that is too early (a size from before more was recorded, a
second chunk of samples), the rest is lost and nobody says so.

Sources: the specifications of RIFF, AIFF-C and Sony Wave64; the tags are those of ves.media.mpeg_audio.
"""

import re
import struct
from collections.abc import Callable

from ves.media import mpeg_audio
from ves.media.audio import BadAudio

Chunks = Callable[[bytes, int], int | None]  # the place behind the chunk that begins at a place; None if none does

HEADER = 8  # bytes in front of a chunk; what is shorter can be neither a chunk nor a word
_SAMPLES = (b"data", b"SSND", b"BODY", b"RIFF", b"RIFX", b"RF64", b"FORM")  # chunks that have samples, or files of them
_COMMON = (
    b"LIST", b"INFO", b"id3 ", b"ID3 ", b"bext", b"iXML", b"_PMX", b"cue ", b"plst", b"smpl", b"inst", b"fact", b"PEAK",
    b"JUNK", b"junk", b"PAD ", b"FLLR", b"DISP", b"acid", b"afsp", b"cart", b"chna", b"axml", b"umid", b"COMT", b"NAME",
    b"AUTH", b"ANNO", b"(c) ", b"MARK", b"INST", b"APPL", b"MIDI", b"AESD", b"CHAN",
)  # fmt: skip
_BEGINS = re.compile(b"|".join(map(re.escape, (*_COMMON, b"TAG", b"ID3", b"APETAGEX"))))
_NAME = re.compile(rb"[ -~]{4}")
_W64_NAMES = (bytes.fromhex("00c04f8edb8a"), bytes.fromhex("28db04c10000"))  # how they end


def check(encoded: bytes, end: int, container: str, chunks: Chunks) -> None:
    """Raise BadAudio `unreadable` if the bytes behind the samples, which end at `end`, are more than chunks, tags or
    zeros."""
    position, zeros = end, len(encoded.rstrip(b"\0"))
    while len(encoded) - position >= HEADER and position < zeros:
        behind = mpeg_audio.behind_tag(encoded, position) or chunks(encoded, position)
        if behind is None:
            raise BadAudio(
                "unreadable",
                f"by the headers of {container} the samples end at byte {position} of {len(encoded)}, but what follows "
                "is no chunk, tag or zeros: most likely sound that a wrong size leaves out; write the file again",
            )
        position = behind


def begin(encoded: bytes, start: int, chunks: Chunks) -> int:
    """Where the chunks and tags at the end of a file begin, if the samples from `start` on have an unknown size: the
    first place from which they follow each other to the last byte; the end of the file if there is none."""
    dead_ends: set[int] = set()  # places that lead to no end of the file, so that each is tried once
    for match in _BEGINS.finditer(encoded, start):
        position = match.start()
        while position is not None and position < len(encoded) and position not in dead_ends:
            dead_ends.add(position)
            try:
                position = mpeg_audio.behind_tag(encoded, position) or chunks(encoded, position)
            except BadAudio:  # samples that look like the name of a chunk
                break
        if position in (len(encoded), len(encoded) + 1):  # the last one may lack its padding
            return match.start()
    return len(encoded)


def no_chunks(encoded: bytes, position: int) -> None:
    """Of a container that has none: only tags and zeros may follow its samples."""


def riff(encoded: bytes, position: int) -> int | None:
    """WAV and AIFF: a name, a size, and padding to even length, which some writers forget. Raises BadAudio `unreadable`
    for more samples."""
    form = ">4sI" if encoded[:4] in (b"RIFX", b"FORM") else "<4sI"
    for place in (position + position % 2, position):
        if place + HEADER > len(encoded):
            continue
        name, size = struct.unpack_from(form, encoded, place)
        if name in _SAMPLES and place + HEADER + size <= len(encoded) + 1:
            raise BadAudio(
                "unreadable",
                f"a second chunk of samples, {name.decode()}, begins at byte {place}: no decoder reads it; "
                "write the file again",
            )
        end = place + HEADER + size
        if name in _COMMON or (_NAME.fullmatch(name) and name not in _SAMPLES and end <= len(encoded)):
            return end
    return None


def w64(encoded: bytes, position: int) -> int | None:
    """Wave64: a name of 16 bytes, and a size that counts the header too; chunks begin at multiples of 8."""
    place = position + -position % 8
    if place + 24 > len(encoded):
        return len(encoded) if not encoded[position:].strip(b"\0") else None
    name, (size,) = encoded[place : place + 16], struct.unpack_from("<Q", encoded, place + 16)
    known = name.endswith(_W64_NAMES) and name[:4] != b"data"
    return place + size if known and 24 <= size <= len(encoded) - place + 7 else None
