"""Sound that libsndfile does not know, in files encoded here: read, and refused for the same reasons as any other."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.recordings import tone_file
from ves.media import mixing
from ves.media.audio import RATE, BadAudio
from ves.media.decoding import decode


def refusal(content: bytes) -> BadAudio:
    with pytest.raises(BadAudio) as caught:
        decode(content)
    assert "0x" not in caught.value.detail
    return caught.value


@pytest.mark.parametrize(
    ("kind", "codec", "rate", "layout", "pictures"),
    [
        ("ipod", "aac", 44_100, "stereo", 0),
        ("mp4", "aac", 16_000, "mono", 0),
        ("mp4", "aac", 48_000, "5.1", 10),
        ("mp4", "alac", 44_100, "stereo", 0),
        ("webm", "libopus", 48_000, "stereo", 0),
        ("matroska", "aac", 44_100, "mono", 10),
        ("adts", "aac", 44_100, "stereo", 0),
        ("mpegts", "aac", 48_000, "stereo", 0),
        ("flv", "aac", 44_100, "stereo", 0),
    ],
)
def test_what_libsndfile_does_not_know_sounds_alike(kind: str, codec: str, rate: int, layout: str, pictures: int):
    samples = decode(tone_file(kind, codec, 1.0, rate, layout, pictures))
    assert samples.dtype == np.int16
    assert len(samples) == pytest.approx(RATE, abs=0.06 * RATE)  # packets are padded
    middle = samples[RATE // 4 : 3 * RATE // 4] / 32768
    assert int(np.abs(np.fft.rfft(middle)).argmax()) == 220
    heard = 5 / 6 if layout == "5.1" else 1  # one of the six has nothing above 120 Hz
    assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(0.5 * heard, abs=0.03)


def test_the_same_bytes_give_the_same_samples():
    content = tone_file("ipod", "aac")
    np.testing.assert_array_equal(decode(content), decode(content))


@pytest.mark.parametrize(("kind", "codec"), [("webm", "libopus"), ("matroska", "aac"), ("ipod", "aac")])
def test_a_cut_off_file_is_refused(kind: str, codec: str):
    content = tone_file(kind, codec, rate=48_000, pictures=10 if kind == "matroska" else 0)
    for share in (0.2, 0.5, 0.8):
        found = refusal(content[: int(share * len(content))])
        assert found.reason == "truncated"


def test_packets_that_the_index_promises_and_the_file_lacks_are_told():
    content = tone_file("mp4", "aac", rate=16_000, layout="mono")
    begin = content.index(b"mdat") + 4
    hole = bytearray(content)
    hole[begin : begin + len(content) // 2] = bytes(len(content) // 2)
    assert refusal(bytes(hole)).reason in ("unreadable", "truncated")


def test_other_faults_have_their_reason():
    assert refusal(tone_file("ipod", "aac", seconds=0.02)).reason == "too_short"
    unknown = tone_file("matroska", "aac", pictures=5).replace(b"A_AAC", b"A_XXX")
    assert refusal(unknown).detail == "FFmpeg has no decoder for it (matroska,webm)"
    silent = tone_file("matroska", "aac", seconds=0.0, pictures=5)
    assert refusal(silent).detail == "no sound in it (matroska,webm)"


def test_a_long_recording_is_stopped_on_its_way(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mixing, "MOST_SAMPLES", 20_000)
    assert refusal(tone_file("ipod", "aac", 3.0)).reason == "too_long"


def test_more_channels_than_allowed_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mixing, "MOST_CHANNELS", 1)
    assert refusal(tone_file("ipod", "aac")).reason == "channels"


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{}'\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{}</BaseURL></MPD>',
    ],
)
def test_a_playlist_does_not_make_it_open_another_file(tmp_path, text: str):
    other = tmp_path / "other.m4a"
    other.write_bytes(tone_file("ipod", "aac"))
    assert refusal(text.format(other).encode()).reason == "unreadable"


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=60), st.integers(0, 9_000), st.sampled_from(["ipod", "webm"]))
def test_damaged_files_are_decoded_or_refused_never_anything_else(noise: bytes, place: int, kind: str):
    content = bytearray(SOUND[kind])
    content[place : place + len(noise)] = noise
    try:
        samples = decode(bytes(content))
    except BadAudio:
        return
    assert len(samples) >= 1_600


SOUND = {"ipod": tone_file("ipod", "aac", 0.4), "webm": tone_file("webm", "libopus", 0.4, 48_000)}


def test_it_is_loaded_only_when_it_is_needed():
    code = "import sys, io, numpy, soundfile; from ves.media.decoding import decode; f = io.BytesIO(); "
    code += "soundfile.write(f, numpy.random.rand(9000), 16000, format='FLAC'); decode(f.getvalue()); "
    assert subprocess.run([sys.executable, "-c", code + "sys.exit('av' in sys.modules)"]).returncode == 0
