"""Decoding by FFmpeg (PyAV): MP3, Ogg, AAC, Opus in WebM, WMA, the sound of a film; see ves.media.containers.

FFmpeg reads hundreds of formats, some of which name other files or addresses (playlists). Here it may read only
containers of sound, and may open nothing but the bytes it gets.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from ves.media import mpeg_audio, structure
from ves.media.audio import BadAudio

FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,iff,matroska,mov,mp3,mpc,mpc8,mpeg,mpegts,nistsphere,ogg,"
    "tak,tta,w64,wav,wv"
)
WITH_TIMES = ("matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "asf", "flv", "avi")  # of each packet, and a length
WITH_COUNT = ("flac", "ape", "tta", "wv", "tak", "mpc", "mpc8")  # of samples, in the header
WITH_CHECKSUMS = ("flac", "wavpack", "tta", "ape", "tak", "shorten", "ac3", "eac3")  # codecs
TOLERANCE_S = 0.1  # some encoders count the padding of the first and last packet, some do not
_CHECKS = {"err_detect": "crccheck+bitstream+buffer+explode"}  # without this FFmpeg ignores checksums
_PAUSE_S = 0.25  # a packet that lasts longer has a pause in it; the delay of an encoder is shorter
_DELAY_S = {"opus": 0.05, "libopus": 0.05}  # seconds that a decoder takes off at both ends, where that is known


def refuse_other_files(url: str, flags: int, options: dict[str, Any]) -> io.BytesIO:
    """For `io_open` of av.open: raise PermissionError when a file makes FFmpeg open another one."""
    raise PermissionError(f"this recording refers to another one, {url[:200]!r}")


@contextmanager
def open_recording(encoded: bytes) -> Iterator[tuple[int, Iterator[Float32[np.ndarray, "_ channels"]]]]:
    """Rate and blocks of samples of the default stream of sound. Raises BadAudio: `unreadable`, `truncated`."""
    import av  # takes a quarter of a second, and few corpora need it
    import av.error
    import av.logging

    av.logging.set_level(av.logging.PANIC)  # exceptions say what is wrong
    try:
        container = av.open(io.BytesIO(encoded), options={"format_whitelist": FORMATS}, io_open=refuse_other_files)
        with container:
            stream = _default(container)
            if container.format.name == "mp3":
                mpeg_audio.recordings(encoded)  # only for the errors that it raises
            blocks = _blocks(container, stream, _promise(container, stream, encoded))
            if (first := next(blocks, None)) is None:
                raise BadAudio("zero_length", "no samples")
            rate = stream.codec_context.sample_rate  # the decoder knows better than the container
            yield rate, chain([first], blocks)
    except (av.error.FFmpegError, OSError) as error:  # their text may name an object in memory, another in each run
        raise BadAudio("unreadable", f"FFmpeg cannot decode it: {error.strerror or error}") from error


def _default(container) -> Any:
    """The stream of sound that the container marks as the default, the first one if it marks none or several."""
    from av.stream import Disposition

    sounds = container.streams.audio
    if not sounds:
        raise BadAudio("unreadable", f"no sound in it ({container.format.name})")
    stream = next((sound for sound in sounds if sound.disposition & Disposition.default), sounds[0])
    if stream.codec_context is None:
        raise BadAudio("unreadable", f"FFmpeg has no decoder for it ({container.format.name})")
    return stream


def _blocks(container, stream, promise: "_Promise") -> Iterator[Float32[np.ndarray, "_ channels"]]:
    """Samples, packet by packet; at the end, BadAudio is raised if some were missing.

    There may be gaps between packets, where a recorder paused or nobody spoke: a recording is whole if its last packet
    ends where the container says.
    """
    import av

    stream.codec_context.thread_count = 1
    if stream.codec_context.name in WITH_CHECKSUMS:
        stream.codec_context.options = _CHECKS
    converter, form, tally = None, None, _Tally(len(container.streams), stream.index)
    for packet in container.demux():
        tally.add(packet)
        if packet.stream.index != stream.index:
            continue
        if packet.is_corrupt:
            raise BadAudio("truncated", f"packet {tally.packets} is cut off")
        for frame in packet.decode():
            if frame.is_corrupt:
                raise BadAudio("unreadable", f"packet {tally.packets} is damaged")
            if converter is None:
                form = (frame.sample_rate, frame.layout.name)
                converter = av.AudioResampler("fltp", frame.layout, frame.sample_rate)
            if (frame.sample_rate, frame.layout.name) != form:
                raise BadAudio("unreadable", f"it begins with {form}, and goes on with another rate or other channels")
            for block in converter.resample(frame):
                tally.samples += block.samples
                yield block.to_ndarray().T
    tally.check(promise, container.format.name, stream.codec_context.name, form[0] if form else 1)


class _Tally:
    """What a recording turned out to have: packets, their times, and the samples from them."""

    def __init__(self, streams: int, sound: int) -> None:
        self.sound, self.packets, self.samples = sound, 0, 0
        self.ends_s, self.begin_s = [0.0] * streams, None  # the ends of all streams, the start of sound
        self.packets_s, self.longest_s = 0.0, 0.0  # of the packets of sound: of all together, of the longest one

    def add(self, packet) -> None:
        """Take in a packet of any stream."""
        stream, base = packet.stream.index, packet.time_base
        lasts_s = float((packet.duration or 0) * base) if base else 0.0
        start_s = float(packet.pts * base) if base and packet.pts is not None else None
        if start_s is not None:
            self.ends_s[stream] = max(self.ends_s[stream], start_s + lasts_s)
        if stream == self.sound:
            self.begin_s = start_s if self.begin_s is None else self.begin_s
            self.packets += packet.size > 0
            self.longest_s = max(self.longest_s, lasts_s)
            self.packets_s += lasts_s if lasts_s < _PAUSE_S and not packet.is_discard else 0.0

    def check(self, promise: "_Promise", container: str, codec: str, rate: int) -> None:
        """Raise BadAudio `truncated` if there was less than the container promises, or than its packets last."""
        if self.packets < promise.packets:
            text = f"the header promises {promise.packets} packets of sound, {self.packets} are there"
            raise BadAudio("truncated", text)
        sound_s, end_s = self.samples / rate, self.ends_s[self.sound]
        exact_s = max(promise.sound_s, end_s if container == "flac" else 0.0)  # FLAC numbers its frames
        gapless_s = end_s - (self.begin_s or 0.0) if container == "asf" else 0.0  # FFmpeg skips damage: a gap
        for whole_s, actual_s, tolerance_s in (
            (promise.end_s, max(self.ends_s), TOLERANCE_S),
            (promise.sound_end_s, end_s, TOLERANCE_S),
            (exact_s, sound_s, 0.5 / rate),
            (gapless_s, sound_s, 1.5 * self.longest_s or TOLERANCE_S),
            (self.packets_s if container in WITH_TIMES else 0.0, sound_s, _DELAY_S.get(codec, _PAUSE_S)),
        ):
            if actual_s < whole_s - tolerance_s:
                raise BadAudio("truncated", f"it promises {whole_s:.2f} s of sound, {actual_s:.2f} s can be decoded")


class _Promise(NamedTuple):
    """What a container says of its length; 0 where it says nothing, or where FFmpeg guesses from size and bit rate."""

    end_s: float = 0.0  # end of the last packet of any stream, from the start of the file
    sound_end_s: float = 0.0  # end of the last packet of sound
    sound_s: float = 0.0  # length of the sound after decoding
    packets: int = 0  # of sound


def _promise(container, stream, encoded: bytes) -> _Promise:
    """What a container of this kind says."""
    name, duration_s = container.format.name, float(stream.duration * stream.time_base) if stream.duration else 0.0
    if name in WITH_COUNT:
        return _Promise(sound_s=duration_s)
    if name not in WITH_TIMES:
        return _Promise()
    end_s = (container.duration or 0) / 1e6 + min((container.start_time or 0) / 1e6, 0.0)
    if name.startswith("matroska"):
        sound_end_s = _seconds(stream.metadata.get("DURATION", ""))
        return _Promise(end_s if structure.matroska_states_duration(encoded) else 0.0, sound_end_s)
    if not name.startswith("mov"):
        return _Promise(end_s)
    begin_s = float((stream.start_time or 0) * stream.time_base)
    per_sample = re.match("pcm|adpcm|g7", stream.codec_context.name)  # then the index counts samples, not packets
    return _Promise(end_s, duration_s and begin_s + duration_s, packets=0 if per_sample else stream.frames)


def _seconds(duration: str) -> float:
    """Seconds from a text such as 00:00:04.008000000; 0 from any other."""
    if match := re.fullmatch(r"(\d+):(\d+):(\d+\.\d+)", duration):
        hours, minutes, seconds = map(float, match.groups())
        return 3600 * hours + 60 * minutes + seconds
    return 0.0
