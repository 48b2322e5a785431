"""From the bytes of a recording to 16 kHz samples, or to the reason why not.

Recordings come from strangers: nothing in a header is believed (it may promise more or less than there is, or hours in
a few bytes), and no sample is made up for one that is missing.
"""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import gcd

import numpy as np
from jaxtyping import Float32, Int16

from ves.media import ffmpeg, wav_header
from ves.media.audio import RATE, BadAudio

SHORTEST_S = 0.1  # a clip below this holds no word
SILENT_PEAK = 3  # 16-bit steps about the middle (-81 dBFS): the dither of a silent recording reaches 2
MOST_SAMPLES = 90_000_000  # of a clip, at its own rate: 94 min at 16 kHz, 31 at 48; a small FLAC can unpack to days
MOST_CHANNELS = 32
BLOCK = 1 << 18  # samples decoded at a time
UNKNOWN_LENGTH = 1 << 60  # samples; what libsndfile says of a stream without a length is more
NOT_ITS_FORMAT = (1, 4)  # libsndfile: unrecognised format, unsupported encoding
RESAMPLED = 1 << 22  # samples resampled at a time: torchaudio takes ten times the memory of what it is given
LARGEST_RESAMPLER = 50_000_000  # filter taps: 44.1 kHz needs 75 thousand, a rate prime to ours (44,101 Hz) 0.7 billion

Blocks = Iterator[Float32[np.ndarray, "_ channels"]]


def decode(encoded: bytes) -> Int16[np.ndarray, " n"]:
    """The samples of one clip at 16 kHz, mono (the mean of its channels), as 16-bit integers; maybe read-only.

    Reads WAV (8 to 64 bits, integer and float), FLAC, MP3, OGG and whatever else libsndfile does; what that does not
    know (AAC in MP4, Opus in WebM, the sound of a film), FFmpeg. Raises BadAudio: `empty` no bytes; `unreadable` no
    decoder takes it, or samples that are not finite; `truncated` fewer samples than its header promises; `zero_length`
    no samples; `too_short` below SHORTEST_S; `too_long` over MOST_SAMPLES; `silent` nothing but a constant within
    SILENT_PEAK; `sample_rate` one that has no practical resampler; `channels` over MOST_CHANNELS.
    """
    if not encoded:
        raise BadAudio("empty", "0 bytes")
    wav = wav_header.parse(encoded)
    if wav is not None and wav.present < wav.declared:
        raise BadAudio("truncated", f"the header promises {wav.declared} bytes of samples, {wav.present} are there")
    if wav is not None and wav.pcm and (wav.channels, wav.rate, wav.bits) == (1, RATE, 16):
        if wav.present // 2 > MOST_SAMPLES:
            raise _too_long(RATE)
        samples = np.frombuffer(encoded, "<i2", count=wav.present // 2, offset=wav.start).astype(np.int16, copy=False)
    else:
        samples = _to_int16(*_read(encoded))
    if len(samples) == 0:
        raise BadAudio("zero_length", "no samples")
    if len(samples) < SHORTEST_S * RATE:
        raise BadAudio("too_short", f"{len(samples) / RATE:.4f} s, the least is {SHORTEST_S} s")
    if int(samples.max()) - int(samples.min()) <= 2 * SILENT_PEAK:
        raise BadAudio("silent", f"every one of {len(samples) / RATE:.2f} s within {SILENT_PEAK} steps of 16 bits")
    return samples


def _too_long(rate: int) -> BadAudio:
    return BadAudio("too_long", f"more than {MOST_SAMPLES} samples, {MOST_SAMPLES / rate / 60:.0f} min at {rate} Hz")


class _File(io.BytesIO):
    """libsndfile seeks to before the start of damaged files. As lseek does, stay; an exception would die in C."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


@contextmanager
def _opened(encoded: bytes) -> Iterator[tuple[int, int, Blocks]]:
    """Rate, channels and decoded blocks of a recording, by the first of the two libraries that knows its format."""
    import soundfile

    try:
        file = soundfile.SoundFile(_File(encoded))
    except soundfile.LibsndfileError as error:
        if error.code not in NOT_ITS_FORMAT:
            raise BadAudio("unreadable", error.error_string) from error
    else:
        with file:
            yield file.samplerate, file.channels, _blocks(file)
        return
    with ffmpeg.opened(encoded) as recording:
        yield recording


def _blocks(file) -> Blocks:
    """Blocks of an open soundfile.SoundFile. As float: it does not scale float files to integers."""
    import soundfile

    promised, count = file.frames, 0
    try:
        while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):  # not at once: the header may lie
            count += len(block)
            yield block
    except soundfile.LibsndfileError as error:
        raise BadAudio("unreadable", error.error_string) from error
    if count < promised < UNKNOWN_LENGTH:
        raise BadAudio("truncated", f"the header promises {promised} samples, {count} can be decoded")


def _read(encoded: bytes) -> tuple[Float32[np.ndarray, " n"], int]:
    """The mean of the channels, each within [-1, 1], and their rate."""
    with _opened(encoded) as (rate, channels, blocks):
        if channels > MOST_CHANNELS:
            raise BadAudio("channels", f"{channels} channels, at most {MOST_CHANNELS} are read")
        return _mono(blocks, rate), rate


def _mono(blocks: Iterable[Float32[np.ndarray, "_ channels"]], rate: int) -> Float32[np.ndarray, " n"]:
    """Blocks mixed one by one and joined: the channels of a long recording are never in memory together."""
    mixed, count = [], 0
    for block in blocks:
        if not np.isfinite(block).all():
            raise BadAudio("unreadable", "samples that are not finite numbers")
        count += len(block)
        if count > MOST_SAMPLES:
            raise _too_long(rate)
        mixed.append(block.clip(-1, 1).mean(axis=1, dtype=np.float32))
    return np.concatenate(mixed) if mixed else np.empty(0, np.float32)


def _to_int16(mono: Float32[np.ndarray, " n"], rate: int) -> Int16[np.ndarray, " m"]:
    """Resample to RATE (band-limited, by torchaudio), round to 16 bits; what is louder is clipped."""
    if rate != RATE and len(mono):
        common = gcd(rate, RATE)
        if (RATE // common) * (rate // common) > LARGEST_RESAMPLER or not 1_000 <= rate <= 400_000:
            raise BadAudio("sample_rate", f"{rate} Hz")
        return np.concatenate([_rounded(block) for block in _resampled(mono, rate, common)])
    return _rounded(mono)


def _rounded(mono: Float32[np.ndarray, " n"]) -> Int16[np.ndarray, " n"]:
    return np.clip(np.rint(mono * 32768.0), -32768, 32767).astype(np.int16)


def _resampled(mono: Float32[np.ndarray, " n"], rate: int, common: int) -> Iterator[Float32[np.ndarray, " _"]]:
    """The samples at RATE in blocks that join without a seam; `common` divides both rates.

    A block is of whole periods, after which the two rates meet, and is resampled with its neighbours' samples as far as
    the filter sees, which is no further than 8 periods (6 zero crossings of it).
    """
    import torch
    import torchaudio.functional

    period, ours = rate // common, RATE // common
    size, seen = max(RESAMPLED // period, 1) * period, 8 * period
    for start in range(0, len(mono), size):
        begin, end = max(start - seen, 0), start + size
        block = torchaudio.functional.resample(torch.from_numpy(mono[begin : end + seen]), rate, RATE).numpy()
        first = (start - begin) // period * ours
        yield block[first : first + size // period * ours if end < len(mono) else None]
