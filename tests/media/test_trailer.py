"""What may follow the samples, and headers that leave out a part of them: no recording is shorter in silence."""

import struct

import numpy as np
import pytest

from tests.support.odd_recordings import RATE, id3, sndfile, voice
from ves.media import trailer
from ves.media.audio import BadAudio
from ves.media.decoding import decode

VOICE = voice(0)
STEPS = decode(sndfile("WAV", "PCM_16").write(VOICE, RATE))
BYTES, HALF = 2 * RATE, RATE  # of the samples
SIZES = {  # of the samples: by what it is found, how far behind, its form, and what it counts besides
    "WAV": (b"data", 4, "<I", 0), "RF64": (b"ds64", 16, "<Q", 0), "W64": (b"data", 16, "<Q", 24),
    "AIFF": (b"SSND", 4, ">I", 8), "AU": (b".snd", 8, ">I", 0), "CAF": (b"data", 4, ">q", 4),
    "SVX": (b"BODY", 4, ">I", 0), "VOC": (b"\x1a", 8, "<H", 12),
}  # fmt: skip


def write(kind: str) -> bytes:
    return sndfile(kind, "PCM_16").write(VOICE, RATE)


def with_size(content: bytes, kind: str, size: int) -> bytes:
    """The file with this size of its samples in its header."""
    name, behind, form, more = SIZES[kind]
    changed = bytearray(content)
    struct.pack_into(form, changed, content.index(name) + behind, size + more)
    return bytes(changed)


def refusal(content: bytes) -> BadAudio:
    with pytest.raises(BadAudio) as caught:
        decode(content)
    return caught.value


def chunk(name: bytes, content: bytes, order: str = "<") -> bytes:
    return name + struct.pack(f"{order}I", len(content)) + content


def of_chunks(*chunks: bytes) -> bytes:
    form = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16))
    return b"RIFF" + struct.pack("<I", 4 + len(form) + sum(map(len, chunks))) + b"WAVE" + form + b"".join(chunks)


@pytest.mark.parametrize("kind", SIZES)
def test_a_size_of_half_the_samples_is_refused(kind: str):
    content = write(kind)
    assert len(decode(content)) == RATE
    fault = refusal(with_size(content, kind, HALF))
    assert fault.reason == ("truncated" if kind == "AIFF" else "unreadable")  # the chunk COMM still promises all


def test_a_sphere_of_half_the_samples_is_refused():
    content = write("NIST").replace(b"sample_count -i 16000", b"sample_count -i 8000 ")
    assert refusal(content).reason == "unreadable"


@pytest.mark.parametrize("riff", ["right", "stale"])
def test_a_wav_of_half_the_samples_is_refused_whatever_riff_says(riff: str):
    content = bytearray(with_size(write("WAV"), "WAV", HALF))
    if riff == "stale":
        struct.pack_into("<I", content, 4, 36 + HALF)
    assert "byte 16044 of 32044" in refusal(bytes(content)).detail


@pytest.mark.parametrize("between", [b"", chunk(b"LIST", b"INFO")])
def test_a_second_chunk_of_samples_is_refused(between: bytes):
    data = STEPS.tobytes()
    content = of_chunks(chunk(b"data", data[:HALF]), between, chunk(b"data", data[HALF:]))
    assert "a second chunk of samples, data" in refusal(content).detail


def test_a_second_wav_where_riff_does_not_end_is_no_chunk():
    content = bytearray(write("WAV"))
    struct.pack_into("<I", content, 4, HALF)
    assert "a second chunk of samples, RIFF" in refusal(bytes(content) + write("WAV")).detail


INFO = chunk(b"LIST", b"INFOISFT" + struct.pack("<I", 4) + b"ours")


@pytest.mark.parametrize(
    "behind",
    [INFO, chunk(b"odd ", b"abc"), chunk(b"odd ", b"abc") + b"\0" + INFO, INFO[:-6], bytes(999), b"\1\2\3", id3(300),
     INFO + id3(300), b"TAG" + bytes(125), b"APETAGEX" + struct.pack("<IIIIQ", 2_000, 0, 0, 0, 0)],
)  # fmt: skip
def test_chunks_tags_and_zeros_behind_the_samples_change_nothing(behind: bytes):
    np.testing.assert_array_equal(decode(write("WAV") + behind), decode(write("WAV")))


@pytest.mark.parametrize("kind", ["AIFF", "W64", "AU", "NIST", "VOC"])
@pytest.mark.parametrize("behind", [bytes(999), id3(300)])
def test_tags_and_zeros_behind_other_containers_change_nothing(kind: str, behind: bytes):
    np.testing.assert_array_equal(decode(write(kind) + behind), decode(write(kind)))


def test_chunks_behind_a_wave64_change_nothing():
    name = b"list" + bytes.fromhex("2f91cf11a5d628db04c10000")
    content = write("W64") + name + struct.pack("<Q", 30) + b"abcdef" + bytes(2)
    np.testing.assert_array_equal(decode(content), decode(write("W64")))


@pytest.mark.parametrize("kind", ["WAV", "AIFF"])
def test_words_behind_the_samples_are_no_chunk(kind: str):
    assert "is no chunk, tag or zeros" in refusal(write(kind) + STEPS[5_000:5_400].tobytes()).detail


@pytest.mark.parametrize("behind", [INFO, INFO + id3(300), chunk(b"bext", bytes(602)) + INFO, b"TAG" + bytes(125)])
@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF])
def test_chunks_behind_samples_of_unknown_size_are_no_sound(behind: bytes, size: int):
    content = bytearray(with_size(write("WAV"), "WAV", size))
    struct.pack_into("<I", content, 4, size)
    np.testing.assert_array_equal(decode(bytes(content) + behind), STEPS)


def test_annotations_behind_an_aiff_of_unknown_size_are_no_sound():
    content = bytearray(with_size(write("AIFF"), "AIFF", 0xFFFFFF00))
    struct.pack_into(">I", content, 4, 0xFFFFFF00)
    np.testing.assert_array_equal(decode(bytes(content) + chunk(b"ANNO", b"ours", ">")), STEPS)


def test_samples_that_look_like_a_chunk_are_sound():
    data = bytearray(STEPS.tobytes())
    data[9_000:9_004] = b"LIST"  # its size leads nowhere
    data[12_000:12_008] = chunk(b"LIST", bytes(100))[:8]  # no chunk follows it
    content = of_chunks(b"data" + b"\xff" * 4 + data)
    assert decode(content).tobytes() == data
    assert trailer.begin(content, 44, trailer.riff) == len(content)


def test_a_size_of_the_whole_file_is_that_of_the_samples():
    content = with_size(write("WAV"), "WAV", BYTES + 44)
    np.testing.assert_array_equal(decode(content), STEPS)
    float_file = sndfile("WAV", "PCM_24").write(VOICE, RATE)
    changed = with_size(float_file, "WAV", 3 * RATE + float_file.index(b"data") + 8)
    np.testing.assert_array_equal(decode(changed), decode(float_file))


def test_a_file_that_lost_as_much_as_a_header_is_truncated():
    content = bytearray(with_size(write("WAV"), "WAV", BYTES + 44))
    assert refusal(bytes(content[:-2])).reason == "truncated"
    struct.pack_into("<I", content, 4, 36 + BYTES + 44)  # RIFF says so too
    assert refusal(bytes(content)).reason == "truncated"


@pytest.mark.parametrize("form", ["PCM_16", "PCM_24", "FLOAT"])
def test_frames_that_comm_promises_and_ssnd_lacks(form: str):
    """As if somebody had shortened `SSND` with all that follows it."""
    content = bytearray(sndfile("AIFF", form).write(VOICE, RATE))
    comm = content.index(b"COMM") + 10
    assert len(decode(bytes(content))) == RATE
    struct.pack_into(">I", content, comm, 2 * RATE)
    assert "COMM promises" in refusal(bytes(content)).detail


def test_each_place_is_tried_once_however_many_chunks_lead_to_no_end():
    """A file of a million empty chunks must not take hours."""
    content = chunk(b"LIST", b"") * 2_000 + b"\1\2\3\4\5\6\7\x88\x99"
    places: list[int] = []

    def riff(encoded: bytes, position: int) -> int | None:
        places.append(position)
        return trailer.riff(encoded, position)

    assert trailer.begin(content, 0, riff) == len(content)
    assert len(places) == len(set(places)) >= 2_000
