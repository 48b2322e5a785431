"""The RIFF headers against files whose every byte is known."""

import io
import struct

import numpy as np
import pytest
import soundfile

from ves.media.audio import BadAudio
from ves.media.wav_header import Wav, parse


def _file(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body


FORMAT = (b"fmt ", struct.pack("<HHIIHH", 1, 2, 8_000, 32_000, 4, 16))


def test_chunks_are_found_in_any_order_and_padded_to_even_length():
    content = _file((b"LIST", b"odd"), FORMAT, (b"data", b"12345678"), (b"id3 ", b"tail"))
    wav = parse(content)
    assert wav == Wav(
        True,
        2,
        8_000,
        16,
        start=content.index(b"12345678"),
        declared=8,
        present=8,
        valid=16,
        little_endian=True,
        mpeg=False,
    )


def test_what_is_missing_shows():
    wav = parse(_file(FORMAT, (b"data", b"12345678"))[:-3])
    assert wav is not None
    assert (wav.declared, wav.present) == (8, 5)


def test_a_length_that_was_not_known_when_it_was_written_is_what_is_there():
    """As FFmpeg leaves it when it writes to a pipe."""
    content = _file(FORMAT, (b"data", b"12345678"))
    begin = content.index(b"data") + 4
    wav = parse(content[:begin] + b"\xff" * 4 + content[begin + 4 :])
    assert wav is not None
    assert (wav.declared, wav.present) == (8, 8)


def test_extensible_and_float_formats_are_told_apart():
    for subtype, pcm in (("PCM_16", True), ("FLOAT", False)):
        file = io.BytesIO()
        soundfile.write(file, np.zeros((4, 3)), 8_000, format="WAVEX", subtype=subtype)
        wav = parse(file.getvalue())
        assert wav is not None
        assert (wav.pcm, wav.channels, wav.rate) == (pcm, 3, 8_000)


def _with_block(channels: int, bits: int, block: int, flow: int, tag: int = 1) -> bytes:
    """A file of 8 kHz with these bytes in a block and in a second."""
    form = struct.pack("<HHIIHH", tag, channels, 8_000, flow, block, bits)
    return _file((b"fmt ", form), (b"data", bytes(48)))


@pytest.mark.parametrize(
    ("channels", "bits", "block", "taken"),
    [(1, 16, 4, 16), (2, 16, 8, 16), (1, 8, 2, 8), (1, 24, 8, 24), (1, 32, 8, 32), (1, 12, 4, 16), (1, 24, 4, 32)],
)
def test_only_samples_of_more_than_16_bits_take_more_than_their_bits(channels, bits: int, block: int, taken: int):
    flow = 8_000 * channels * -(-bits // 8)
    wav = parse(_with_block(channels, bits, block, flow))
    assert wav is not None
    assert (wav.pcm, wav.bits, wav.widened, wav.packed) == (True, taken, taken > bits + 4, taken > bits + 4)


@pytest.mark.parametrize(
    ("channels", "bits", "block", "tag"),
    [(1, 16, 4, 1), (1, 16, 1, 1), (2, 16, 8, 1), (1, 8, 2, 1), (1, 24, 6, 1), (1, 32, 8, 3)],
)
def test_a_block_and_a_rate_that_contradict_the_bits_are_refused(channels: int, bits: int, block: int, tag: int):
    with pytest.raises(BadAudio, match=f"counts {block} in a block and {8_000 * block} in a second"):
        parse(_with_block(channels, bits, block, 8_000 * block, tag))


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", _file((b"data", b"1234"), FORMAT), _file(FORMAT), b"OggS" + bytes(40)]
)
def test_anything_else_is_none(content: bytes):
    assert parse(content) is None
