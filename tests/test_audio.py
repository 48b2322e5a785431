"""Decoding against files made here byte by byte, windows, and frame arithmetic against torch's own layers."""

import io
import struct
from itertools import pairwise

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ves.audio import RATE, BadAudio, FrameGrid, decode, window

HUBERT = FrameGrid((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2), 2)


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


def encoded(samples: np.ndarray, rate: int, form: str, subtype: str) -> bytes:
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
    got = decode(encoded(samples, RATE, form, subtype))
    assert len(got) == len(samples)
    assert np.abs(got - samples * 32768).max() <= tolerance


@pytest.mark.parametrize(("form", "subtype"), [("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")])
def test_lossy_encodings_sound_alike(form: str, subtype: str):
    samples = tone(1.0)
    got = decode(encoded(samples, RATE, form, subtype)) / 32768
    spectrum = np.abs(np.fft.rfft(got[:RATE]))
    assert abs(int(spectrum.argmax()) - 440) <= 1
    assert np.abs(got).max() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_other_rates_keep_pitch_loudness_and_length(rate: int):
    got = decode(encoded(tone(0.5, rate), rate, "WAV", "PCM_16"))
    assert len(got) == pytest.approx(0.5 * RATE, abs=1)
    middle = slice(200, -200)
    np.testing.assert_allclose(got[middle] / 32768, tone(len(got) / RATE)[: len(got)][middle], atol=0.01)


def test_what_lies_above_8_khz_is_gone_after_resampling():
    assert (
        np.abs(decode(encoded(tone(0.5, 48_000) + tone(0.5, 48_000, 11_000, 0.4), 48_000, "WAV", "FLOAT"))).max()
        < 17_200
    )


def test_stereo_becomes_the_mean():
    left, right = tone(hertz=300), tone(hertz=500)
    got = decode(encoded(np.stack([left, right], 1), RATE, "WAV", "PCM_16"))
    np.testing.assert_allclose(got, (left + right) / 2 * 32768, atol=2)


def test_float_samples_beyond_full_scale_are_clipped():
    got = decode(encoded(3 * tone(), RATE, "WAV", "FLOAT"))
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
    assert reason(encoded(np.full(8_000, np.nan), RATE, "WAV", "FLOAT")) == "unreadable"
    assert reason(encoded(tone(0.5, 44_101), 44_101, "WAV", "PCM_16")) == "sample_rate"
    assert len(decode(wav(np.random.default_rng(0).integers(-9, 10, 16_000)))) == 16_000  # quiet is not silent


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_a_cut_off_wav_is_truncated(subtype: str):
    content = encoded(tone(), RATE, "WAV", subtype)
    assert reason(content[: len(content) // 3]) == "truncated"
    assert reason(content[:-2]) == "truncated"


def test_a_header_that_promises_too_much_or_too_little():
    samples = (tone() * 32768).astype(np.int16)
    assert reason(wav(samples, declared=2 * len(samples) + 2)) == "truncated"
    np.testing.assert_array_equal(decode(wav(samples, declared=4_000)), samples[:2_000])


def test_a_cut_off_flac_is_refused():
    content = encoded(tone(), RATE, "FLAC", "PCM_16")
    assert reason(content[: len(content) // 2]) in ("truncated", "unreadable")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=120), st.integers(0, 80), st.sampled_from(["WAV", "FLAC", "OGG", "garbage"]))
def test_damaged_files_are_decoded_or_refused_never_anything_else(noise: bytes, place: int, form: str):
    subtype = {"OGG": "VORBIS"}.get(form, "PCM_16")
    content = bytearray(noise if form == "garbage" else encoded(tone(0.2), RATE, form, subtype))
    content[place : place + len(noise)] = noise
    try:
        samples = decode(bytes(content))
    except BadAudio:
        return
    assert len(samples) >= 1_600


def test_window_cuts_pads_and_normalises():
    samples = np.array([0, 100, -200, 50], np.int16)
    padded, valid = window(samples, 6 / RATE)
    assert (padded.tolist(), valid) == ([0, 0.5, -1, 0.25, 0, 0], 4)
    cut, valid = window(samples, 2 / RATE)  # the peak of what is kept, not of the clip
    assert (cut.tolist(), valid) == ([0, 1], 2)
    assert cut.dtype == np.float32
    silent, valid = window(np.zeros(3, np.int16), 5 / RATE)
    assert (silent.tolist(), valid) == ([0] * 5, 3)
    assert window(np.full(2, -32768, np.int16), 2 / RATE)[0].tolist() == [-1, -1]


def test_five_seconds_are_124_tokens_of_40_ms():
    assert HUBERT.tokens(80_000) == 124
    assert HUBERT.hop_s == 0.04
    assert FrameGrid(HUBERT.kernels, HUBERT.strides, 1).tokens(80_000) == 249
    assert FrameGrid((40, 16, 4), (20, 8, 4), 1).tokens(80_000) == 124
    assert (HUBERT.tokens(719), HUBERT.tokens(720), HUBERT.tokens(0)) == (0, 1, 0)


layers = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 6)), min_size=1, max_size=4)


@settings(max_examples=80, deadline=None)
@given(layers, st.integers(1, 3), st.integers(1, 3_000), st.data())
def test_tokens_and_mask_are_those_of_torch(shape: list[tuple[int, int]], pool: int, samples: int, data: st.DataObject):
    kernels, strides = zip(*shape, strict=True)
    grid = FrameGrid(kernels, strides, pool)

    def frames(n: int) -> int:
        for kernel, stride in shape:
            n = nn.Conv1d(1, 1, kernel, stride)(torch.zeros(1, 1, n)).shape[-1] if n >= kernel else 0
        return n

    total = frames(samples)
    tokens = total // pool
    assert grid.tokens(samples) == tokens
    if tokens == 0:
        return
    valid = data.draw(st.integers(0, samples))
    frame_mask = (torch.arange(total) < frames(valid)).float()
    pooled = nn.functional.avg_pool1d(frame_mask[None], pool)[0] >= 0.5 - 1e-6
    pooled[0] = True
    assert grid.mask(torch.tensor([valid, samples]), tokens).tolist() == [pooled.tolist(), [True] * tokens]


def test_spans_tile_time_about_the_field_that_a_token_sees():
    ends = [HUBERT.span(i) for i in range(HUBERT.tokens(80_000))]
    assert all(abs(end - start) < 1e-9 for (_, end), (start, _) in pairwise(ends))
    conv = [nn.Conv1d(1, 1, k, s, bias=False) for k, s in zip(HUBERT.kernels, HUBERT.strides, strict=True)]
    for layer in conv:
        nn.init.ones_(layer.weight)
    x = torch.zeros(1, 1, 4_000, requires_grad=True)
    y = nn.functional.avg_pool1d(nn.Sequential(*conv)(x), 2)
    y[0, 0, 3].backward()
    assert x.grad is not None
    seen = x.grad[0, 0].nonzero()[:, 0]
    assert (int(seen[-1] - seen[0]) + 1, HUBERT.field) == (720, 720)
    assert sum(HUBERT.span(3)) / 2 == pytest.approx((int(seen[0]) + int(seen[-1]) + 1) / 2 / RATE)


def test_within_takes_tokens_by_their_centre():
    grid = FrameGrid((1_600,), (1_600,), 1)  # tokens of 0.1 s, centres at 0.05, 0.15, ...
    assert grid.within(0.1, 0.35, 5).tolist() == [False, True, True, False, False]
    assert grid.within(0.26, 0.3, 5).tolist() == [False, False, True, False, False]  # none inside: the nearest
    assert grid.within(0.05, 0.15, 5).tolist() == [True, False, False, False, False]
    assert grid.within(0.0, 1.0, 0).tolist() == []


def test_mask_does_not_leave_a_clip_without_tokens():
    mask = HUBERT.mask(torch.tensor([0, 100, 400, 1_040, 80_000]), 124)
    assert mask.sum(1).tolist() == [1, 1, 1, 2, 124]  # 1,040 samples are 3 frames: the second token's first is valid


def test_non_silent_tokens_are_loud_relative_to_the_peak():
    grid = FrameGrid((100,), (100,), 1)
    wave = torch.zeros(3, 400)
    wave[0] = torch.tensor([1.0, 0.1, 0.011, 0.009]).repeat_interleave(100)  # -40 dB is 0.01
    wave[1] = wave[0] / 50
    assert grid.non_silent(wave, -40.0).tolist() == [[True, True, True, False]] * 2 + [[True, False, False, False]]
    assert grid.non_silent(wave, -10.0)[0].tolist() == [True, False, False, False]
    mask = torch.tensor([[False, False, False, True]] * 3)
    assert grid.non_silent(wave, -40.0, mask).tolist() == mask.tolist()


def test_impossible_grids_are_refused():
    with pytest.raises(ValueError, match="one of each per layer"):
        FrameGrid((3, 3), (2,), 1)
    with pytest.raises(ValueError, match="above 0"):
        FrameGrid((3,), (2,), 0)
