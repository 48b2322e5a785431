"""A broad net: whatever Pillow writes and whatever happens to it, we see the same picture, or none."""

import time
import warnings

import av
import numpy as np
import pytest

from tests.support.odd_pictures import WRITERS, picture_file, with_faults
from ves.media.images import BadImage, decode_any

STEP = 1.0  # of 255: a progressive scan may fall in step again behind its damage, and no decoder knows of it
IDS = ["-".join(map(str, (form, mode, *options))) for form, mode, options in WRITERS]
OF_FFMPEG = {"JPEG": "mjpeg", "PNG": "png", "WEBP": "webp", "BMP": "bmp", "TIFF": "tiff"}


def our_pixels(content: bytes) -> np.ndarray | None:
    """What we see, None where we refuse; whatever else is raised fails the test."""
    try:
        return np.asarray(decode_any(content)).astype(int)
    except BadImage:
        return None


def by_ffmpeg(content: bytes, codec: str) -> np.ndarray:
    context = av.CodecContext.create(codec, "r")
    assert isinstance(context, av.VideoCodecContext)
    frame = next(iter([*context.decode(av.Packet(content)), *context.decode(None)]))
    return frame.to_ndarray(format="rgb24").astype(int)


@pytest.mark.parametrize("writer", [one for one in WRITERS if one[0] in OF_FFMPEG and one[1] in ("RGB", "L")], ids=str)
def test_what_is_sound_is_what_ffmpeg_sees(writer):
    content = picture_file(writer, 7)
    found = our_pixels(content)
    assert found is not None
    expected = by_ffmpeg(content, OF_FFMPEG[writer[0]])
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 3  # of 255: chroma is brought to full size otherwise


def check_faults(writer, seeds: range) -> None:
    for seed in seeds:
        content = picture_file(writer, seed)
        sound = our_pixels(content)
        assert sound is not None
        for fault, damaged in with_faults(content, writer[0], seed):
            found = our_pixels(damaged)
            same = found is None or (found.shape == sound.shape and np.abs(found - sound).mean() < STEP)
            assert same, f"{fault} of {writer}, seed {seed}: another picture"


@pytest.mark.parametrize("writer", WRITERS, ids=IDS)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_a_damaged_picture_is_the_same_or_refused(writer):
    check_faults(writer, range(3))


@pytest.mark.slow
@pytest.mark.parametrize("writer", WRITERS, ids=IDS)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_many_damaged_pictures_are_the_same_or_refused(writer):
    check_faults(writer, range(100, 200))


def mutate(content: bytes, draws: np.random.Generator) -> bytes:
    """Some bytes exchanged, in the head of every second file."""
    found = bytearray(content)
    end = len(found) if draws.integers(2) else min(300, len(found))
    for place in draws.integers(end, size=draws.integers(1, 9)):
        found[place] = draws.integers(256)
    return bytes(found)


def check_mutated(each: int) -> None:
    for number, writer in enumerate(WRITERS):
        content, draws = picture_file(writer, number), np.random.default_rng(number)
        for _ in range(each):
            begun = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                our_pixels(mutate(content, draws))
            assert time.process_time() - begun < 10


def test_mutated_pictures_are_decoded_or_refused():
    check_mutated(8)


@pytest.mark.slow
def test_thousands_of_mutated_pictures_are_decoded_or_refused():
    check_mutated(170)  # 5,270 files
