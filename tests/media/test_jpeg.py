"""A JPEG is decoded as Pillow decodes it, or refused for what of it is lost."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from tests.support.odd_pictures import END, encode, scene
from ves.media import jpeg
from ves.media.images import BadImage, decode

KINDS = {
    "sequential": {},
    "full chroma": {"quality": 95, "subsampling": 0},
    "optimised": {"optimize": True, "quality": 20},
    "progressive": {"progressive": True},
    "restarts by row": {"restart_marker_rows": 1},
    "restarts by block": {"restart_marker_blocks": 2},
    "progressive, restarts": {"progressive": True, "restart_marker_rows": 1},
}


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_whole_is_as_pillow_decodes_it(kind: str, mode: str):
    white = Image.new("RGB", (300, 200), "white")  # of nothing but zeros, where codes are optimised
    for picture in (scene(1), scene(2, 333, 217), scene(3, 16, 17), white):
        content = encode(picture.convert(mode), "JPEG", **KINDS[kind])
        with Image.open(io.BytesIO(content)) as whole:
            np.testing.assert_array_equal(np.asarray(decode(content)), np.asarray(whole.convert("RGB")))


def test_what_stands_around_the_picture_does_not_matter():
    content = encode(scene(1), "JPEG", restart_marker_rows=1)
    restarts = len(re.findall(rb"\xff[\xd0-\xd7]", content))
    further = bytes([0xFF, 0xD0 + restarts % 8])  # a restart marker behind the last interval, as some encoders write
    comment = b"\xff\xfe\x00\x08\xff\xda\xff\xd9ab"
    for same in (
        content + b"trailer\xff\xd8\xff",
        content[:-2] + b"\xff\xff" + END,
        content[:-2] + further + END,
        content[:2] + comment + content[2:],
    ):
        np.testing.assert_array_equal(np.asarray(decode(same)), np.asarray(decode(content)))


def scans(content: bytes) -> list[int]:
    """Where scans begin."""
    return [found.start() for found in re.finditer(rb"\xff\xda", content)]


def restarts(content: bytes) -> list[int]:
    return [found.start() for found in re.finditer(rb"\xff[\xd0-\xd7]", content)]


PLAIN, STEPS = (encode(scene(1), "JPEG", quality=92, progressive=steps) for steps in (False, True))
ROWS = encode(scene(1), "JPEG", quality=92, restart_marker_rows=1)
HALF = len(PLAIN) // 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (PLAIN[:HALF] + END, "ends too early"),
        (PLAIN[:-40] + END, "ends too early"),
        (PLAIN[:HALF] + PLAIN[HALF + 512 :], "ends too early"),
        (PLAIN[:HALF] + bytes(len(PLAIN) - HALF - 2) + END, "zeros stand in place"),
        (PLAIN[:-2], "no end marker|image file is truncated"),
        (PLAIN[:-2] + PLAIN[HALF : HALF + 100].replace(b"\xff", b"") + END, "left over"),
        (PLAIN[:HALF] + b"\xff\xdd\x00\x04ab" + PLAIN[HALF:], "ends too early"),
        (STEPS[: scans(STEPS)[-1]] + END, "of 3 components lack scans"),
        (STEPS[: scans(STEPS)[-1] + 1000] + END, "ends too early"),
        (ROWS[: restarts(ROWS)[2]] + ROWS[restarts(ROWS)[3] :], "9 restart intervals, its blocks need 10"),
        (ROWS[: restarts(ROWS)[7]] + ROWS[restarts(ROWS)[7] + 2 :], "9 restart intervals"),
        (ROWS[: restarts(ROWS)[2]] + b"\xff\xd7" + ROWS[restarts(ROWS)[2] + 2 :], "marker 3 is out of order"),
        (ROWS[: restarts(ROWS)[4] - 60] + ROWS[restarts(ROWS)[4] :], "piece 5 of 10 .* ends too early"),
        (PLAIN[: scans(PLAIN)[0] + 30], "OSError: image file is truncated"),
    ],
)
def test_what_is_lost_is_said(content: bytes, message: str):
    with pytest.raises(BadImage, match=message) as error:
        decode(content)
    assert error.value.reason == "truncated"


def test_pillow_itself_is_silent():
    """Once it is not, ves.media.jpeg is no longer needed."""
    with Image.open(io.BytesIO(PLAIN[:HALF] + END)) as picture:
        assert np.asarray(picture)[-16:].std() == 0


def test_short_restart_intervals_are_not_each_looked_at_but_all_are_counted():
    content = encode(scene(1, 800, 600), "JPEG", restart_marker_blocks=1)
    (scan,), _ = jpeg._structure(content)
    assert len(jpeg._probes(scan)) < len(scan.pieces) / 20 and jpeg._probes(scan)[-1] == scan.pieces[-1]
    at = restarts(content)
    with pytest.raises(BadImage, match="restart intervals"):
        decode(content[: at[40]] + content[at[48] :])  # eight: their numbers go on as if nothing were missing


def test_arithmetic_coding_is_refused_by_name():
    frame = PLAIN.index(b"\xff\xc0")
    with pytest.raises(BadImage, match="unsupported: JPEG with arithmetic coding"):
        decode(PLAIN[:frame] + b"\xff\xc9" + PLAIN[frame + 2 :])


def test_the_picture_is_loaded():
    with Image.open(io.BytesIO(PLAIN)) as picture:
        assert isinstance(picture, JpegImageFile)
        jpeg.load(picture, PLAIN)
        assert picture.tile == []
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(decode(PLAIN)))
