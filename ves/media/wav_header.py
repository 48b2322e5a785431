"""What a WAV file says of itself: the chunks `fmt ` and `data` of a RIFF container.

libsndfile reads as many samples as there are and does not say that the header promised more, so a cut-off WAV would
pass as a shorter one; here the promise is kept beside the bytes. Plain 16-bit PCM, which is what nearly every corpus
holds, is then a view of the bytes and needs no decoder.
"""

import struct
from dataclasses import dataclass

UNKNOWN = 0xFFFFFFFF  # bytes, as FFmpeg writes to a pipe, where it cannot come back to the header
_PCM, _EXTENSIBLE = 0x0001, 0xFFFE


@dataclass(frozen=True)
class Wav:
    """One RIFF/WAVE file: its format and where its samples are. `declared` is the size in bytes of the data chunk as
    the header gives it, `present` what is there of it; `present < declared` is a cut-off file."""

    pcm: bool
    channels: int
    rate: int
    bits: int
    start: int
    declared: int
    present: int


def parse(encoded: bytes) -> Wav | None:
    """Read the headers; None if this is no RIFF/WAVE file or has no format before its samples."""
    if encoded[:4] != b"RIFF" or encoded[8:12] != b"WAVE":
        return None
    position, form = 12, None
    while position + 8 <= len(encoded):
        name, size = struct.unpack_from("<4sI", encoded, position)
        position += 8
        if name == b"fmt " and size >= 16 and position + 16 <= len(encoded):
            tag, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", encoded, position)
            if tag == _EXTENSIBLE and size >= 26 and position + 26 <= len(encoded):
                (tag,) = struct.unpack_from("<H", encoded, position + 24)  # the sub-format's first two bytes
            form = (tag == _PCM and block == channels * bits // 8, channels, rate, bits)
        elif name == b"data" and form is not None:
            present = min(size, len(encoded) - position)
            return Wav(*form, start=position, declared=present if size == UNKNOWN else size, present=present)
        position += size + size % 2  # chunks are padded to even length
    return None
