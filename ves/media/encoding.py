"""Pictures and sound as every browser reads them, the same bytes for the same input.

`write` makes a film: H.264 and AAC in MP4, its index in front of the data. `jpeg`, `flac` and `aac` are for pages.

The encoders have one thread each and no clock, so that the same input gives the same bytes on one machine. For that
x264's macroblock tree must be off, and with it the look ahead: the one in PyAV's wheel (x264 165) reads memory there
that nobody has written (26 of 66 films differed; with both off, none of 270 did).
"""

import io
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int16, UInt8
from PIL import Image

from ves.base.files import atomic
from ves.media.audio import RATE

BLOCK = 2  # pixels of a side that share their chroma
X264 = {"crf": "20", "preset": "veryfast", "x264-params": "mbtree=0:rc-lookahead=0"}
SOUND_BITS = 64_000  # a second
BT709, LIMITED = 1, 1  # in the streams: the numbers of the colour matrix and of the range of encoded values
PICTURE_SIDE, THUMBNAIL_SIDE = 640, 150  # pixels of the longer side, at most
SPEECH_BITS = 24_000  # a second: for speech that one only listens to


def write(
    path: Path, frames: Iterator[UInt8[np.ndarray, "H W 3"]], rate: int | Fraction, samples: Int16[np.ndarray, " n"]
) -> None:
    """Write frames of one size, `rate` a second, and 16 kHz sound that begins with the first of them.

    Raises ValueError if there is no frame or no sample, or if a side is no multiple of BLOCK.
    """
    import av

    if (first := next(frames, None)) is None or not len(samples):
        raise ValueError(f"{path}: a film needs at least one frame and one sample of sound")
    if first.shape[0] % BLOCK or first.shape[1] % BLOCK:
        raise ValueError(f"{path}: frames of {first.shape[1]} x {first.shape[0]}; sides must be multiples of {BLOCK}")
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with atomic(path) as temporary, av.open(str(temporary), "w", format="mp4", options=options) as container:
        video = container.add_stream("libx264", rate=rate, options=X264)
        video.height, video.width = first.shape[:2]
        video.pix_fmt = "yuv420p"
        context = video.codec_context
        context.thread_count = 1
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED
        audio = container.add_stream("aac", rate=RATE, layout="mono")
        audio.bit_rate = SOUND_BITS
        sound = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        sound.sample_rate, sound.pts = RATE, 0
        for frame in (sound, None):  # None: what the encoder holds back
            container.mux(audio.encode(frame))
        for number, pixels in enumerate(chain([first], frames)):
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            picture = picture.reformat(format="yuv420p", dst_colorspace="itu709")
            picture.pts = number
            container.mux(video.encode(picture))
        container.mux(video.encode(None))


def even(picture: Image.Image) -> UInt8[np.ndarray, "H W 3"]:
    """Pixels of a picture without the last row or column that is one too many for H.264."""
    pixels = np.asarray(picture)
    height, width = (side - side % BLOCK for side in pixels.shape[:2])
    return pixels[:height, :width]


def jpeg(picture: Image.Image, side: int) -> bytes:
    """A JPEG whose longer side has at most `side` pixels; a smaller picture keeps its size."""
    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    small.save(encoded := io.BytesIO(), "JPEG", quality=85, optimize=True)
    return encoded.getvalue()


def flac(samples: Int16[np.ndarray, " n"]) -> bytes:
    """FLAC in MP4: lossless, so that sound and heatmap keep in step, and a browser can seek to any moment.

    In a bare FLAC file, which has no table of its frames, Chromium gets lost when it seeks towards the end.
    """
    return _mp4(samples[None], "s16", "flac")


def aac(samples: Int16[np.ndarray, " n"]) -> bytes:
    """AAC in MP4, a fifth of the size of FLAC, for clips that one only listens to."""
    waveform = (samples / np.float32(2**15)).astype(np.float32)
    return _mp4(waveform[None], "fltp", "aac", bit_rate=SPEECH_BITS)


def _mp4(samples: np.ndarray, form: str, codec: str, bit_rate: int | None = None) -> bytes:
    """An MP4 of samples [1, n] that have the PyAV sample format `form`."""
    import av  # takes a quarter of a second

    with av.open(encoded := io.BytesIO(), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream: Any = container.add_stream(codec, rate=RATE, layout="mono", options={"flags": "+bitexact"})
        if bit_rate:
            stream.bit_rate = bit_rate
        stream.codec_context.open()
        size = stream.codec_context.frame_size
        for start in range(0, samples.shape[1], size):
            part = np.ascontiguousarray(samples[:, start : start + size])
            frame = av.AudioFrame.from_ndarray(part, format=form, layout="mono")
            frame.sample_rate, frame.pts = RATE, start
            container.mux(stream.encode(frame))
        container.mux([packet for packet in stream.encode(None) if packet.size])  # FLAC's last one is only its header
    return encoded.getvalue()


def peaks(samples: Int16[np.ndarray, " n"], bars: int) -> UInt8[np.ndarray, " bars"]:
    """The greatest amplitude in each of `bars` equal parts of a window, 255 for the loudest; silence gives zeros."""
    edges = np.linspace(0, len(samples), bars + 1).round().astype(int)
    loud = np.array([np.abs(samples[a:b].astype(np.int32)).max(initial=0) for a, b in pairwise(edges)])
    return (255 * loud / max(loud.max(initial=0), 1)).round().astype(np.uint8)
