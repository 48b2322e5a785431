"""Samples of a WAV that use fewer bits than they take, and headers that say so of samples that do not."""

import struct

import numpy as np
import pytest

from tests.support.odd_recordings import RATE, voice
from ves.media.audio import BadAudio
from ves.media.decoding import decode

STEPS = np.rint(voice(0) * 32768).astype(np.int32)  # of 16 bits


def wav(data: np.ndarray, bits: int, block: int, flow: int, channels: int = 1) -> bytes:
    """A WAV of 16 kHz with these bytes in a block and in a second."""
    form = struct.pack("<HHIIHH", 1, channels, RATE, flow, block, bits)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", data.nbytes) + data.tobytes()
    return b"RIFF" + struct.pack("<I", len(body)) + body


def packed(values: np.ndarray) -> np.ndarray:
    """The lower three bytes of each value."""
    return np.ascontiguousarray(values.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3])


@pytest.mark.parametrize("channels", [1, 2])
def test_16_bits_with_a_wrong_block_are_all_there(channels: int):
    data = np.repeat(STEPS, channels).astype("<i2")
    content = wav(data, 16, 4 * channels, 2 * channels * RATE, channels)
    np.testing.assert_array_equal(decode(content), STEPS)


def test_8_bits_with_a_wrong_block_are_all_there():
    data = ((STEPS >> 8) + 128).astype(np.uint8)
    np.testing.assert_array_equal(decode(wav(data, 8, 2, RATE)), STEPS >> 8 << 8)


@pytest.mark.parametrize("flow", [3, 4])  # bytes of a sample by the bytes per second
@pytest.mark.parametrize("shift", [8, 16], ids=["at the bottom", "at the top"])
def test_24_bits_in_4_bytes_from_a_source_of_16(flow: int, shift: int):
    """Their lowest byte is 0 wherever they stand."""
    data = (STEPS << shift).astype("<i4")
    np.testing.assert_array_equal(decode(wav(data, 24, 4, flow * RATE)), STEPS)


def test_3_bytes_a_sample_with_a_block_of_4():
    data = packed(STEPS * 256 + 77)
    np.testing.assert_allclose(decode(wav(data, 24, 4, 3 * RATE)), STEPS, atol=1)
    with pytest.raises(BadAudio, match="counts 4 bytes for a sample of 24 bits, but the samples use all of them"):
        decode(wav(data, 24, 4, 4 * RATE))


def test_a_quiet_recording_of_20_bits_at_the_top_is_not_made_louder():
    """Only 4 bits are unused: the top is what the header says, and -24 dBFS a common peak."""
    quiet = STEPS >> 5
    data = packed(quiet << 8)
    np.testing.assert_array_equal(decode(wav(data, 20, 3, 3 * RATE)), quiet)
