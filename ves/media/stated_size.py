"""How many bytes a whole recording has by its own headers: a shorter file is cut off.

Decoders read what is there and seldom say that the headers promise more. Each function takes the bytes of one container
and returns the place behind the last byte that its headers promise. It returns None if they promise nothing: the writer
did not know (it wrote to a pipe, and sizes are 0 or absurdly large), or the container has no such field. The place is a
lower bound, since tags may follow.

Sources: the specifications of AIFF-C (Apple, 1991), Sun/NeXT audio, NIST SPHERE, Creative Voice, 8SVX, Sony Wave64,
Core Audio Format. WAV: ves.media.wav_header. Containers of packets: ves.media.structure.
"""

import re
import struct

from ves.media import trailer, wav_header
from ves.media.audio import BadAudio
from ves.media.wav_header import UNKNOWN, UNKNOWN_64

_W64_HEADER = 24  # bytes in front of each chunk: a name of 16, and a size that counts these bytes too
_UNCODED = (b"NONE", b"sowt", b"twos", b"in24", b"in32", b"fl32", b"FL32", b"fl64", b"FL64")  # kinds of AIFF-C
_VOC_TYPES = range(1, 10)  # of blocks


def iff(encoded: bytes) -> int | None:
    """AIFF, AIFF-C and 8SVX: the size of the chunk of samples, `SSND` or `BODY`. Raises BadAudio `truncated` if `COMM`
    promises more frames than `SSND` has."""
    (form,) = struct.unpack_from(">I", encoded, 4)
    position, frames_size = 12, 0
    while position + 8 <= len(encoded):
        name, size = struct.unpack_from(">4sI", encoded, position)
        position += 8
        if name == b"COMM":
            frames_size = _comm(encoded, position)
        if name in (b"SSND", b"BODY"):
            unwritten = size <= 8 and form + 8 <= position + size  # FORM is empty: the writer never went back
            if size >= UNKNOWN or unwritten:
                return None
            if frames_size > max(size - 8, 0):
                text = f"COMM promises {frames_size} bytes of samples, SSND has {max(size - 8, 0)}"
                raise BadAudio("truncated", text)
            return position + size
        position += size + size % 2
    return position if position > len(encoded) else None


def _comm(encoded: bytes, position: int) -> int:
    """Bytes of all frames by the chunk `COMM`; 0 if it does not know, or if they are compressed."""
    if position + 18 > len(encoded):
        return 0
    channels, frames, bits = struct.unpack_from(">HIH", encoded, position)
    coded = encoded[8:12] == b"AIFC" and encoded[position + 18 : position + 22] not in _UNCODED
    return 0 if coded or frames >= UNKNOWN else frames * channels * -(-bits // 8)


def au(encoded: bytes) -> int | None:
    """Sun/NeXT: the offset of the first sample, and the size of all."""
    order = ">" if encoded[:4] == b".snd" else "<"
    if len(encoded) < 12:
        return None
    offset, size = struct.unpack_from(f"{order}II", encoded, 4)
    return offset + size if 0 < size < UNKNOWN else None


def nist(encoded: bytes) -> int | None:
    """SPHERE: the number of samples, of channels, and of bytes in a sample; None if the samples are compressed."""
    fields = dict(re.findall(rb"(?m)^(\w+) -\w+ (.*)$", encoded[:1024]))
    if b"embedded" in fields.get(b"sample_coding", b""):
        return None
    try:
        header = int(encoded[8:16])
        return header + int(fields[b"sample_count"]) * int(fields[b"sample_n_bytes"]) * int(fields[b"channel_count"])
    except (KeyError, ValueError):
        return None


def voc(encoded: bytes) -> int | None:
    """Creative Voice: its blocks, one after another, up to the terminator. Raises BadAudio `unreadable` where no
    block begins."""
    (position,) = struct.unpack_from("<H", encoded, 20) if len(encoded) >= 22 else (22,)
    while position + 4 <= len(encoded) and encoded[position]:
        if encoded[position] not in _VOC_TYPES:
            raise BadAudio("unreadable", f"VOC is damaged: no block begins at byte {position} of {len(encoded)}")
        position += 4 + int.from_bytes(encoded[position + 1 : position + 4], "little")
    return position + (position < len(encoded) and encoded[position] == 0)  # the terminator is a byte


def w64(encoded: bytes) -> int | None:
    """Sony Wave64: the size of the chunk `data`."""
    position, size = _w64_data(encoded)
    if size is None:
        return position if position > len(encoded) else None
    return position + size if _W64_HEADER < size < UNKNOWN_64 else None


def _w64_data(encoded: bytes) -> tuple[int, int | None]:
    """Where the chunk `data` begins and its size, header included; if there is none, where the last chunk ends."""
    position = 40  # behind `riff`, its size and `wave`
    while position + _W64_HEADER <= len(encoded):
        (size,) = struct.unpack_from("<Q", encoded, position + 16)
        if encoded[position : position + 4] == b"data":
            return position, size
        position += max(size + -size % 8, _W64_HEADER)
    return position, None


def caf(encoded: bytes) -> int | None:
    """Core Audio: its chunks; one with a size of -1 goes on to the end. Raises BadAudio `unreadable` where no chunk
    begins, or a second one of samples does."""
    position, zeros, has_samples = 8, len(encoded.rstrip(b"\0")), False
    while position + 12 <= len(encoded) and position < zeros:
        name, size = struct.unpack_from(">4sq", encoded, position)
        if not name.isascii() or not name.decode().isprintable() or (name == b"data" and has_samples):
            text = f"CAF is damaged: at byte {position} of {len(encoded)} something else follows than its headers say"
            raise BadAudio("unreadable", text)
        if size < 0:
            return None
        has_samples = has_samples or name == b"data"
        position += 12 + size
    return position if position > len(encoded) else None


def fill_in_sizes(encoded: bytes) -> bytes:
    """A WAV, W64, AIFF, AU or CAF with the size of its samples in its headers, where the writer did not know it; any
    other recording as it is.

    Without it, libsndfile takes some of these files for empty, and neither it nor FFmpeg reads such a W64.
    """
    fields = _LACKING[encoded[:4]](encoded) if encoded[:4] in _LACKING else []
    if not fields:
        return encoded
    copy = bytearray(encoded)
    for form, place, size in fields:
        struct.pack_into(form, copy, place, size)
    return bytes(copy)


Fields = list[tuple[str, int, int]]  # struct format, place and value of the sizes that a header lacks


def _wav_fields(encoded: bytes) -> Fields:
    if (header := wav_header.parse(encoded)) is None:
        return []
    form = "<I" if header.little_endian else ">I"
    (size,) = struct.unpack_from(form, encoded, header.start - 4)
    is_right = size == header.declared
    return [] if is_right else [(form, header.start - 4, header.present), (form, 4, len(encoded) - 8)]


def _w64_fields(encoded: bytes) -> Fields:
    position, size = _w64_data(encoded)
    riff, data = ("<Q", 16, len(encoded)), ("<Q", position + 16, len(encoded) - position)
    if size is None:
        return []
    if w64(encoded) is None:
        return [riff, data]
    return [riff] if int.from_bytes(encoded[16:24], "little") >= UNKNOWN_64 else []


def _au_fields(encoded: bytes) -> Fields:
    form = ">I" if encoded[:4] == b".snd" else "<I"
    if len(encoded) < 24 or au(encoded) is not None:
        return []
    (offset,) = struct.unpack_from(form, encoded, 4)
    return [(form, 8, max(trailer.begin(encoded, offset, trailer.no_chunks) - offset, 0))]


def _caf_fields(encoded: bytes) -> Fields:
    place = encoded.find(b"data" + b"\xff" * 8)
    return [] if place < 0 or caf(encoded) is not None else [(">q", place + 4, len(encoded) - place - 12)]


def _aiff_fields(encoded: bytes) -> Fields:
    comm, ssnd = encoded.find(b"COMM"), encoded.find(b"SSND")
    if encoded[8:11] != b"AIF" or not 0 < comm < ssnd <= len(encoded) - 16 or iff(encoded) is not None:
        return []
    end = trailer.begin(encoded, ssnd + 16, trailer.riff)
    channels, _, bits = struct.unpack_from(">HIH", encoded, comm + 8)
    frames = (end - ssnd - 16) // max(channels * -(-bits // 8), 1)
    return [(">I", 4, end - 8), (">I", ssnd + 4, end - ssnd - 8), (">I", comm + 10, frames)]


_LACKING = {
    b"RIFF": _wav_fields, b"RIFX": _wav_fields, b".snd": _au_fields, b"dns.": _au_fields, b"caff": _caf_fields,
    b"FORM": _aiff_fields, b"riff": _w64_fields,
}  # fmt: skip
