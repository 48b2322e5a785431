"""From several channels to one: what cancels in the mean, and samples in another unit."""

import io

import numpy as np
import pytest
import soundfile
import torch
import torchaudio.functional
from jaxtyping import Float32

from tests.support.odd_recordings import RATE, lavf, voice
from ves.media import mixing
from ves.media.audio import BadAudio
from ves.media.decoding import decode, decode_clip
from ves.media.mixing import mix

SCALED = "float samples in 16-bit steps: scaled"

pytestmark = pytest.mark.numbers


def encode(samples: np.ndarray, subtype: str = "FLOAT", kind: str = "WAV", rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def to_peak(peak: float, rate: int = RATE) -> Float32[np.ndarray, " n"]:
    """A voice whose largest value is exactly this."""
    samples = voice(8, rate=rate)
    return (samples / np.abs(samples).max() * np.float32(peak)).astype(np.float32)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    size = min(len(one), len(other))
    spectra = (np.fft.rfft(one[:size].astype(float), 2 * size), np.fft.rfft(other[:size].astype(float), 2 * size))
    cross = np.fft.irfft(spectra[0] * spectra[1].conj())
    return float(np.abs(cross).max() / np.sqrt((np.square(one[:size].astype(float)).sum()) * np.square(other).sum()))


@pytest.mark.parametrize("right", [-1.0, -0.95, -0.7])
@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_channels_in_opposite_phase_give_the_louder_one(right: float, rate: int):
    left, hum = voice(1, rate=rate), 0.005 * np.random.default_rng(0).standard_normal(rate).astype(np.float32)
    clip = decode_clip(encode(np.stack([left + hum, right * left + hum], 1), rate=rate))
    assert clip.repairs == ("channels that cancel: the loudest was taken",)
    assert correlation(clip.samples, decode(encode(left, rate=rate))) > 0.99


@pytest.mark.parametrize(
    "format", [lavf("ogg", "libopus"), lavf("ipod", "aac"), lavf("flac", "flac")], ids=lambda f: f.name
)
def test_coded_channels_in_opposite_phase_too(format):
    left = voice(2, rate=format.rate)
    clip = decode_clip(format.write(np.stack([left, -left], 1), format.rate))
    assert clip.repairs == ("channels that cancel: the loudest was taken",)
    assert correlation(clip.samples, decode(encode(left, rate=format.rate))) > 0.95


@pytest.mark.parametrize("others", [[], [1.0], [0.0], [0.3], [0.0] * 5, [0.0] * 31])
def test_other_channels_are_their_mean(others: list[float]):
    left = voice(3)
    channels = np.stack([left, *(gain * left for gain in others)], 1)
    clip = decode_clip(encode(channels))
    assert clip.repairs == ()
    np.testing.assert_allclose(clip.samples, channels.mean(1) * 32768, atol=1)


def test_channels_that_have_nothing_to_do_with_each_other_are_their_mean():
    assert decode_clip(encode(np.stack([voice(4), voice(5), voice(6)], 1))).repairs == ()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_phases_that_are_opposite_in_a_part_of_it_cancel_there(share: float):
    """The mean of all would lose that part, though over the whole it keeps most of the energy."""
    left = voice(11, 8.0)
    flip = np.where(np.arange(len(left)) < share * len(left), -0.95, 0.95).astype(np.float32)
    for channels in (np.stack([left, flip * left], 1), np.stack([left, flip * left], 1)[::-1]):
        clip = decode_clip(encode(channels))
        assert clip.repairs == ("channels that cancel: the loudest was taken",)
        np.testing.assert_allclose(clip.samples, channels[:, 0] * 32768, atol=1)


def test_noise_that_cancels_in_pauses_is_no_loss():
    left, pause = voice(12, 4.0), np.random.default_rng(0).standard_normal(4 * RATE).astype(np.float32) / 1_000
    channels = np.concatenate([np.stack([left, left], 1), np.stack([pause, -pause], 1)])
    assert decode_clip(encode(channels)).repairs == ()


def test_a_constant_in_all_channels_does_not_hide_that_they_cancel():
    left = 0.2 * voice(7)
    assert decode_clip(encode(np.stack([left + 0.3, 0.3 - left], 1))).repairs


def test_silent_is_what_is_silent_in_every_channel():
    quiet = np.random.default_rng(0).integers(-5, 6, RATE).astype(np.int16)
    clip = decode(encode(np.stack([quiet] + [np.zeros_like(quiet)] * 3, 1), "PCM_16"))
    np.testing.assert_array_equal(clip, quiet)
    with pytest.raises(BadAudio, match="silent"):
        decode(encode(np.zeros((RATE, 2)), "PCM_16"))


@pytest.mark.parametrize(
    ("kind", "subtype"), [("WAV", "FLOAT"), ("AIFF", "DOUBLE"), ("CAF", "FLOAT"), ("W64", "FLOAT")]
)
@pytest.mark.parametrize("peak", [900, 32_000])
def test_whole_numbers_in_float_samples_are_steps_of_16_bits(kind: str, subtype: str, peak: int):
    steps = np.rint(to_peak(peak))
    clip = decode_clip(encode(steps, subtype, kind))
    assert clip.repairs == (SCALED,)
    np.testing.assert_array_equal(clip.samples, steps)


def test_a_recording_of_two_such_steps_is_silent():
    with pytest.raises(BadAudio, match="silent: all 1.00 s lie within 3 steps of 16 bits of a constant"):
        decode(encode(np.rint(to_peak(2))))


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize("peak", [1_000.5, 8_000.25, 32_767.5])
def test_steps_of_16_bits_that_were_resampled_are_scaled(subtype: str, peak: float):
    """They are no whole numbers any more: libraries resample what another one has read as integers."""
    steps = to_peak(peak)
    clip = decode_clip(encode(steps, subtype))
    assert clip.repairs == (SCALED,)
    np.testing.assert_allclose(clip.samples, steps.clip(-32_768, 32_767), atol=0.51)


def test_what_resampling_adds_to_full_scale_is_clipped():
    steps = np.rint(np.clip(4 * to_peak(32_767, rate=44_100), -32_768, 32_767)).astype(np.float32)
    resampled = torchaudio.functional.resample(torch.from_numpy(steps), 44_100, RATE).numpy()
    assert 33_000 < np.abs(resampled).max() < mixing.STEPS_PEAK[1]
    clip = decode_clip(encode(resampled))
    assert clip.repairs == (SCALED,)
    np.testing.assert_allclose(clip.samples, resampled.clip(-32_768, 32_767), atol=0.51)


def test_a_pause_around_steps_of_16_bits_does_not_hide_their_unit():
    speech = to_peak(8_000.25)
    around = np.concatenate([np.zeros(10 * RATE, np.float32), speech, np.zeros(10 * RATE, np.float32)])
    assert decode_clip(encode(around)).repairs == (SCALED,)


@pytest.mark.parametrize("count", [1, 50])
def test_a_few_wild_samples_are_no_other_unit(count: int):
    """Exchanged bytes make floats of any size; the rest, taken for steps, would be silence."""
    samples = voice(9)
    samples[100 : 100 + count] = 5_000.5
    with pytest.raises(BadAudio, match="scale: samples reach 5000.5 where full scale is 1, 0...% of them beyond 4"):
        decode(encode(samples))


@pytest.mark.parametrize("peak", [5.0, 127.5, 999.5, 50_000.5, 8_388_607.5, 2.0**31])
def test_float_samples_of_an_unknown_unit_are_refused(peak: float):
    """Percent, 8 bits, 24 bits, 32 bits, or a gain gone wrong: none can be told from the others."""
    with pytest.raises(BadAudio, match="scale: samples reach"):
        decode(encode(to_peak(peak)))


def test_whole_numbers_beyond_16_bits_are_of_another_unit():
    with pytest.raises(BadAudio, match="scale: samples reach 40000"):
        decode(encode(np.rint(to_peak(40_000))))


def test_blocks_of_any_size_give_the_same():
    channels = np.stack([voice(1), -0.9 * voice(1) + 0.01 * voice(2)], 1)
    whole, parts = mix([channels], RATE), mix(np.array_split(channels, 7), RATE)
    assert (whole.loudest, whole.cancels, parts.loudest, parts.cancels) == (0, True, 0, True)
    np.testing.assert_array_equal(whole.samples, parts.samples)


def test_the_limit_of_what_cancels():
    """The sum of n unrelated channels has the energy of all together; CANCELLATION of that is the limit."""
    one, other = np.random.default_rng(0).standard_normal((2, RATE)).astype(np.float32) / 10
    for share, cancels in ((0.8 * mixing.CANCELLATION, True), (1.25 * mixing.CANCELLATION, False)):
        second = (share - 1) * one + np.sqrt(share * (2 - share)) * other  # of the same energy
        channels = np.stack([one, second], 1).astype(np.float32)
        assert mix([channels], RATE).cancels == cancels
