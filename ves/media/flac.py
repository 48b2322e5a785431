"""The last frame of a FLAC file: where the recording ends, whatever STREAMINFO promises.

libFLAC stops at the number of samples in STREAMINFO. A writer that puts too small a number there hides the rest, though
each frame has its number and checksums.

Source: RFC 9639, sections 8.2 (STREAMINFO) and 9.1 (frame header).
"""

_STREAMINFO = 8  # place of its content: the marker `fLaC` and a header of 4 bytes come before
_SEARCHED = 1 << 20  # bytes from the end in which the last frame begins; one of 8 channels of 24 bits may be so large
_LONGEST_HEADER = 16  # bytes
_SAMPLE_SIZES = (0, 8, 12, -1, 16, 20, 24, 32)  # bits, by their code in a frame header; 0 is that of STREAMINFO
_POLYNOMIAL = 0x07  # of the checksum of a frame header: x^8 + x^2 + x + 1


def promised(encoded: bytes) -> int:
    """Samples of each channel by STREAMINFO, 0 if it does not say."""
    return int.from_bytes(encoded[_STREAMINFO + 13 : _STREAMINFO + 18], "big") & 0xF_FFFF_FFFF


def leaves_out(encoded: bytes) -> bool:
    """Whether STREAMINFO promises fewer samples than there are: the last frame goes on behind the promised end."""
    total = promised(encoded)
    return total > 0 and last_sample(encoded) > total


def last_sample(encoded: bytes) -> int:
    """Samples of each channel up to the end of the last frame, by that frame's header; 0 if no frame is found."""
    block_size = int.from_bytes(encoded[_STREAMINFO : _STREAMINFO + 2], "big")
    shape = int.from_bytes(encoded[_STREAMINFO + 12 : _STREAMINFO + 14], "big")
    channels, bits = (shape >> 9 & 7) + 1, (shape >> 4 & 31) + 1
    place, least = len(encoded), max(len(encoded) - _SEARCHED, _STREAMINFO + 34)
    while (place := encoded.rfind(b"\xff", least, place)) >= 0:
        header = encoded[place : place + _LONGEST_HEADER]
        if header[1:2] not in (b"\xf8", b"\xf9") or not _has_shape(header, channels, bits):
            continue
        if end := _end(header, block_size):
            return end
    return 0


def _has_shape(header: bytes, channels: int, bits: int) -> bool:
    """Whether a frame header has the channels and bits of STREAMINFO: its checksum, of 8 bits, alone would let bytes of
    samples pass for a header now and then."""
    if len(header) < 4:
        return False
    assignment, size = header[3] >> 4, _SAMPLE_SIZES[header[3] >> 1 & 7]
    return channels == (assignment + 1 if assignment < 8 else 2) and size in (0, bits)


def _end(header: bytes, block_size: int) -> int:
    """The sample behind a frame, by its header; 0 if these bytes are no header or do not match its checksum."""
    if len(header) < 6 or header[3] & 1 or header[3] >> 4 > 10 or header[2] & 15 == 15:
        return 0
    number, place = _number(header)
    code = header[2] >> 4
    if number < 0 or code == 0:
        return 0
    if code in (6, 7):
        width = code - 5
        samples = int.from_bytes(header[place : place + width], "big") + 1
        place += width
    else:
        samples = 192 if code == 1 else 576 << (code - 2) if code < 6 else 256 << (code - 8)
    place += {12: 1, 13: 2, 14: 2}.get(header[2] & 15, 0)  # the rate
    if place >= len(header) or _checksum(header[:place]) != header[place]:
        return 0
    return (number if header[1] & 1 else number * block_size) + samples


def _number(header: bytes) -> tuple[int, int]:
    """The number of the frame (or, with blocks of any size, of its first sample), coded as in UTF-8 with up to 36 bits,
    and the place behind it; -1 if it is none."""
    first = header[4]
    if first < 0x80:
        return first, 5
    count = 8 - (~first & 0xFF).bit_length()  # of bytes: ones before the first zero
    rest = header[5 : 4 + count]
    if not 2 <= count <= 7 or len(rest) < count - 1 or any(byte >> 6 != 2 for byte in rest):
        return -1, 4
    number = first & (0x7F >> count)
    for byte in rest:
        number = number << 6 | byte & 0x3F
    return number, 4 + count


def _checksum(header: bytes) -> int:
    value = 0
    for byte in header:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ _POLYNOMIAL if value & 0x80 else value << 1) & 0xFF
    return value
