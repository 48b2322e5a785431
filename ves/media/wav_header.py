"""What a WAV file says of itself: the chunks `fmt ` and `data` of a RIFF, RIFX, RF64 or BW64 container.

libsndfile reads as many samples as there are and does not say that the header promises more, so a cut-off WAV would
pass as a shorter one. Here the promise is returned too. Plain 16-bit PCM, which nearly every corpus has, is then a view
of the bytes and needs no decoder.

Sources: Microsoft, "Multiple channel audio data and WAVE files"; EBU Tech 3306 (RF64); ITU-R BS.2088 (BW64).
"""

import struct
from dataclasses import dataclass

# bytes; from here on, a 32-bit size means that it is unknown: writers to a pipe put about 2 or 4 GiB (0x7FFFFFFF,
# 0x7FFFF000, 0x80000000, 0xFFFFFFFF, each with or without the size of the header); no clip is so large
UNKNOWN = 0x7FFF_0000
UNKNOWN_64 = 1 << 62  # the same for 64-bit sizes
_PCM, _EXTENSIBLE, _MPEG = 0x0001, 0xFFFE, (0x0050, 0x0055)
_ORDER = {b"RIFF": "<", b"RIFX": ">", b"RF64": "<", b"BW64": "<"}  # byte order of a container


@dataclass(frozen=True)
class Wav:
    """One WAVE file: its format and where its samples are.

    `bits` are the bits that a sample takes, `valid` those that it uses. `declared` is the size of the data chunk in
    bytes by the header (if the header has none: all that is there), `present` the size of what is there of it, so
    `present < declared` means that the file is cut off. `mpeg` stands for MP3 in WAV.
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

    @property
    def end(self) -> int:
        """The place behind the last byte that the header promises."""
        return self.start + self.declared


def parse(encoded: bytes) -> Wav | None:
    """Read the headers; None if this is no WAVE file or no format comes before the samples."""
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
            tag, pcm, channels, rate, bits, valid = form
            mpeg = tag in _MPEG
            return Wav(pcm, channels, rate, bits, position, declared, present, valid, order == "<", mpeg)
        position += size + size % 2  # chunks are padded to even length
    return None


def _format(encoded: bytes, position: int, size: int, order: str) -> tuple[int, bool, int, int, int, int]:
    """The codec, whether it is PCM, channels, rate, the bits that a sample takes, those that it uses."""
    tag, channels, rate, _, block, bits = struct.unpack_from(f"{order}HHIIHH", encoded, position)
    valid = bits
    if tag == _EXTENSIBLE and size >= 26 and position + 26 <= len(encoded):
        valid, _, tag = struct.unpack_from(f"{order}HIH", encoded, position + 18)  # the sub-format's first two bytes
    valid = min(valid, bits) or bits
    if tag == _PCM and channels and block % channels == 0:
        bits = max(8 * block // channels, bits)  # 24 bits in 4 bytes: ALSA has such samples
    pcm = tag == _PCM and block == channels * bits // 8
    return tag, pcm, channels, rate, bits, valid


def _sizes(encoded: bytes, order: str, position: int, size: int, long_size: int | None) -> tuple[int, int]:
    """The size of a data chunk by the header (its 32-bit size, or that in `ds64`), and of what is there of it."""
    there = len(encoded) - position
    (riff,) = struct.unpack_from(f"{order}I", encoded, 4)
    if size == 0xFFFFFFFF and long_size is not None:
        unknown = long_size >= UNKNOWN_64 or long_size == 0
        size = there if unknown else long_size
    elif size >= UNKNOWN or (size == 0 and (riff + 8 <= position or riff >= UNKNOWN)):  # RIFF ends before the samples
        size = there
    return size, min(size, there)
