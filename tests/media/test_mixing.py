"""From several channels to one: what cancels in the mean, and samples in another unit."""

import io

import numpy as np
import pytest
import soundfile

from tests.support.odd_recordings import RATE, lavf, voice
from ves.media import mixing
from ves.media.audio import BadAudio
from ves.media.decoding import decode, decoded
from ves.media.mixing import mix

pytestmark = pytest.mark.numbers


def stored(samples: np.ndarray, subtype: str = "FLOAT", kind: str = "WAV", rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    size = min(len(one), len(other))
    spectra = (np.fft.rfft(one[:size].astype(float), 2 * size), np.fft.rfft(other[:size].astype(float), 2 * size))
    cross = np.fft.irfft(spectra[0] * spectra[1].conj())
    return float(np.abs(cross).max() / np.sqrt((np.square(one[:size].astype(float)).sum()) * np.square(other).sum()))


@pytest.mark.parametrize("right", [-1.0, -0.95, -0.7])
@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_channels_in_opposite_phase_give_the_louder_one(right: float, rate: int):
    left, hum = voice(1, rate=rate), 0.005 * np.random.default_rng(0).standard_normal(rate).astype(np.float32)
    found = decoded(stored(np.stack([left + hum, right * left + hum], 1), rate=rate))
    assert found.mended == ("channels that cancel: the loudest was taken",)
    assert correlation(found.samples, decode(stored(left, rate=rate))) > 0.99


@pytest.mark.parametrize(
    "format", [lavf("ogg", "libopus"), lavf("ipod", "aac"), lavf("flac", "flac")], ids=lambda f: f.name
)
def test_coded_channels_in_opposite_phase_too(format):
    left = voice(2, rate=format.rate)
    found = decoded(format.write(np.stack([left, -left], 1), format.rate))
    assert found.mended == ("channels that cancel: the loudest was taken",)
    assert correlation(found.samples, decode(stored(left, rate=format.rate))) > 0.95


@pytest.mark.parametrize("others", [[], [1.0], [0.0], [0.3], [0.0] * 5, [0.0] * 31])
def test_other_channels_are_their_mean(others: list[float]):
    left = voice(3)
    channels = np.stack([left, *(gain * left for gain in others)], 1)
    found = decoded(stored(channels))
    assert found.mended == ()
    np.testing.assert_allclose(found.samples, channels.mean(1) * 32768, atol=1)


def test_channels_that_have_nothing_to_do_with_each_other_are_their_mean():
    assert decoded(stored(np.stack([voice(4), voice(5), voice(6)], 1))).mended == ()


def test_a_constant_in_all_channels_does_not_hide_that_they_cancel():
    left = 0.2 * voice(7)
    assert decoded(stored(np.stack([left + 0.3, 0.3 - left], 1))).mended


def test_silent_is_what_is_silent_in_every_channel():
    quiet = np.random.default_rng(0).integers(-5, 6, RATE).astype(np.int16)
    found = decode(stored(np.stack([quiet] + [np.zeros_like(quiet)] * 3, 1), "PCM_16"))
    np.testing.assert_array_equal(found, quiet)
    with pytest.raises(BadAudio, match="silent"):
        decode(stored(np.zeros((RATE, 2)), "PCM_16"))


@pytest.mark.parametrize(
    ("kind", "subtype"), [("WAV", "FLOAT"), ("AIFF", "DOUBLE"), ("CAF", "FLOAT"), ("W64", "FLOAT")]
)
@pytest.mark.parametrize("peak", [2, 900, 32_000])
def test_whole_numbers_in_float_samples_are_steps_of_16_bits(kind: str, subtype: str, peak: int):
    steps = np.rint(voice(8) / np.abs(voice(8)).max() * peak)
    content = stored(steps, subtype, kind)
    if peak <= 3:
        with pytest.raises(BadAudio, match="silent"):
            decode(content)
        return
    found = decoded(content)
    assert found.mended == ("float samples in steps of 16 bits",)
    np.testing.assert_array_equal(found.samples, steps)


@pytest.mark.parametrize("peak", [5.0, 1_500.5, 40_000.0, 2.0**31])
def test_float_samples_of_an_unknown_unit_are_refused(peak: float):
    with pytest.raises(BadAudio, match="scale: samples reach"):
        decode(stored(voice(9) / np.abs(voice(9)).max() * peak))


def test_blocks_of_any_size_give_the_same():
    channels = np.stack([voice(1), -0.9 * voice(1) + 0.01 * voice(2)], 1)
    whole, parts = mix([channels], RATE), mix(np.array_split(channels, 7), RATE)
    assert (whole.loudest, whole.lost, parts.loudest, parts.lost) == (0, True, 0, True)
    np.testing.assert_array_equal(whole.samples, parts.samples)


def test_the_limit_of_what_cancels():
    """Of n channels that have nothing to do with each other the sum has the energy of all; LOST of it is the limit."""
    one, other = np.random.default_rng(0).standard_normal((2, RATE)).astype(np.float32) / 10
    for share, lost in ((0.8 * mixing.LOST, True), (1.25 * mixing.LOST, False)):
        second = (share - 1) * one + np.sqrt(share * (2 - share)) * other  # of the same energy
        channels = np.stack([one, second], 1).astype(np.float32)
        assert mix([channels], RATE).lost == lost
