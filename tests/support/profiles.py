"""ICC profiles, version 2, as bytes: of primaries and an exponent, of grey, of inks."""

import struct

import numpy as np

D50 = (0.9642, 1.0, 0.8249)
SRGB = ((0.4360747, 0.2225045, 0.0139322), (0.3850649, 0.7168786, 0.0971045), (0.1430804, 0.0606169, 0.7141733))
DISPLAY_P3 = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
PROPHOTO = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491))


def _profile(space: bytes, connection: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr") -> bytes:
    table, data, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(data), len(content))
        data += content.ljust(-(-len(content) // 4) * 4, b"\0")
    head = struct.pack(">I4sI4s4s4s", start + len(data), bytes(4), 0x02400000, kind, space, connection)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _xyz(D50)[8:]
    return head.ljust(128, b"\0") + table + data


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def _exponent(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def of_primaries(primaries: tuple[tuple[float, ...], ...], gamma: float) -> bytes:
    """Of red, green and blue, each XYZ under D50."""
    tags = {b"wtpt": _xyz(D50)}
    for name, primary in zip((b"r", b"g", b"b"), primaries, strict=True):
        tags |= {name + b"XYZ": _xyz(primary), name + b"TRC": _exponent(gamma)}
    return _profile(b"RGB ", b"XYZ ", tags)


def of_grey(gamma: float) -> bytes:
    return _profile(b"GRAY", b"XYZ ", {b"wtpt": _xyz(D50), b"kTRC": _exponent(gamma)})


def of_inks() -> bytes:
    """Cyan, magenta, yellow and black, of which each alone is a grey: so it is known by whom it was read."""
    inks = np.stack(np.meshgrid(*[[0, 1]] * 4, indexing="ij"), -1).reshape(-1, 4)
    lightness = 255 * np.prod(1 - 0.5 * inks, 1)
    grid = np.stack([lightness, np.full(16, 128), np.full(16, 128)], 1).round().astype(np.uint8)
    identity = bytes(range(256))
    content = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + struct.pack(">9i", *(65536 * np.eye(3, dtype=int)).ravel())
    content += identity * 4 + grid.tobytes() + identity * 3
    return _profile(b"CMYK", b"Lab ", {b"wtpt": _xyz(D50), b"A2B0": content}, b"prtr")


def to_srgb(pixels: np.ndarray, primaries: tuple[tuple[float, ...], ...], gamma: float) -> np.ndarray:
    """What a picture in such a profile is in sRGB, by the formulas of IEC 61966-2-1; uint8 [..., 3]."""
    light = (pixels / 255.0) ** gamma @ np.array(primaries) @ np.linalg.inv(np.array(SRGB))
    light = light.clip(0, 1)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * encoded).round().astype(np.uint8)
