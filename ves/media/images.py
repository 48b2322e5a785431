"""Pictures: their decoding, their perceptual hash, the pixels that the backbone gets. Geometry: ves.media.geometry."""

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from ves.base import parquet
from ves.media import checksums, exif, jpeg
from ves.media.colour import to_srgb
from ves.media.geometry import Geometry as Geometry
from ves.media.normalisation import Normalisation

Picture = Image.Image  # PIL calls it an image; this module returns only upright RGB

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")  # no EPS, TIFF and the like: large, old parsers
OTHER_PROGRAMS = ("EPS",)  # formats for which Pillow starts another program
MAX_PIXELS = 89_000_000  # PIL's own bound lies just above; a small file can unpack to gigabytes
MIN_SIDE = 16
OF_16_BITS = ("PPM",)  # formats that Pillow brings to 0 to 65,535 in its mode I, by the maximum in their header
ONCE = ("exif", exif.RAW_PROFILE, "icc_profile")  # what is applied to the pixels, and must not be applied again
STRIP = 256  # rows that are made opaque at a time: the four copies of a whole picture could take 1.4 GB
DAMAGE = (
    OSError, SyntaxError, ValueError, TypeError, AttributeError, RuntimeError, EOFError, LookupError, ArithmeticError,
    struct.error, zlib.error,
)  # fmt: skip
BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)


class BadImage(ValueError):
    """A picture that is refused: `reason` is one word for refused.parquet, `detail` says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def _to_rgb(picture: Picture) -> Picture:
    """RGB; what is transparent becomes white, as in a browser, and not the colour that lies hidden there."""
    if not picture.has_transparency_data:
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    flat = Image.new("RGB", picture.size)
    for top in range(0, picture.height, STRIP):
        layer = picture.crop((0, top, picture.width, min(top + STRIP, picture.height))).convert("RGBA")
        opaque = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        flat.paste(opaque.convert("RGB"), (0, top))
    return flat


def _open(encoded: bytes, formats: list[str] | tuple[str, ...]) -> Picture:
    """The picture as Pillow opens it, which reads its header only. Raises BadImage: empty, unreadable, too_large."""
    if not encoded:
        raise BadImage("empty", "no bytes")
    try:
        return Image.open(io.BytesIO(encoded), formats=formats)
    except BOMB as error:
        raise BadImage("too_large", str(error)) from error
    except DAMAGE as error:
        # without Pillow's text: it names the object in memory, and refused.parquet must be the same in every run
        raise BadImage("unreadable", f"{type(error).__name__}: not a picture of a known format") from error


def _load(picture: Picture, encoded: bytes) -> None:
    """Read the pixels of a picture from `_open`. Raises BadImage: truncated, unsupported, too_large."""
    try:
        if isinstance(picture, JpegImageFile):
            jpeg.load(picture, encoded)
        else:
            checksums.check(picture.format or "", encoded)
            picture.load()
    except BOMB as error:
        raise BadImage("too_large", str(error)) from error
    except NotImplementedError as error:
        raise BadImage("unsupported", str(error)) from error
    except DAMAGE as error:
        raise BadImage("truncated", f"{type(error).__name__}: {error}") from error


def decode(encoded: bytes) -> Picture:
    """The picture as RGB, in sRGB, turned upright by its EXIF orientation; of 16 bits a channel, the upper 8.

    Raises BadImage: empty, unreadable, truncated (the beginning is intact), too_large (over MAX_PIXELS), too_small (a
    side under MIN_SIDE), unsupported (its kind of pixels has no colours).
    """
    picture = _open(encoded, FORMATS)
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise BadImage("too_large", f"{width} x {height} pixels, at most {MAX_PIXELS} are read")
    if min(width, height) < MIN_SIDE:
        raise BadImage("too_small", f"{width} x {height} pixels, each side needs {MIN_SIDE}")
    return _finish(picture, encoded)


def _finish(picture: Picture, encoded: bytes) -> Picture:
    _load(picture, encoded)
    try:
        flat = _to_rgb(with_alpha(picture))
    except BadImage:
        raise
    except DAMAGE as error:
        raise BadImage("unsupported", f"pixel mode {picture.mode}") from error
    flat.info = {key: value for key, value in flat.info.items() if key not in ONCE}
    return flat


def upright(picture: Picture) -> Picture:
    """A Pillow picture as RGB, turned upright by its EXIF orientation, in sRGB, with 8 bits a channel. Raises
    BadImage `unsupported` for pixels whose white is unknown."""
    copy = picture.copy()
    copy.format = picture.format  # Pillow does not copy it
    flat = _to_rgb(with_alpha(copy))
    flat.info = {key: value for key, value in flat.info.items() if key not in ONCE}
    return flat


def with_alpha(picture: Picture) -> Picture:
    """As `upright`, but transparent parts stay transparent. Raises BadImage `unsupported` for pixels whose white is
    unknown."""
    raw = exif.upright(picture)
    if raw.mode.startswith("I;16") or (raw.mode == "I" and picture.format in OF_16_BITS):
        raw = _grey(raw, np.asarray(raw) >> 8)
    elif raw.mode in ("I", "F"):
        raise BadImage(
            "unsupported",
            f"numbers of 32 bits (pixel mode {raw.mode}) do not say which of them is white; convert it to 8 or 16 bits",
        )
    return to_srgb(raw)


def _grey(picture: Picture, values: np.ndarray) -> Picture:
    """Grey of 8 bits, with the picture's ICC profile."""
    grey = Image.fromarray(values.astype(np.uint8))
    grey.info = {key: value for key, value in picture.info.items() if key == "icc_profile"}
    return grey


def decode_any(encoded: bytes) -> Picture:
    """As `decode`, for a picture that its user chose: of any format that Pillow reads, and of any size.

    Of several frames, it is the first.
    Raises BadImage: empty, unreadable, truncated, too_large, unsupported.
    """
    Image.init()  # or Pillow knows the five most common formats only
    return _finish(_open(encoded, [name for name in Image.ID if name not in OTHER_PROGRAMS]), encoded)


def read_encoded(pictures: Path, shard: str, rows: Sequence[int]) -> list[tuple[str, bytes]]:
    """image_id and encoded bytes of these rows of <pictures>/<shard>.parquet, in the order of `rows`.

    It reads everything from the least of the rows to the greatest, so ask for neighbours. Raises IndexError that names
    file and row.
    """
    path = Path(pictures) / f"{shard}.parquet"
    first = min(rows)
    with parquet.naming(path):
        frame = pl.scan_parquet(path).slice(first, max(rows) - first + 1).select("image_id", "bytes").collect()
    if max(rows) >= first + len(frame):
        raise IndexError(f"{path}: no row {max(rows)}; it belongs to other images than images.parquet; ingest again")
    return [frame.row(row - first) for row in rows]


def phash(picture: Picture) -> int:
    """The 64-bit perceptual hash of Zauner (2010), as imagehash computes it: near-duplicates differ in few bits.

    A bit says whether one of the 8 x 8 lowest frequencies of the DCT of the picture, in grey at 32 x 32, is above their
    median.
    """
    grey = np.asarray(picture.convert("L").resize((32, 32), Image.Resampling.LANCZOS), np.float64)
    basis = np.cos(np.pi * np.outer(np.arange(8), 2 * np.arange(32) + 1) / 64)
    low = basis @ grey @ basis.T
    return int.from_bytes(np.packbits(low > np.median(low)).tobytes(), "big")


def pixels(square: Picture, normalisation: Normalisation) -> np.ndarray:
    """float32 [3, size, size]: the input of the backbone."""
    scaled = np.asarray(square, np.float32) * np.float32(normalisation.rescale)
    mean, std = (np.array(channels, np.float32) for channels in (normalisation.mean, normalisation.std))
    return np.ascontiguousarray(((scaled - mean) / std).transpose(2, 0, 1))
