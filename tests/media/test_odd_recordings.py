"""Formats x faults: what is decoded is the recording, or it is refused; it is never shorter, nor another sound."""

import io
import time

import numpy as np
import pytest
import soundfile
import torch
import torchaudio.functional
from jaxtyping import Int16

from tests.support.odd_recordings import FAULTS, FORMATS, RATE, Format, cut, hole, voice
from ves.media.audio import BadAudio
from ves.media.decoding import decode

SHORTER_S = 0.05  # one packet may be lost where a container does not count its packets
INTACT = {form.name + str(form.rate): form for form in FORMATS}


def likeness(one: Int16[np.ndarray, " n"], other: Int16[np.ndarray, " m"]) -> float:
    """The largest correlation at any shift."""
    first, second = one.astype(float), other.astype(float)
    size = 1 << (len(one) + len(other)).bit_length()
    cross = np.fft.irfft(np.fft.rfft(first, size) * np.conj(np.fft.rfft(second, size)), size)
    return float(cross.max() / np.sqrt((first @ first) * (second @ second) + 1e-9))


def source(form: Format, seed: int = 1, seconds: float = 1.3) -> np.ndarray:
    return voice(seed, seconds, form.rate)


def at_16_khz(samples: np.ndarray, rate: int) -> Int16[np.ndarray, " n"]:
    ours = torchaudio.functional.resample(torch.from_numpy(samples), rate, RATE).numpy()
    return np.rint(ours * 32768).clip(-32768, 32767).astype(np.int16)


def ours_and_expected(form: Format) -> tuple[Int16[np.ndarray, " n"], Int16[np.ndarray, " m"]]:
    samples = source(form)
    return decode(form.write(samples, form.rate)), at_16_khz(samples, form.rate)


@pytest.mark.parametrize("name", [name for name, form in INTACT.items() if form.exact])
def test_an_intact_lossless_recording_comes_back_as_it_was(name: str):
    ours, expected = ours_and_expected(INTACT[name])
    np.testing.assert_allclose(ours, expected, atol=2)


@pytest.mark.parametrize("name", [name for name, form in INTACT.items() if not form.exact])
def test_an_intact_lossy_recording_is_decoded_whole(name: str):
    ours, expected = ours_and_expected(INTACT[name])
    delay = 0.05 * RATE if "wma" in name else 2  # FFmpeg's decoder of WMA takes one block off
    assert len(ours) >= len(expected) - delay
    assert likeness(ours, expected) > 0.96


@pytest.mark.parametrize("fault", [cut, hole], ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("form", [form for form in FORMATS if not form.seamless], ids=lambda form: form.name)
def test_a_part_that_is_missing_is_noticed(form: Format, fault):
    content, rng = form.write(source(form), form.rate), np.random.default_rng(0)
    whole = len(decode(content))
    for _ in range(2):
        lost = lossy(fault(content, rng), whole)
        assert lost is None, f"{lost} s of it are lost"


def lossy(content: bytes, whole: int) -> float | None:
    """Seconds by which a recording is shorter than the whole one; None if it is not, or refused."""
    try:
        lost = (whole - len(decode(content))) / RATE
    except BadAudio:
        return None
    return lost if lost > SHORTER_S else None


@pytest.mark.parametrize("name", [name for name in INTACT if any(part in name for part in ("FLAC", "-ogg-", "-oga-"))])
def test_what_has_checksums_is_the_same_sound_or_refused(name: str):
    form, rng = INTACT[name], np.random.default_rng(0)
    content = form.write(source(form), form.rate)
    whole = decode(content)
    for number in range(20):
        try:
            found = decode(FAULTS[number % 4](content, rng))
        except BadAudio:
            continue
        np.testing.assert_array_equal(found, whole)


def test_soundfile_decodes_the_same():
    """An independent decoder, where there is one: mpg123, libvorbis and libopus of libsndfile."""
    for name in ("sndfile-MP3-MPEG_LAYER_III-FILE", "sndfile-OGG-VORBIS-FILE", "sndfile-OGG-OPUS-FILE"):
        form = INTACT[f"{name}{RATE}"]
        content = form.write(source(form), form.rate)
        theirs = np.rint(soundfile.read(io.BytesIO(content))[0] * 32768).astype(np.int16)
        ours = decode(content)
        assert abs(len(ours) - len(theirs)) <= 2, name
        assert likeness(ours, theirs) > 0.99, name


@pytest.mark.slow
def test_ten_thousand_mutated_recordings():
    """No crash and no hang; what is lost is counted by format and fault, and only where nothing can tell."""
    rng, lost, refused = np.random.default_rng(0), {}, 0
    contents = [(form, form.write(source(form), form.rate)) for form in FORMATS]
    wholes = [len(decode(content)) for _, content in contents]
    for number in range(10_000):
        (form, content), whole = contents[number % len(contents)], wholes[number % len(contents)]
        fault, begun = FAULTS[number // len(contents) % 4], time.process_time()  # a busy machine is no hang
        try:
            short = (whole - len(decode(fault(content, rng)))) / RATE
        except BadAudio:
            refused, short = refused + 1, 0.0
        assert time.process_time() - begun < 10
        if short > SHORTER_S:
            lost[form.name, fault.__name__] = lost.get((form.name, fault.__name__), 0) + 1
    print(f"{refused} of 10000 refused; shorter: {lost}")
    seamless = {form.name: form.seamless for form in FORMATS}
    unlisted = {key: n for key, n in lost.items() if key[1] in ("cut", "hole") and not seamless[key[0]]}
    assert not unlisted
