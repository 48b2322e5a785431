import hashlib
import io
import zlib

import numpy as np
import polars as pl
import pytest
from PIL import Image
from scipy.fft import dctn

from ves.media import images
from ves.media.images import BadImage, Geometry, decode, decode_any, phash, pixels, read_encoded, upright
from ves.media.normalisation import IMAGENET, MEAN, STD, Normalisation, from_attributes


def encode(picture: Image.Image, form: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def scene(width: int = 90, height: int = 60, seed: int = 0) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 9, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def test_lossless_pictures_come_back_as_they_were():
    for form in ("PNG", "BMP"):
        np.testing.assert_array_equal(np.asarray(decode(encode(scene(), form))), np.asarray(scene()))
    assert decode(encode(scene(), "JPEG")).size == (90, 60)


def test_a_photograph_is_turned_upright():
    """Orientation 6: the camera lay on its side, the first stored row is the right edge of the picture."""
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = decode(encode(scene(), "PNG", exif=exif))
    np.testing.assert_array_equal(np.asarray(picture), np.rot90(np.asarray(scene()), -1))


def test_the_transparent_is_white_and_grey_is_rgb():
    assert np.asarray(decode(encode(Image.new("RGBA", (20, 20), (200, 0, 0, 0))))).min() == 255
    assert np.asarray(decode(encode(Image.new("L", (20, 20), 7)))).tolist() == [[[7, 7, 7]] * 20] * 20
    assert decode(encode(scene().convert("CMYK"), "JPEG")).mode == "RGB"


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA", "RGB"])
def test_a_tall_picture_is_made_opaque_in_strips_as_it_is_at_once(mode: str):
    draws = np.random.default_rng(0)
    picture = Image.fromarray(draws.integers(0, 256, (601, 40, 4)).astype(np.uint8), "RGBA").convert(mode)
    options = {"transparency": 7} if mode == "P" else {"transparency": (7, 7, 7)} if mode == "RGB" else {}
    content = encode(picture, "TIFF" if mode == "PA" else "PNG", **options)
    with Image.open(io.BytesIO(content)) as whole:
        layer = whole.convert("RGBA")
    expected = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    with Image.open(io.BytesIO(content)) as whole:
        assert whole.has_transparency_data
        np.testing.assert_array_equal(np.asarray(images._to_rgb(whole)), np.asarray(expected))


def bomb() -> bytes:
    """A PNG that claims 20,000 x 20,000 pixels."""
    content = bytearray(encode(scene()))
    content[16:24] = (20_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"RIFF, not a picture", "unreadable"),
        (encode(scene(), "JPEG")[:1000], "truncated"),
        (encode(scene())[:-60], "truncated"),
        (encode(scene(15, 200)), "too_small"),
        (bomb(), "too_large"),
        (encode(Image.new("L", (9400, 9500)), "PNG"), "too_large"),  # above our bound, below that of PIL
        (encode(scene(), "TIFF"), "unreadable"),
    ],
)
def test_bad_pictures_are_refused_with_a_reason(content, reason):
    with pytest.raises(BadImage, match=reason) as error:
        decode(content)
    assert error.value.reason == reason
    assert error.value.detail


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of corrupt EXIF
def test_damaged_files_are_refused_or_decoded_but_nothing_else_happens():
    rng = np.random.default_rng(1)
    exif = Image.Exif()
    exif[0x0112] = 6
    sources = [encode(scene(), form, exif=exif) for form in ("JPEG", "PNG", "WEBP")] + [encode(scene(), "GIF")]
    outcomes = set()
    for trial in range(800):
        content = bytearray(sources[trial % 4])
        for at in rng.integers(len(content) if trial % 3 else 200, size=rng.integers(1, 8)):
            content[at] = rng.integers(256)
        try:
            outcomes.add(decode(bytes(content)).mode)
        except BadImage as error:
            outcomes.add(error.reason)
    assert {"RGB", "truncated", "unreadable"} <= outcomes


def test_the_hash_is_that_of_a_dct_by_scipy():
    picture = scene()
    grey = np.asarray(picture.convert("L").resize((32, 32), Image.Resampling.LANCZOS), float)
    low = np.asarray(dctn(grey))[:8, :8]
    bits = (low > np.median(low)).ravel()
    assert phash(picture) == sum(1 << (63 - place) for place in range(64) if bits[place])


def test_near_duplicates_hash_alike_and_others_do_not():
    original = phash(scene(400, 300))
    copy = decode(encode(scene(400, 300).resize((200, 150)), "JPEG", quality=60))
    assert (original ^ phash(copy)).bit_count() <= 3
    assert (original ^ phash(scene(400, 300, seed=1))).bit_count() > 15


def test_pixels_are_normalised_channel_first():
    square = Image.new("RGB", (4, 4), (255, 0, 51))
    values = pixels(square, IMAGENET)
    assert values.shape == (3, 4, 4) and values.dtype == np.float32 and values.flags.c_contiguous
    expected = [(level - mean) / std for level, mean, std in zip((1.0, 0.0, 0.2), MEAN, STD, strict=True)]
    np.testing.assert_allclose(values[:, 2, 3], expected, rtol=1e-5)


def test_another_backbone_has_its_own_mean_deviation_and_scale():
    square = Image.new("RGB", (2, 2), (255, 0, 51))
    own = Normalisation((0.5, 0.25, 1.0), (0.5, 1.0, 2.0), 2 / 255)
    np.testing.assert_allclose(pixels(square, own)[:, 0, 0], [3.0, -0.25, -0.3], rtol=1e-5)
    assert from_attributes(own.attributes) == own and from_attributes(
        IMAGENET.attributes
    ) == IMAGENET == from_attributes(None)
    assert own.attributes["rescale"] == 2 / 255 and "rescale" not in IMAGENET.attributes


def test_encoded_pictures_are_read_in_the_order_asked(tmp_path):
    contents = [f"picture {n}".encode() for n in range(150)]
    names = [hashlib.sha256(content).hexdigest() for content in contents]
    (tmp_path / "images").mkdir()
    shard = tmp_path / "images" / "train-00000-of-00001.parquet"
    pl.DataFrame({"image_id": names, "bytes": contents}).write_parquet(shard, row_group_size=64)
    rows = [130, 3, 149, 64, 3]
    assert read_encoded(tmp_path, "images/train-00000-of-00001", rows) == [(names[row], contents[row]) for row in rows]
    with pytest.raises(IndexError, match=r"train-00000-of-00001\.parquet: no row 150"):
        read_encoded(tmp_path, "images/train-00000-of-00001", [149, 150])


def test_geometry_is_found_here():
    assert Geometry(4, 3, 2, "crop").size == 2


def test_deep_pictures_are_brought_to_8_bits():
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    for form in ("PNG", "TIFF"):
        found = np.asarray(decode_any(encode(Image.fromarray(ramp), form)))
        np.testing.assert_array_equal(found, np.repeat((ramp >> 8)[..., None], 3, axis=2))
    np.testing.assert_array_equal(np.asarray(decode(encode(Image.fromarray(ramp))))[..., 0], ramp >> 8)


def pgm(pixels: np.ndarray, maximum: int) -> bytes:
    """A grey picture of 16 bits with this white."""
    height, width = pixels.shape
    return f"P5 {width} {height} {maximum}\n".encode() + pixels.astype(">u2").tobytes()


@pytest.mark.parametrize("maximum", [65_535, 4_095, 1_000])
def test_a_pgm_is_as_bright_as_its_maximum_says(maximum: int):
    """Of low contrast: stretched, it would be another picture."""
    grey = np.linspace(0.4, 0.5, 256).reshape(16, 16)
    content = pgm((grey * maximum).round(), maximum)
    with Image.open(io.BytesIO(content)) as opened:
        for found in (decode_any(content), upright(opened)):
            np.testing.assert_allclose(np.asarray(found)[..., 0], grey * 255, atol=1)


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_numbers_without_a_white_are_refused(kind: type):
    picture = Image.fromarray(np.linspace(3, 7_000, 256).reshape(16, 16).astype(kind))
    for see in (lambda: decode_any(encode(picture, "TIFF")), lambda: upright(picture)):
        with pytest.raises(BadImage, match="unsupported: numbers of 32 bits .* convert it to 8 or 16 bits"):
            see()


def test_own_pictures_may_be_of_any_size_and_format_but_call_no_other_program():
    assert decode_any(encode(scene(2, 1), "TIFF")).size == (2, 1)
    assert decode_any(encode(scene(), "PPM")).size == (90, 60)
    assert decode_any(encode(scene(), "GIF", save_all=True, append_images=[scene(seed=1)])).mode == "RGB"
    with pytest.raises(BadImage, match="unreadable"):
        decode_any(encode(scene(), "EPS"))
    with pytest.raises(BadImage, match="empty"):
        decode_any(b"")
    with pytest.raises(BadImage, match="truncated"):
        decode_any(encode(scene(), "PNG")[:-300])
