"""Sound that libsndfile does not know, decoded by FFmpeg (PyAV): AAC, Opus in WebM, WMA, the sound of a film.

FFmpeg reads hundreds of formats, some of which name other files or addresses (playlists); here it knows only containers
of sound, and opens nothing but the bytes it is given.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Float32

from ves.media.audio import BadAudio

FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,matroska,mov,mp3,mpc,mpc8,mpeg,mpegts,ogg,tak,tta,w64,wav,wv"
)
PROMISE = ("matroska,webm", "asf", "flv")  # containers whose duration is written, not guessed from the bit rate
TOLERANCE_S = 0.1  # of it: encoders count the padding of the first and last packet in or out


def _elsewhere(url: str, flags: int, options: dict[str, Any]) -> io.BytesIO:
    raise PermissionError(f"this recording refers to another one, {url[:200]!r}")


@contextmanager
def opened(encoded: bytes) -> Iterator[tuple[int, int, Iterator[Float32[np.ndarray, "_ channels"]]]]:
    """Rate, channels and decoded blocks of the first stream of sound. Raises BadAudio: `unreadable`, `truncated`."""
    import av  # takes a quarter of a second, and few corpora need it
    import av.error
    import av.logging

    av.logging.set_level(av.logging.PANIC)  # what is wrong is told by exceptions
    try:
        container = av.open(io.BytesIO(encoded), options={"format_whitelist": FORMATS}, io_open=_elsewhere)
        with container:
            if not container.streams.audio:
                raise BadAudio("unreadable", f"no sound in it ({container.format.name})")
            if container.streams.audio[0].codec_context is None:
                raise BadAudio("unreadable", f"FFmpeg has no decoder for it ({container.format.name})")
            blocks = _blocks(container, container.streams.audio[0])
            if (first := next(blocks, None)) is None:
                raise BadAudio("zero_length", "no samples")
            rate = container.streams.audio[0].codec_context.sample_rate  # the decoder knows better than the container
            yield rate, first.shape[1], chain([first], blocks)
    except (av.error.FFmpegError, OSError) as error:  # their text may name an object in memory: not the same each run
        raise BadAudio("unreadable", f"libsndfile does not know it, FFmpeg: {error.strerror or error}") from error


def _blocks(container, stream) -> Iterator[Float32[np.ndarray, "_ channels"]]:
    """Decoded samples, packet by packet, and in the end whether all were there."""
    import av

    stream.codec_context.thread_count = 1
    converter, form, packets, count = None, None, 0, 0
    for packet in container.demux(stream):
        packets += packet.size > 0
        if packet.is_corrupt:
            raise BadAudio("truncated", f"packet {packets} is cut off")
        for frame in packet.decode():
            if converter is None:
                form = (frame.sample_rate, frame.layout.name)
                converter = av.AudioResampler("fltp", frame.layout, frame.sample_rate)
            if (frame.sample_rate, frame.layout.name) != form:
                raise BadAudio("unreadable", f"it begins with {form}, and goes on with another rate or other channels")
            for converted in converter.resample(frame):
                count += converted.samples
                yield converted.to_ndarray().T
    _check_whole(container, stream, packets, count / form[0] if form else 0.0)


def _check_whole(container, stream, packets: int, seconds: float) -> None:
    """Raise BadAudio `truncated` if the container promises more than came, where it does."""
    if container.format.name.startswith("mov") and packets < stream.frames:
        raise BadAudio("truncated", f"the header promises {stream.frames} packets of sound, {packets} are there")
    promised = _promised(container, stream)
    if seconds < promised - TOLERANCE_S:
        raise BadAudio("truncated", f"the header promises {promised:.2f} s, {seconds:.2f} can be decoded")


def _promised(container, stream) -> float:
    """Seconds of the stream as its container states them; 0 if it does not, or only for all streams together."""
    if stated := re.fullmatch(r"(\d+):(\d+):(\d+\.\d+)", stream.metadata.get("DURATION", "")):
        hours, minutes, seconds = map(float, stated.groups())
        return 3600 * hours + 60 * minutes + seconds
    stated = container.format.name in PROMISE and len(container.streams) == 1
    return (container.duration or 0) / 1e6 if stated else 0.0
