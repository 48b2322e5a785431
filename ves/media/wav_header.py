"""What a WAV file says of itself: the chunks `fmt ` and `data` of a RIFF, RIFX, RF64 or BW64 container.

libsndfile reads as many samples as there are and does not say that the header promises more, so a cut-off WAV would
pass as a shorter one. Here the promise is returned too. Plain 16-bit PCM, which nearly every corpus has, is then a view
of the bytes and needs no decoder.

Sources: Microsoft, "Multiple channel audio data and WAVE files"; EBU Tech 3306 (RF64); ITU-R BS.2088 (BW64).
"""

import struct
from dataclasses import dataclass
from typing import NamedTuple

from ves.media import trailer
from ves.media.audio import BadAudio

# bytes; from here on, a 32-bit size means that it is unknown: writers to a pipe put about 2 or 4 GiB (0x7FFFFFFF,
# 0x7FFFF000, 0x80000000, 0xFFFFFFFF, each with or without the size of the header); no clip is so large
UNKNOWN = 0x7FFF_0000
UNKNOWN_64 = 1 << 62  # the same for 64-bit sizes
_PCM, _FLOAT, _EXTENSIBLE, _MPEG = 0x0001, 0x0003, 0xFFFE, (0x0050, 0x0055)
_PADDED = 4  # bytes that a sample of 17 to 24 bits may take
_ORDER = {b"RIFF": "<", b"RIFX": ">", b"RF64": "<", b"BW64": "<"}  # byte order of a container


@dataclass(frozen=True)
class Wav:
    """One WAVE file: its format and where its samples are.

    `bits` are the bits that a sample takes, `valid` those that it uses. `declared` is the size of the data chunk in
    bytes by the header (if the header has none: all that is there), `present` the size of what is there of it, so
    `present < declared` means that the file is cut off. `mpeg` stands for MP3 in WAV. `widened` means that a sample of
    17 to 24 bits takes 4 bytes by the size of a block, `packed` that it takes 3 by the bytes per second.
    """

    pcm: bool
    channels: int
    rate: int
    bits: int
    start: int
    declared: int
    present: int
    valid: int
    little_endian: bool
    mpeg: bool
    widened: bool = False
    packed: bool = False

    @property
    def end(self) -> int:
        """The place behind the last byte that the header promises."""
        return self.start + self.declared


class _Format(NamedTuple):
    """What `fmt ` says: see Wav."""

    tag: int
    pcm: bool
    channels: int
    rate: int
    bits: int
    valid: int
    widened: bool
    packed: bool


def parse(encoded: bytes) -> Wav | None:
    """Read the headers; None if this is no WAVE file or no format comes before the samples. Raises BadAudio
    `unreadable` if the format contradicts itself."""
    order = _ORDER.get(encoded[:4])
    if order is None or encoded[8:12] != b"WAVE":
        return None
    position, form, long_size = 12, None, None
    while position + 8 <= len(encoded):
        name, size = struct.unpack_from(f"{order}4sI", encoded, position)
        position += 8
        if name == b"fmt " and size >= 16 and position + 16 <= len(encoded):
            form = _format(encoded, position, size, order)
        elif name == b"ds64" and size >= 16 and position + 16 <= len(encoded):
            (long_size,) = struct.unpack_from("<Q", encoded, position + 8)
        elif name == b"data" and form is not None:
            declared, present = _sizes(encoded, order, position, size, long_size)
            tag, pcm, channels, rate, bits, valid, *padding = form
            mpeg = tag in _MPEG
            return Wav(pcm, channels, rate, bits, position, declared, present, valid, order == "<", mpeg, *padding)
        position += size + size % 2  # chunks are padded to even length
    return None


def _format(encoded: bytes, position: int, size: int, order: str) -> _Format:
    """The format that a chunk `fmt ` states. Where the bytes of a block contradict the bits of a sample, the bits are
    right, as libsndfile and FFmpeg take it. Only samples of 17 to 24 bits may take 4 bytes (ALSA, Windows). Raises
    BadAudio if the bytes per second are with the block: then either may be wrong, the channels too."""
    tag, channels, rate, flow, block, bits = struct.unpack_from(f"{order}HHIIHH", encoded, position)
    valid = bits
    if tag == _EXTENSIBLE and size >= 26 and position + 26 <= len(encoded):
        valid, _, tag = struct.unpack_from(f"{order}HIH", encoded, position + 18)  # the sub-format's first two bytes
    valid, by_bits = min(valid, bits) or bits, channels * -(-bits // 8)
    widened = tag == _PCM and 16 < bits <= 24 and block == channels * _PADDED > 0
    packed = widened and flow == rate * by_bits
    if widened:
        bits = 8 * _PADDED
    elif tag in (_PCM, _FLOAT) and by_bits and block not in (0, by_bits) and flow == rate * block:
        raise BadAudio(
            "unreadable",
            f"the WAV header contradicts itself: {channels} channels of {bits} bits are {by_bits} bytes, but it counts "
            f"{block} in a block and {flow} in a second; correct the header",
        )
    elif tag == _PCM and block >= by_bits:
        bits = 8 * -(-bits // 8)
    pcm = tag == _PCM and block >= by_bits > 0
    return _Format(tag, pcm, channels, rate, bits, valid, widened, packed)


def _sizes(encoded: bytes, order: str, position: int, size: int, long_size: int | None) -> tuple[int, int]:
    """The size of a data chunk by the header (its 32-bit size, or that in `ds64`), and of what is there of it."""
    there = len(encoded) - position
    (riff,) = struct.unpack_from(f"{order}I", encoded, 4)
    unknown = False
    if size == 0xFFFFFFFF and long_size is not None:
        unknown = long_size >= UNKNOWN_64 or long_size == 0
        size = long_size
    elif size >= UNKNOWN or (size == 0 and (riff + 8 <= position or riff >= UNKNOWN)):  # RIFF ends before the samples
        unknown = True
    if unknown:
        size = trailer.begin(encoded, position, trailer.riff) - position
    elif size == there + position == riff + 8:  # some writers put the size of the file here
        size = there
    return size, min(size, there)
