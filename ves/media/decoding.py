"""From the bytes of a recording to 16 kHz samples, or to the reason why not.

Recordings come from strangers: nothing in a header is believed (it may promise more or less than there is, or hours in
a few bytes), and no sample is made up for one that is missing. Which library decodes what: ves.media.containers.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from math import gcd

import numpy as np
from jaxtyping import Float32, Int16

from ves.media import containers, ffmpeg, mixing, padded_pcm, stated_size
from ves.media.audio import RATE, BadAudio
from ves.media.mixing import CLIPPED_PEAK, INT16

SHORTEST_S = 0.1  # a clip below this holds no word
SILENT_PEAK = 3  # 16-bit steps about the middle (-81 dBFS): the dither of a silent recording reaches 2
BLOCK = 1 << 18  # samples decoded at a time
UNKNOWN_LENGTH = 1 << 60  # samples; what libsndfile says of a stream without a length is more
PLAIN = (1, RATE, 16, 16, True)  # channels, rate, bits, valid ones, little-endian: a view of the bytes
RESAMPLED = 1 << 22  # samples resampled at a time: torchaudio takes ten times the memory of what it is given
LARGEST_RESAMPLER = 50_000_000  # filter taps: 44.1 kHz needs 75 thousand, a rate prime to ours (44,101 Hz) 0.7 billion

Blocks = Iterator[Float32[np.ndarray, "_ channels"]]
Open = Callable[
    [], AbstractContextManager[tuple[int, Blocks]]
]  # rate and decoded blocks of a recording, from its start


@dataclass(frozen=True, eq=False)
class Decoded:
    """Samples of a clip, and in a few words what had to be mended to have them, for the log."""

    samples: Int16[np.ndarray, " n"]
    mended: tuple[str, ...]


class _Unreadable(Exception):
    """libsndfile cannot open or read it; the text says why."""


def decode(encoded: bytes) -> Int16[np.ndarray, " n"]:
    """The samples of one clip at 16 kHz, mono, as 16-bit integers; maybe read-only. As `decoded`."""
    return decoded(encoded).samples


def decoded(encoded: bytes) -> Decoded:
    """One clip at 16 kHz, mono: the mean of its channels, or the loudest where they cancel in the mean.

    Recordings that are joined in one file are read one behind the other. Samples of float files that are whole numbers
    beyond 1 are in steps of 16 bits. Raises BadAudio: `empty` no bytes; `unreadable` no decoder takes it, or it is
    damaged, or has samples that are not finite; `truncated` it is less than its headers promise; `scale` float samples
    in a unit that is not known; `zero_length` no samples; `too_short` below SHORTEST_S; `too_long` over MOST_SAMPLES;
    `silent` nothing but a constant within SILENT_PEAK in every channel; `sample_rate` one that has no practical
    resampler; `channels` over MOST_CHANNELS.
    """
    if not encoded:
        raise BadAudio("empty", "0 bytes")
    parts = containers.recordings(containers.without_tag(encoded))
    mended: list[str] = ["joined recordings"] if len(parts) > 1 else []
    samples, count = [], 0
    for part in parts:
        samples.append(_part(part, mended))
        count += len(samples[-1])
        if count > mixing.MOST_SAMPLES:
            raise mixing.too_long(RATE)
    whole = np.concatenate(samples) if len(samples) > 1 else samples[0]
    if count == 0:
        raise BadAudio("zero_length", "no samples")
    if count < SHORTEST_S * RATE:
        raise BadAudio("too_short", f"{count / RATE:.4f} s, the least is {SHORTEST_S} s")
    if _is_silent(whole):
        raise BadAudio("silent", f"every one of {count / RATE:.2f} s within {SILENT_PEAK} steps of 16 bits")
    return Decoded(whole, tuple(dict.fromkeys(mended)))


def _is_silent(samples: Int16[np.ndarray, " n"]) -> bool:
    return len(samples) == 0 or int(samples.max()) - int(samples.min()) <= 2 * SILENT_PEAK


def _part(part: containers.Recording, mended: list[str]) -> Int16[np.ndarray, " n"]:
    """Samples of one of the recordings that are joined in a file; what was mended is added to `mended`."""
    encoded, wav = part.encoded, part.wav
    if wav is not None and wav.pcm and (wav.channels, wav.rate, wav.bits, wav.valid, wav.little_endian) == PLAIN:
        if wav.present // 2 > mixing.MOST_SAMPLES:
            raise mixing.too_long(RATE)
        return np.frombuffer(encoded, "<i2", count=wav.present // 2, offset=wav.start).astype(np.int16, copy=False)
    if wav is not None and wav.pcm and wav.valid < wav.bits in (16, 24, 32):
        return _mended(lambda: nullcontext((wav.rate, padded_pcm.blocks(encoded, wav))), mended)
    if part.row.decoder == containers.FFMPEG or (wav is not None and wav.mpeg):
        return _mended(partial(ffmpeg.opened, encoded), mended)
    try:
        return _mended(partial(_sndfile, stated_size.written(encoded)), mended)
    except _Unreadable as ours:
        try:
            return _mended(partial(ffmpeg.opened, encoded), mended)
        except BadAudio as theirs:
            if theirs.reason != "unreadable":
                raise
            raise BadAudio("unreadable", f"libsndfile: {ours}; {theirs.detail}") from theirs


def _mended(recording: Open, mended: list[str]) -> Int16[np.ndarray, " n"]:
    """Samples of a recording at RATE; it is decoded again if its unit or its channels ask for it."""

    def mix(**chosen) -> tuple[mixing.Mix, int]:
        with recording() as (rate, blocks):
            return mixing.mix(blocks, rate, **chosen), rate

    found, rate = mix()
    unit = 1.0
    if found.whole and found.peak <= INT16:
        unit = float(INT16)
        mended.append("float samples in steps of 16 bits")
        found, rate = mix(unit=unit)
    elif found.peak > CLIPPED_PEAK:
        raise BadAudio("scale", f"samples reach {found.peak:.6g}, full scale is 1: in which unit they are is not known")
    samples = _to_int16(found.samples, rate)
    if found.channels > 1 and (found.lost or _is_silent(samples)):
        louder = _to_int16(mix(unit=unit, channel=found.loudest)[0].samples, rate)
        if not _is_silent(louder):
            mended.append("channels that cancel: the loudest was taken")
            return louder
    return samples


class _File(io.BytesIO):
    """libsndfile seeks to before the start of damaged files. As lseek does, stay; an exception would die in C."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


@contextmanager
def _sndfile(encoded: bytes) -> Iterator[tuple[int, Blocks]]:
    """Rate and decoded blocks, by libsndfile. Raises _Unreadable, BadAudio `truncated`."""
    import soundfile

    try:
        file = soundfile.SoundFile(_File(encoded))
    except soundfile.LibsndfileError as error:
        raise _Unreadable(error.error_string) from error
    with file:
        yield file.samplerate, _blocks(file)


def _blocks(file) -> Blocks:
    """Blocks of an open soundfile.SoundFile. As float: it does not scale float files to integers."""
    import soundfile

    promised, count = file.frames, 0
    try:
        while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):  # not at once: the header may lie
            count += len(block)
            yield block
    except (soundfile.LibsndfileError, ValueError) as error:  # ValueError: it has no length
        raise _Unreadable(getattr(error, "error_string", str(error))) from error
    if count < promised < UNKNOWN_LENGTH:
        raise BadAudio("truncated", f"the header promises {promised} samples, {count} can be decoded")


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
