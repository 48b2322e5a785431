"""Decoding against files made here byte by byte: what is read, and the reason why what is not is not."""

import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from ves.media import decoding, mixing
from ves.media.audio import RATE, BadAudio
from ves.media.decoding import decode

pytestmark = pytest.mark.numbers


def tone(seconds: float = 0.5, rate: int = RATE, hertz: float = 440.0, peak: float = 0.5) -> np.ndarray:
    return (peak * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def wav(
    samples: np.ndarray, rate: int = RATE, declared: int | None = None, before: bytes = b"", after: bytes = b""
) -> bytes:
    """A mono 16-bit WAV file; `declared` makes the header lie, `before` and `after` are other chunks."""
    data = samples.astype("<i2").tobytes()
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    body = (
        b"WAVE"
        + form
        + before
        + b"data"
        + struct.pack("<I", len(data) if declared is None else declared)
        + data
        + after
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def encode(samples: np.ndarray, rate: int, form: str, subtype: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    return file.getvalue()


def reason(content: bytes) -> str:
    with pytest.raises(BadAudio) as caught:
        decode(content)
    assert caught.value.detail
    return caught.value.reason


def test_plain_wav_is_its_samples():
    samples = np.random.default_rng(0).integers(-32768, 32768, 2_001, dtype=np.int16)
    for content in (wav(samples), wav(samples, before=b"LIST\x03\0\0\0abc\0", after=b"id3 \x02\0\0\0xy")):
        np.testing.assert_array_equal(decode(content), samples)
    assert decode(wav(samples)).dtype == np.int16


@pytest.mark.parametrize(
    ("form", "subtype", "tolerance"),
    [
        ("WAV", "PCM_U8", 300), ("WAV", "PCM_24", 1), ("WAV", "PCM_32", 1), ("WAV", "FLOAT", 1), ("WAV", "DOUBLE", 1),
        ("WAVEX", "PCM_16", 1), ("WAV", "ULAW", 700), ("FLAC", "PCM_16", 1), ("FLAC", "PCM_24", 1),
    ],
)  # fmt: skip
def test_other_encodings_give_the_same_sound(form: str, subtype: str, tolerance: int):
    samples = tone()
    got = decode(encode(samples, RATE, form, subtype))
    assert len(got) == len(samples)
    assert np.abs(got - samples * 32768).max() <= tolerance


@pytest.mark.parametrize(("form", "subtype"), [("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")])
def test_lossy_encodings_sound_alike(form: str, subtype: str):
    samples = tone(1.0)
    got = decode(encode(samples, RATE, form, subtype)) / 32768
    spectrum = np.abs(np.fft.rfft(got[:RATE]))
    assert abs(int(spectrum.argmax()) - 440) <= 1
    assert np.abs(got).max() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_other_rates_keep_pitch_loudness_and_length(rate: int):
    got = decode(encode(tone(0.5, rate), rate, "WAV", "PCM_16"))
    assert len(got) == pytest.approx(0.5 * RATE, abs=1)
    middle = slice(200, -200)
    np.testing.assert_allclose(got[middle] / 32768, tone(len(got) / RATE)[: len(got)][middle], atol=0.01)


def test_what_lies_above_8_khz_is_gone_after_resampling():
    assert (
        np.abs(decode(encode(tone(0.5, 48_000) + tone(0.5, 48_000, 11_000, 0.4), 48_000, "WAV", "FLOAT"))).max()
        < 17_200
    )


def test_stereo_becomes_the_mean():
    left, right = tone(hertz=300), tone(hertz=500)
    got = decode(encode(np.stack([left, right], 1), RATE, "WAV", "PCM_16"))
    np.testing.assert_allclose(got, (left + right) / 2 * 32768, atol=2)


def test_float_samples_beyond_full_scale_are_clipped():
    got = decode(encode(3 * tone(), RATE, "WAV", "FLOAT"))
    assert (got.max(), got.min()) == (32767, -32768)


def test_refusals_have_their_reason():
    samples = (tone() * 32768).astype(np.int16)
    assert reason(b"") == "empty"
    assert reason(np.random.default_rng(0).bytes(4000)) == "unreadable"
    assert reason(b"RIFF\x10\0\0\0WAVEjunk") == "unreadable"
    assert reason(wav(samples)[:30]) == "unreadable"
    assert reason(wav(samples[:0])) == "zero_length"
    assert reason(wav(samples[:1_599])) == "too_short"
    assert reason(wav(np.zeros(16_000))) == "silent"
    assert reason(wav(np.random.default_rng(0).integers(-2, 3, 16_000))) == "silent"
    assert reason(wav(np.full(16_000, 900))) == "silent"  # a constant is no sound
    assert reason(encode(np.full(8_000, np.nan), RATE, "WAV", "FLOAT")) == "unreadable"
    assert reason(encode(tone(0.5, 44_101), 44_101, "WAV", "PCM_16")) == "sample_rate"
    assert len(decode(wav(np.random.default_rng(0).integers(-9, 10, 16_000)))) == 16_000  # quiet is not silent


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_a_cut_off_wav_is_truncated(subtype: str):
    content = encode(tone(), RATE, "WAV", subtype)
    assert reason(content[: len(content) // 3]) == "truncated"
    assert reason(content[:-2]) == "truncated"


def test_a_header_that_promises_too_much_or_too_little():
    samples = (tone() * 32768).astype(np.int16)
    assert reason(wav(samples, declared=2 * len(samples) + 2)) == "truncated"
    assert reason(wav(samples, declared=4_000)) == "unreadable"


def test_a_cut_off_flac_is_refused():
    content = encode(tone(), RATE, "FLAC", "PCM_16")
    assert reason(content[: len(content) // 2]) in ("truncated", "unreadable")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=120), st.integers(0, 80), st.sampled_from(["WAV", "FLAC", "OGG", "garbage"]))
def test_damaged_files_are_decoded_or_refused_never_anything_else(noise: bytes, place: int, form: str):
    subtype = {"OGG": "VORBIS"}.get(form, "PCM_16")
    content = bytearray(noise if form == "garbage" else encode(tone(0.2), RATE, form, subtype))
    content[place : place + len(noise)] = noise
    try:
        samples = decode(bytes(content))
    except BadAudio:
        return
    assert len(samples) >= 1_600


def bomb(channels: int = 1, rate: int = RATE, blocks: int = 4) -> bytes:
    """A FLAC of constant samples: two bytes an hour, nearly."""
    return encode(np.tile(tone(0.1, rate)[:, None], (100 * blocks, channels)) * 0, rate, "FLAC", "PCM_16")


def test_a_small_file_that_unpacks_to_hours_is_stopped_on_its_way(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mixing, "MOST_SAMPLES", 300_000)
    monkeypatch.setattr(decoding, "BLOCK", 100_000)
    content, read = bomb(), []
    assert len(content) < 10_000
    monkeypatch.setattr(
        decoding, "_blocks", lambda file, inner=decoding._blocks: (read.append(b) or b for b in inner(file))
    )
    with pytest.raises(BadAudio, match="too_long: more than 300000 samples, 0 min at 16000 Hz"):
        decode(content)
    assert len(read) == 4  # of seven
    assert reason(wav(np.arange(300_001) % 99)) == "too_long"
    assert len(decode(wav(np.arange(300_000) % 99))) == 300_000


def test_more_channels_than_any_recording_has_are_refused():
    assert reason(encode(np.tile(tone(0.2)[:, None], 33), RATE, "WAV", "PCM_16")) == "channels"
    assert len(decode(encode(np.tile(tone(0.2)[:, None], 32), RATE, "WAV", "PCM_16"))) == 3_200


def test_blocks_are_joined_without_a_seam(monkeypatch: pytest.MonkeyPatch):
    content = encode(np.stack([tone(hertz=300), tone(hertz=500)], 1), 44_100, "FLAC", "PCM_16")
    whole = decode(content)
    monkeypatch.setattr(decoding, "BLOCK", 777)
    np.testing.assert_array_equal(decode(content), whole)


@pytest.mark.parametrize("rate", [1_000, 8_000, 11_025, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("block", [300, 1_000, 4_001])
def test_a_long_recording_is_resampled_in_blocks_that_join_without_a_seam(monkeypatch, rate: int, block: int):
    noise = np.random.default_rng(0).uniform(-0.9, 0.9, 12_001).astype(np.float32)
    content = encode(noise, rate, "WAV", "PCM_16")
    whole = decode(content)
    monkeypatch.setattr(decoding, "RESAMPLING_BLOCK", block)
    np.testing.assert_allclose(decode(content), whole, rtol=0, atol=1)  # one step of 16 bits: sums in another order
