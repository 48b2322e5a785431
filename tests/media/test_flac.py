"""STREAMINFO that promises fewer samples than the frames have."""

import io

import numpy as np
import pytest
import soundfile

from tests.support.odd_recordings import RATE, id3, lavf, sndfile, voice
from ves.media import flac
from ves.media.decoding import decode, decode_clip

WRITERS = {
    "libFLAC": sndfile("FLAC", "PCM_16"), "24 bits": sndfile("FLAC", "PCM_24"), "FFmpeg": lavf("flac", "flac", True),
}  # fmt: skip
ALL_READ = "more samples than STREAMINFO promises: all were read"


def promising(content: bytes, samples: int) -> bytes:
    number = int.from_bytes(content[18:26], "big") >> 36 << 36 | samples
    return content[:18] + number.to_bytes(8, "big") + content[26:]


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("seconds", [0.2, 1.0, 60.3])  # one frame, several, more than a byte can number
def test_the_last_frame_ends_where_the_recording_does(writer: str, seconds: float):
    content = WRITERS[writer].write(voice(1, seconds), RATE)
    assert flac.last_sample(content) == flac.promised(content) == round(seconds * RATE)
    assert not flac.leaves_out(content)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 96_000])
def test_frames_of_any_rate_and_number_of_channels(channels: int, rate: int):
    sound = np.stack([voice(seed, 1.0, rate) for seed in range(channels)], 1)
    file = io.BytesIO()
    soundfile.write(file, sound, rate, format="FLAC", subtype="PCM_16")
    assert flac.last_sample(file.getvalue()) == rate


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("less", [1, 100, 5_000, 8_000, 15_999])
def test_what_is_behind_the_promised_end_is_read(writer: str, less: int):
    content = WRITERS[writer].write(voice(1), RATE)
    clip = decode_clip(promising(content, RATE - less))
    np.testing.assert_array_equal(clip.samples, decode(content))
    assert clip.repairs == (ALL_READ,)


def test_a_tag_or_zeros_behind_it_change_nothing():
    content = promising(WRITERS["libFLAC"].write(voice(1), RATE), 8_000)
    for behind in (id3(300), bytes(999), b"TAG" + bytes(125)):
        assert flac.last_sample(content + behind) == RATE


def test_a_damaged_header_is_no_frame():
    """The checksum is that of RFC 9639: with one bit exchanged, the frame before it is the last."""
    content = bytearray(WRITERS["libFLAC"].write(voice(1), RATE))
    block = int.from_bytes(content[8:10], "big")
    last = content.rindex(b"\xff\xf8")
    content[last + 3] ^= 0x10
    assert flac.last_sample(bytes(content)) == RATE // block * block
    assert flac.last_sample(b"fLaC" + bytes(100)) == 0


@pytest.mark.parametrize("byte", [0x18, 0x0C])  # two channels; 24 bits
def test_bytes_with_a_right_checksum_but_another_format_are_no_frame(byte: int):
    content = WRITERS["libFLAC"].write(voice(1), RATE)
    header = bytes([0xFF, 0xF8, 0xC4, byte, 0x7F])  # frame 127, of 4,096 samples
    chance = header + bytes([flac._checksum(header)]) + bytes(8)
    assert flac._end(chance, 4096) == 128 * 4096
    assert flac.last_sample(content + chance) == RATE
