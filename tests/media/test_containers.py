"""Lengths that headers promise, joined recordings, and the table of who decodes what."""

import io
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.odd_recordings import FORMATS, RATE, Format, id3, lavf, sndfile, voice
from ves.media import containers, mpeg_audio, ogg, wav_header
from ves.media.audio import BadAudio
from ves.media.decoding import decode, decode_clip

VOICE = voice(0)
STEPS = np.rint(VOICE * 32768).clip(-32768, 32767).astype(np.int16)


def reason(content: bytes) -> str:
    with pytest.raises(BadAudio) as caught:
        decode(content)
    return caught.value.reason


def test_the_page_shows_the_table():
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", Path("docs/media.md").read_text(), re.MULTILINE)
    stated = [(row.name, row.codecs, row.decoder or "nobody", row.length) for row in containers.CONTAINERS]
    assert rows[1 : 1 + len(stated)] == stated


@pytest.mark.parametrize("size", [0x7FFFFFFF, 0x7FFFF000, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFF - 36, 0x7FFFFFFF - 36, 0])
@pytest.mark.parametrize(
    ("kind", "subtype"), [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("AIFF", "PCM_16"), ("AU", "PCM_16")]
)
def test_a_size_that_was_never_written_is_what_is_there(size: int, kind: str, subtype: str):
    content = bytearray(sndfile(kind, subtype).write(VOICE, RATE))
    order, name = ("<", b"data") if kind == "WAV" else (">", b"SSND" if kind == "AIFF" else b".snd")
    struct.pack_into(f"{order}I", content, content.index(name) + (8 if kind == "AU" else 4), size)
    if kind != "AU":
        struct.pack_into(f"{order}I", content, 4, size)
        if kind == "AIFF":
            struct.pack_into(">I", content, content.index(b"COMM") + 10, min(size, 0x7FFFFFFF))
    np.testing.assert_allclose(decode(bytes(content)), STEPS, atol=1)


@pytest.mark.parametrize(
    ("riff", "data"),
    [(2**64 - 1, 2**63 - 1), (2**64 - 1, 2**64 - 1), (2**64 - 1, 0), (0, 0), (0, 24), (104, 24), (2**64 - 1, None)],
)
def test_a_w64_size_that_was_never_written_is_what_is_there(riff: int, data: int | None):
    """FFmpeg writes the first pair to a pipe, and cannot read it; 24 bytes are a chunk of nothing but its header."""
    content = bytearray(sndfile("W64", "PCM_16").write(VOICE, RATE))
    struct.pack_into("<Q", content, 16, riff)
    if data is not None:
        struct.pack_into("<Q", content, content.index(b"data\xf3\xac") + 16, data)
    np.testing.assert_allclose(decode(bytes(content)), STEPS, atol=1)


def test_the_header_of_a_plain_wav_is_parsed_once(monkeypatch: pytest.MonkeyPatch):
    calls = []
    monkeypatch.setattr(wav_header, "parse", lambda encoded, inner=wav_header.parse: calls.append(0) or inner(encoded))
    assert len(decode(sndfile("WAV", "PCM_16").write(VOICE, RATE))) == len(VOICE)
    assert len(calls) == 1


@pytest.mark.parametrize(
    "form", [sndfile("WAV", "PCM_16"), sndfile("AIFF", "PCM_16"), sndfile("FLAC", "PCM_16")], ids=lambda form: form.name
)
def test_a_tag_in_front_changes_nothing(form: Format):
    content = id3(20_000) + form.write(VOICE, RATE)
    np.testing.assert_allclose(decode(content), STEPS, atol=1)
    assert reason(content[: len(content) * 3 // 4]) in ("truncated", "unreadable")


JOINED = [
    sndfile("WAV", "PCM_16"), sndfile("WAV", "PCM_24", endian="BIG"), sndfile("FLAC", "PCM_16"),
    sndfile("OGG", "VORBIS"), lavf("ogg", "libopus"), lavf("ogg", "flac", rate=RATE), lavf("mp3", "libmp3lame"),
]  # fmt: skip


@pytest.mark.parametrize("form", JOINED, ids=lambda form: form.name)
def test_joined_recordings_are_read_one_behind_the_other(form: Format):
    parts = [form.write(voice(seed, 0.5, form.rate), form.rate) for seed in (1, 2, 3)]
    found = decode_clip(b"".join(parts))
    np.testing.assert_array_equal(found.samples, np.concatenate([decode(part) for part in parts]))
    assert found.repairs == ("joined recordings",)
    assert reason(b"".join(parts)[: -len(parts[-1]) // 2]) in ("truncated", "unreadable")


@pytest.mark.parametrize("kind", ["PAF", "IRCAM", "PVF"])
def test_what_does_not_state_its_length_is_refused_with_that_reason(kind: str):
    with pytest.raises(BadAudio, match=f"{kind} does not state its length"):
        decode(sndfile(kind, "PCM_16").write(VOICE, RATE))


def wav_with_padding(valid: int, width: int, values: np.ndarray, extensible: bool) -> bytes:
    """A WAV of samples of `width` bytes that use `valid` bits."""
    if extensible:
        form = struct.pack("<HHIIHHHHI", 0xFFFE, 1, RATE, width * RATE, width, 8 * width, 22, valid, 4)
        form += bytes.fromhex("0100000000001000800000aa00389b71")
    else:
        form = struct.pack("<HHIIHH", 1, 1, RATE, width * RATE, width, valid)
    data = values.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(("valid", "width"), [(24, 4), (20, 4), (20, 3), (12, 2)])
@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize("bottom", ["above", "below, signed", "below, zeros"])
def test_samples_that_use_fewer_bits_than_they_take(valid: int, width: int, extensible: bool, bottom: str):
    unused, scale = 8 * width - valid, 1 << (valid - 1)
    values = np.rint(VOICE * scale).astype(np.int64)
    in_file = {"above": values << unused, "below, signed": values, "below, zeros": values % (1 << valid)}[bottom]
    found = decode(wav_with_padding(valid, width, in_file, extensible))
    np.testing.assert_allclose(found, values / scale * 32768, atol=1)


@pytest.mark.parametrize("xing", ["Xing", "none", "0 frames"])
@pytest.mark.parametrize("quality", [None, 4])  # a constant bit rate, a variable one
def test_an_mp3_is_whole_with_any_promise_or_none(xing: str, quality: int | None):
    write = lavf("mp3", "libmp3lame", rate=44_100, write_xing=int(xing != "none"), quality=quality)
    content = bytearray(write.write(voice(1, 3.0, 44_100), 44_100))
    if xing == "0 frames":
        place = content.index(b"Xing") if b"Xing" in content else content.index(b"Info")
        content[place + 8 : place + 12] = bytes(4)
    assert 3.0 <= len(decode(bytes(content))) / RATE + 1e-9 < 3.1
    for share in (0.31, 0.7, 0.95):
        assert reason(bytes(content[: int(share * len(content))])) == "truncated"


def test_sizes_of_mpeg_frames():
    """By hand: 144 x 128,000 / 44,100 = 417.96; MPEG 2, 72 x 64,000 / 22,050 = 208.98; layer II of MPEG 1."""
    assert mpeg_audio.frame(0xFFFB9064) == (417, 1_152, False, 1, 3)
    assert mpeg_audio.frame(0xFFFB92C4) == (418, 1_152, True, 1, 3)
    assert mpeg_audio.frame(0xFFF380C4) == (208, 576, True, 2, 3)
    assert mpeg_audio.frame(0xFFFD8404) == (384, 1_152, False, 1, 2)
    for header in (0xFFFBF064, 0xFFFB0064, 0xFFE99064, 0x00FB9064):
        assert mpeg_audio.frame(header) is None


def test_frames_that_an_mp3_promises_and_lacks():
    content = lavf("mp3", "libmp3lame", rate=44_100).write(voice(1, 1.0, 44_100), 44_100)
    assert mpeg_audio.recordings(content) == [content[mpeg_audio.id3_size(content) :]]
    sizes, position = [], mpeg_audio.id3_size(content)
    while position < len(content):
        found = mpeg_audio.frame(int.from_bytes(content[position : position + 4], "big"))
        assert found is not None
        sizes.append(found.size)
        position += found.size
    with pytest.raises(BadAudio, match="promises 40 frames, 39 are there"):
        mpeg_audio.recordings(content[: -sizes[-1]])


@pytest.mark.parametrize("tail", [b"TAG" + bytes(125), b"APETAGEX" + struct.pack("<IIIIQ", 2_000, 32, 0, 0, 0)])
@pytest.mark.parametrize("xing", [0, 1])
def test_a_tag_behind_an_mp3_is_no_sound(tail: bytes, xing: int):
    content = lavf("mp3", "libmp3lame", write_xing=xing).write(voice(1, 1.0, 48_000), 48_000)
    np.testing.assert_array_equal(decode(content + tail), decode(content))


@pytest.mark.parametrize(
    ("tag", "kind", "codec"), [(0x1600, "adts", "aac"), (0xFF, "adts", "aac"), (0x2000, "ac3", "ac3")]
)
def test_packets_of_another_codec_in_a_wav(tag: int, kind: str, codec: str):
    data = lavf(kind, codec).write(voice(1, 1.0, 48_000), 48_000)
    form = struct.pack("<HHIIHHH", tag, 1, 48_000, 8_000, 1, 16, 0)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    content = b"RIFF" + struct.pack("<I", len(body)) + body
    assert len(decode(content)) >= RATE
    assert reason(content[: len(content) // 2]) == "truncated"


def test_pages_of_ogg():
    content = lavf("ogg", "libopus", page_duration=20_000).write(voice(1, 1.0, 48_000), 48_000)
    assert ogg.recordings(content) == [content]
    starts = [match.start() for match in re.finditer(b"OggS", content)]
    assert len(starts) > 40
    assert all(
        ogg.checksum(content[start:end]) == int.from_bytes(content[start + 22 : start + 26], "little")
        for start, end in zip(starts, [*starts[1:], len(content)], strict=True)
    )
    with pytest.raises(BadAudio, match="page 9 of Ogg is missing, 10 follows"):
        ogg.recordings(content[: starts[9]] + content[starts[10] :])
    with pytest.raises(BadAudio, match="the last one in the file, but should not be"):
        ogg.recordings(content[: starts[-1]])
    changed = bytearray(content)
    changed[starts[20] + 40] ^= 1
    with pytest.raises(BadAudio, match="page 20 of Ogg is damaged"):
        ogg.recordings(bytes(changed))


def test_the_generator_has_each_container_of_the_table():
    named = {containers.container(form.write(voice(1, 0.3, form.rate), form.rate)).name for form in FORMATS}
    untold = {"PAF", "IRCAM", "PVF", "AC-3, DTS, AMR"}  # refused; FFmpeg tells the last from the row above it
    assert named == {row.name for row in containers.CONTAINERS} - untold


def test_soundfile_agrees_on_what_is_exact():
    for form in (sndfile("CAF", "PCM_24"), sndfile("NIST", "PCM_16", endian="BIG"), sndfile("W64", "PCM_24")):
        content = form.write(VOICE, RATE)
        np.testing.assert_allclose(decode(content), soundfile.read(io.BytesIO(content))[0] * 32768, atol=1)
