"""Recordings of many kinds, of the writers of libsndfile and FFmpeg, and faults of files, drawn by seed."""

import io
from collections.abc import Callable
from typing import Any, NamedTuple

import av
import numpy as np
import soundfile
from jaxtyping import Float32

RATE = 16_000


def voice(seed: int, seconds: float = 1.0, rate: int = RATE) -> Float32[np.ndarray, " n"]:
    """A gliding tone with overtones, louder and softer like syllables: no part of it is like another."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch = 120 + 60 * np.sin(2 * np.pi * rng.uniform(0.3, 0.6) * time + rng.uniform(0, 6)) + 80 * time / seconds
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    tones = sum(np.sin(n * phase) / n for n in range(1, 9))
    syllables = 0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(2.5, 4) * time + rng.uniform(0, 6))
    noise = rng.standard_normal(len(time)) * 0.01
    return (0.25 * (tones * syllables + noise)).astype(np.float32)


class Format(NamedTuple):
    """A way to write a recording. `exact`: nothing is lost but rounding to 16 bits. `seamless`: it may be cut off where
    a packet ends, and nothing in it tells."""

    name: str
    write: Callable[[np.ndarray, int], bytes]
    exact: bool = False
    rate: int = RATE
    seamless: bool = False


def sndfile(kind: str, subtype: str, exact: bool = True, rate: int = RATE, endian: str = "FILE") -> Format:
    """A format that libsndfile writes."""

    def write(samples: np.ndarray, rate: int) -> bytes:
        file = io.BytesIO()
        soundfile.write(file, samples, rate, format=kind, subtype=subtype, endian=endian)
        return file.getvalue()

    return Format(f"sndfile-{kind}-{subtype}-{endian}", write, exact, rate)


def lavf(
    kind: str, codec: str, exact: bool = False, rate: int = 48_000, seamless: bool = False, **options: Any
) -> Format:
    """A format that FFmpeg writes; `options` are those of the container. `pipe` makes it write without going back;
    `bit_rate` and `quality` (of a variable rate) are for the codec."""
    pipe, bits, quality = (options.pop(name, None) for name in ("pipe", "bit_rate", "quality"))

    def write(samples: np.ndarray, rate: int) -> bytes:
        coding = {"flags": "+qscale", "global_quality": str(118 * quality)} if quality else {}
        file = _Pipe() if pipe else io.BytesIO()
        with av.open(file, "w", format=kind, options={key: str(value) for key, value in options.items()}) as container:
            sound = container.add_stream(
                codec, rate=rate, layout="mono" if samples.ndim == 1 else "stereo", options=coding
            )
            assert isinstance(sound, av.AudioStream)
            if bits:
                sound.bit_rate = bits
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(np.atleast_2d(samples.T)), format="fltp", layout=sound.layout.name
            )
            frame.sample_rate, frame.pts = rate, 0
            cut = av.AudioResampler(sound.format.name, sound.layout, rate, frame_size=sound.frame_size or 1024)
            for block in [*cut.resample(frame), *cut.resample(None), None]:
                container.mux(sound.encode(block))
        return file.getvalue()

    told = "".join(f"-{key}={value}" for key, value in options.items()) + "-pipe" * bool(pipe)
    return Format(f"lavf-{kind}-{codec}{told}", write, exact, rate, seamless)


class _Pipe(io.BytesIO):
    """A file that is written from its beginning to its end."""

    def seekable(self) -> bool:
        return False

    seek = None  # type: ignore[assignment]  # PyAV asks whether there is one


SNDFILE = [
    *(sndfile("WAV", codec) for codec in ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
    *(sndfile("WAV", codec, False) for codec in ("PCM_U8", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM")),
    sndfile("WAV", "PCM_16", endian="BIG"), sndfile("WAV", "FLOAT", endian="BIG"), sndfile("WAVEX", "PCM_16"),
    sndfile("RF64", "PCM_16"), sndfile("RF64", "FLOAT"), sndfile("W64", "PCM_16"), sndfile("W64", "PCM_24"),
    sndfile("AIFF", "PCM_16"), sndfile("AIFF", "PCM_24"), sndfile("AIFF", "FLOAT"), sndfile("AIFF", "ULAW", False),
    sndfile("AU", "PCM_16"), sndfile("AU", "PCM_16", endian="LITTLE"), sndfile("AU", "ULAW", False),
    sndfile("CAF", "PCM_16"), sndfile("CAF", "PCM_24"), sndfile("CAF", "ALAC_16"),
    sndfile("NIST", "PCM_16"), sndfile("NIST", "PCM_16", endian="BIG"), sndfile("NIST", "ULAW", False),
    sndfile("VOC", "PCM_16"), sndfile("SVX", "PCM_16"), sndfile("FLAC", "PCM_16"), sndfile("FLAC", "PCM_24"),
    sndfile("OGG", "VORBIS", False), sndfile("OGG", "OPUS", False), sndfile("MP3", "MPEG_LAYER_III", False),
]  # fmt: skip
LAVF = [
    *(lavf("mp3", "libmp3lame", rate=rate) for rate in (16_000, 22_050, 44_100, 48_000)),
    *(lavf("mp3", "libmp3lame", rate=rate, seamless=True, write_xing=0) for rate in (16_000, 44_100)),
    lavf("mp3", "libmp3lame", seamless=True, pipe=True), lavf("mp2", "mp2", seamless=True),
    lavf("flac", "flac", True, RATE), lavf("flac", "flac", True, RATE, seamless=True, pipe=True),
    lavf("ogg", "flac", True, RATE), lavf("ogg", "libopus"), lavf("oga", "libopus", page_duration=20_000),
    lavf("ipod", "aac", rate=44_100), lavf("mp4", "aac"), lavf("mp4", "libopus"),
    lavf("mp4", "aac", seamless=True, movflags="frag_keyframe+empty_moov", frag_duration=200_000),
    lavf("ipod", "alac", True, RATE), lavf("mov", "pcm_s16le", True, RATE), lavf("mov", "pcm_s24be", True, RATE),
    lavf("mov", "pcm_mulaw", rate=8_000), lavf("mov", "adpcm_ima_qt"), lavf("3gp", "aac"),
    lavf("mov", "pcm_s16be", True, RATE),
    *(lavf("matroska", codec) for codec in ("aac", "libopus", "ac3", "libmp3lame", "mp2")),
    lavf("matroska", "pcm_s16le", True, RATE), lavf("matroska", "flac", True, RATE), lavf("webm", "libopus"),
    lavf("webm", "libopus", seamless=True, live=1), lavf("matroska", "ac3", seamless=True, pipe=True),
    lavf("matroska", "pcm_s16le", True, RATE, seamless=True, pipe=True),
    lavf("flv", "aac", rate=44_100), lavf("flv", "libmp3lame", rate=44_100), lavf("flv", "aac", rate=44_100, pipe=True),
    lavf("avi", "libmp3lame"), lavf("avi", "pcm_s16le", True, RATE), lavf("avi", "ac3"),
    lavf("asf", "wmav2", rate=44_100, bit_rate=64_000), lavf("asf", "wmav1", rate=44_100, bit_rate=64_000),
    *(lavf(kind, codec, seamless=True) for kind, codec in (
        ("adts", "aac"), ("ac3", "ac3"), ("eac3", "eac3"), ("mpegts", "aac"), ("mpegts", "mp2"), ("vob", "mp2"),
    )),
    lavf("wv", "wavpack", rate=RATE), lavf("tta", "tta", rate=RATE), lavf("caf", "alac", True, RATE),
    lavf("caf", "pcm_s16le", True, RATE, pipe=True, seamless=True),
    lavf("wav", "ac3"), lavf("wav", "libmp3lame"), lavf("wav", "wmav2", rate=44_100, bit_rate=64_000),
    lavf("wav", "g726", rate=8_000), lavf("wav", "adpcm_ima_wav", rate=RATE),
    lavf("wav", "pcm_s16le", True, RATE, seamless=True, pipe=True), lavf("wav", "pcm_s16le", True, RATE, rf64="always"),
    lavf("aiff", "pcm_s16be", True, RATE), lavf("aiff", "pcm_s16be", True, RATE, seamless=True, pipe=True),
    lavf("au", "pcm_s16be", True, RATE, seamless=True, pipe=True), lavf("w64", "pcm_s16le", True, RATE),
    lavf("w64", "pcm_s16le", True, RATE, seamless=True, pipe=True),
]  # fmt: skip
FORMATS = [*SNDFILE, *LAVF]


def id3(size: int) -> bytes:
    """An ID3v2 tag with a frame that is no text."""
    content = b"PRIV" + size.to_bytes(4, "big") + bytes(2) + bytes(range(256)) * (size // 256 + 1)
    content = content[: 10 + size]
    length = bytes(len(content) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\0\0" + length + content


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    """The file without its end."""
    return content[: int(rng.uniform(0.05, 0.97) * len(content))]


def hole(content: bytes, rng: np.random.Generator) -> bytes:
    """The file without 512 bytes of its middle."""
    place = int(rng.integers(0, max(len(content) - 512, 1)))
    return content[:place] + content[place + 512 :]


def zeros(content: bytes, rng: np.random.Generator) -> bytes:
    """The file with zeros in place of a block, as a disk or a download leaves it."""
    size = int(rng.choice([64, 512, 4096]))
    place = int(rng.integers(0, max(len(content) - size, 1)))
    return content[:place] + bytes(min(size, len(content) - place)) + content[place + size :]


def noise(content: bytes, rng: np.random.Generator) -> bytes:
    """The file with other bytes here and there."""
    changed = bytearray(content)
    for place in rng.integers(0, len(content), int(rng.integers(1, 9))):
        changed[place] = int(rng.integers(0, 256))
    return bytes(changed)


FAULTS = (cut, hole, zeros, noise)
