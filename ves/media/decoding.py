"""From the bytes of a recording to 16 kHz samples, or to the reason why not.

Recordings come from strangers: no header is believed (it may promise more or less than there is, or hours in a few
bytes), and no sample is made up for a missing one. Which library decodes what: ves.media.containers.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from math import gcd

import numpy as np
from jaxtyping import Float32, Int16

from ves.media import containers, ffmpeg, flac, mixing, padded_pcm, stated_size
from ves.media.audio import RATE, BadAudio

SHORTEST_S = 0.1  # a clip below this holds no word
SILENT_PEAK = 3  # 16-bit steps from the middle (-81 dBFS): the dither of a silent recording reaches 2
BLOCK = 1 << 18  # samples that are decoded at a time
UNKNOWN_LENGTH = 1 << 60  # samples; of a stream without a length, libsndfile says more than this
PLAIN = (1, RATE, 16, 16, True)  # channels, rate, bits, valid ones, little-endian: a view of the bytes
RESAMPLING_BLOCK = 1 << 22  # samples at a time: torchaudio takes ten times their memory
LARGEST_RESAMPLER = 50_000_000  # filter taps: 44.1 kHz needs 75 thousand, a rate prime to ours (44,101 Hz) 0.7 billion

Blocks = Iterator[Float32[np.ndarray, "_ channels"]]
Open = Callable[[], AbstractContextManager[tuple[int, Blocks]]]  # a recording's rate and its blocks, from the start


@dataclass(frozen=True, eq=False)
class Clip:
    """Samples of a clip, and what had to be repaired to have them, each in a few words for the log."""

    samples: Int16[np.ndarray, " n"]
    repairs: tuple[str, ...]


class _Unreadable(Exception):
    """libsndfile cannot open or read it; the text says why."""


def decode(encoded: bytes) -> Int16[np.ndarray, " n"]:
    """The samples of one clip at 16 kHz, mono, as 16-bit integers; maybe read-only. Raises as `decode_clip` does."""
    return decode_clip(encoded).samples


def decode_clip(encoded: bytes) -> Clip:
    """One clip at 16 kHz, mono: the mean of its channels, or the loudest of them where they cancel in the mean.

    Where several recordings are joined in one file, each is read and follows the one before. Float samples in 16-bit
    steps are scaled. Raises BadAudio: `empty` no bytes; `unreadable` no decoder takes it, or it is damaged, or some
    samples are not finite; `truncated` it has less than its headers promise; `scale` float samples in an unknown unit;
    `zero_length` no samples; `too_short` below SHORTEST_S; `too_long` over MOST_SAMPLES; `silent` nothing but a
    constant within SILENT_PEAK in every channel; `sample_rate` no practical resampler exists for it; `channels` over
    MOST_CHANNELS.
    """
    if not encoded:
        raise BadAudio("empty", "0 bytes")
    parts = containers.recordings(containers.without_tag(encoded))
    repairs: list[str] = ["joined recordings"] if len(parts) > 1 else []
    samples, count = [], 0
    for part in parts:
        samples.append(_part(part, repairs))
        count += len(samples[-1])
        if count > mixing.MOST_SAMPLES:
            raise mixing.too_long(RATE)
    whole = np.concatenate(samples) if len(samples) > 1 else samples[0]
    if count == 0:
        raise BadAudio("zero_length", "no samples")
    if count < SHORTEST_S * RATE:
        raise BadAudio("too_short", f"{count / RATE:.4f} s, at least {SHORTEST_S} s are needed")
    if _is_silent(whole):
        raise BadAudio("silent", f"all {count / RATE:.2f} s lie within {SILENT_PEAK} steps of 16 bits of a constant")
    return Clip(whole, tuple(dict.fromkeys(repairs)))


def _is_silent(samples: Int16[np.ndarray, " n"]) -> bool:
    return len(samples) == 0 or int(samples.max()) - int(samples.min()) <= 2 * SILENT_PEAK


def _part(part: containers.Recording, repairs: list[str]) -> Int16[np.ndarray, " n"]:
    """Samples of one recording of a file; what had to be repaired is added to `repairs`."""
    encoded, wav = part.encoded, part.wav
    if wav is not None and wav.pcm and (wav.channels, wav.rate, wav.bits, wav.valid, wav.little_endian) == PLAIN:
        if wav.present // 2 > mixing.MOST_SAMPLES:
            raise mixing.too_long(RATE)
        return np.frombuffer(encoded, "<i2", count=wav.present // 2, offset=wav.start).astype(np.int16, copy=False)
    if wav is not None and wav.pcm and wav.valid < wav.bits in (16, 24, 32):
        return _mono(lambda: nullcontext((wav.rate, padded_pcm.blocks(encoded, wav))), repairs)
    if part.row.decoder == containers.FFMPEG or (wav is not None and wav.mpeg):
        return _mono(partial(ffmpeg.open_recording, encoded), repairs)
    if encoded.startswith(b"fLaC") and flac.leaves_out(encoded):  # libsndfile would; FFmpeg reads every frame
        repairs.append("more samples than STREAMINFO promises: all were read")
        return _mono(partial(ffmpeg.open_recording, encoded), repairs)
    try:
        return _mono(partial(_sndfile, stated_size.fill_in_sizes(encoded)), repairs)
    except _Unreadable as ours:
        try:
            return _mono(partial(ffmpeg.open_recording, encoded), repairs)
        except BadAudio as theirs:
            if theirs.reason != "unreadable":
                raise
            raise BadAudio("unreadable", f"libsndfile: {ours}; {theirs.detail}") from theirs


def _mono(recording: Open, repairs: list[str]) -> Int16[np.ndarray, " n"]:
    """Samples of a recording at RATE; it is decoded again if its unit or its channels ask for it."""

    def mix(**options) -> tuple[mixing.Mix, int]:
        with recording() as (rate, blocks):
            return mixing.mix(blocks, rate, **options), rate

    mono, rate = mix()
    if (unit := mixing.unit(mono)) != 1.0:
        repairs.append("float samples in 16-bit steps: scaled")
        mono, rate = mix(unit=unit)
    samples = _to_int16(mono.samples, rate)
    if mono.channels > 1 and (mono.cancels or _is_silent(samples)):
        loudest = _to_int16(mix(unit=unit, channel=mono.loudest)[0].samples, rate)
        if not _is_silent(loudest):
            repairs.append("channels that cancel: the loudest was taken")
            return loudest
    return samples


class _File(io.BytesIO):
    """libsndfile seeks to places before the start of damaged files. Stay there, as lseek does: an exception would be
    lost in C."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


@contextmanager
def _sndfile(encoded: bytes) -> Iterator[tuple[int, Blocks]]:
    """Rate and blocks of samples, by libsndfile. Raises _Unreadable, BadAudio `truncated`."""
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
    """Resample to RATE (band-limited, by torchaudio), round to 16 bits, and clip what is louder."""
    if rate != RATE and len(mono):
        common = gcd(rate, RATE)
        if (RATE // common) * (rate // common) > LARGEST_RESAMPLER or not 1_000 <= rate <= 400_000:
            raise BadAudio("sample_rate", f"{rate} Hz")
        return np.concatenate([_round(block) for block in _resample(mono, rate, common)])
    return _round(mono)


def _round(mono: Float32[np.ndarray, " n"]) -> Int16[np.ndarray, " n"]:
    return np.clip(np.rint(mono * 32768.0), -32768, 32767).astype(np.int16)


def _resample(mono: Float32[np.ndarray, " n"], rate: int, common: int) -> Iterator[Float32[np.ndarray, " _"]]:
    """The samples at RATE in blocks that join without a seam; `common` divides both rates.

    Each block consists of whole periods, after which the two rates meet. It is resampled together with its neighbours'
    samples as far as the filter reaches, which is at most 8 periods (its 6 zero crossings).
    """
    import torch
    import torchaudio.functional

    period, ours = rate // common, RATE // common
    size, reach = max(RESAMPLING_BLOCK // period, 1) * period, 8 * period
    for start in range(0, len(mono), size):
        begin, end = max(start - reach, 0), start + size
        block = torchaudio.functional.resample(torch.from_numpy(mono[begin : end + reach]), rate, RATE).numpy()
        first = (start - begin) // period * ours
        yield block[first : first + size // period * ours if end < len(mono) else None]
