"""Pictures of many kinds, and what becomes of files on their way: seeded, by Pillow's own writers.

A fault is listed with the formats that can show it. None shows a few bytes that were exchanged, but PNG, which has
checksums; formats without any redundancy (BMP, uncompressed TIFF) show only what is missing.
"""

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

SECTOR = 512  # bytes of a disk that are lost together
END = b"\xff\xd9"
WRITERS: tuple[tuple[str, str, dict[str, Any]], ...] = (  # format, mode, options of Pillow's writer
    ("JPEG", "RGB", {}), ("JPEG", "RGB", {"quality": 95, "subsampling": 0}), ("JPEG", "L", {}), ("JPEG", "CMYK", {}),
    ("JPEG", "RGB", {"optimize": True, "subsampling": 1}), ("JPEG", "RGB", {"progressive": True}),
    ("JPEG", "RGB", {"restart_marker_rows": 1}), ("JPEG", "RGB", {"restart_marker_blocks": 3}),
    ("JPEG", "L", {"progressive": True, "restart_marker_rows": 2}),
    ("PNG", "RGB", {}), ("PNG", "RGBA", {}), ("PNG", "L", {}), ("PNG", "LA", {}), ("PNG", "P", {}), ("PNG", "1", {}),
    ("WEBP", "RGB", {}), ("WEBP", "RGBA", {}), ("WEBP", "RGB", {"lossless": True}),
    ("GIF", "P", {}), ("GIF", "L", {"interlace": 0}), ("BMP", "RGB", {}), ("BMP", "L", {}), ("BMP", "1", {}),
    ("TIFF", "RGB", {}), ("TIFF", "LAB", {}), ("TIFF", "RGB", {"compression": "tiff_lzw"}), ("TIFF", "CMYK", {}),
    ("PPM", "RGB", {}), ("TGA", "RGBA", {}), ("AVIF", "RGB", {}), ("JPEG2000", "RGB", {}),
)  # fmt: skip
FAULTS = {  # formats that show a fault: for these it is listed; ... stands for all
    "cut": ...,
    "sector missing": ...,
    "cut and closed": ("JPEG",),
    "zeros to the end": ("JPEG", "PNG", "GIF"),
    "a sector of zeros": ("JPEG", "PNG", "GIF"),
    "a restart interval lost": ("JPEG",),
    "a bit": ("PNG",),
}


def scene(seed: int, width: int = 200, height: int = 150) -> Image.Image:
    """Soft patches of colour under a little noise, another for every seed."""
    draws = np.random.default_rng(seed)
    patches = Image.fromarray(draws.integers(0, 256, (4, 5, 3)).astype(np.uint8))
    soft = np.asarray(patches.resize((width, height), Image.Resampling.BICUBIC), float)
    return Image.fromarray((soft + draws.normal(0, 3, soft.shape)).clip(0, 255).astype(np.uint8))


def encode(picture: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def picture_file(writer: tuple[str, str, dict[str, Any]], seed: int) -> bytes:
    form, mode, options = writer
    picture = scene(seed)
    if mode == "LAB":
        picture = Image.merge("LAB", picture.split())
    elif mode in ("RGBA", "LA"):
        picture.putalpha(scene(seed + 1).convert("L"))
    return encode(picture.convert(mode), form, **options)


def with_faults(content: bytes, form: str, seed: int) -> Iterator[tuple[str, bytes]]:
    """Each fault that the format shows: its name in FAULTS, and the file."""
    draws = np.random.default_rng(seed)
    for fault, forms in FAULTS.items():
        if forms is ... or form in forms:
            damaged = _damage(content, fault, draws)
            if damaged is not None:
                yield fault, damaged


def _damage(content: bytes, fault: str, draws: np.random.Generator) -> bytes | None:
    first, last = pixels(content)
    place = int(draws.integers(first, max(first + 1, last - SECTOR - 20)))
    match fault:
        case "cut":
            return content[:place]
        case "sector missing":
            return content[:place] + content[place + SECTOR :]
        case "cut and closed":
            return content[:place] + END
        case "zeros to the end":
            return content[:place] + bytes(last - place) + content[last:]
        case "a sector of zeros":
            return content[:place] + bytes(SECTOR) + content[place + SECTOR :]
        case "a bit":
            return content[:place] + bytes([content[place] ^ 1 << int(draws.integers(8))]) + content[place + 1 :]
    restarts = [at for at in range(first, last) if content[at] == 0xFF and 0xD0 <= content[at + 1] <= 0xD7]
    if len(restarts) < 3:
        return None
    number = int(draws.integers(len(restarts) - 1))
    return content[: restarts[number]] + content[restarts[number + 1] :]


def pixels(content: bytes) -> tuple[int, int]:
    """Where the data of pixels begin and end, about: what is damaged lies between."""
    if content.startswith(b"\xff\xd8"):
        scan = content.rindex(b"\xff\xda")  # of a progressive picture the last, which is the largest
        return scan + 20, len(content) - 2
    if content.startswith(b"\x89PNG"):
        first = content.index(b"IDAT") + 4
        return first, first + struct.unpack_from(">I", content, first - 8)[0]
    return len(content) // 4, len(content)
