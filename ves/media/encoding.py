"""Pictures and sound into a film that every browser plays: H.264 and AAC in MP4, its index in front of the data.

The encoders have one thread each and no clock, so that the same input gives the same bytes on one machine. For that
x264's macroblock tree must be off, and with it the look ahead: the one in PyAV's wheel (x264 165) reads memory there
that nobody has written (26 of 66 films differed, with both off none of 270).
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import Int16, UInt8

from ves.base.files import atomic
from ves.media.audio import RATE

BLOCK = 2  # pixels of a side that share their chroma
X264 = {"crf": "20", "preset": "veryfast", "x264-params": "mbtree=0:rc-lookahead=0"}
SOUND_BITS = 64_000  # a second
BT709, LIMITED = 1, 1  # what the streams call the matrix of colours, and the range of the encoded values


def write(
    path: Path, frames: Iterator[UInt8[np.ndarray, "H W 3"]], rate: int, samples: Int16[np.ndarray, " n"]
) -> None:
    """Write frames of one size, `rate` a second, and 16 kHz sound that begins with the first of them.

    Raises ValueError without a frame or without a sample, or where a side is no multiple of BLOCK.
    """
    import av

    if (first := next(frames, None)) is None or not len(samples):
        raise ValueError(f"{path}: a film needs a picture and a sound, one of them has no length")
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
        for given in (sound, None):  # None: what the encoder holds back
            container.mux(audio.encode(given))
        for number, pixels in enumerate(chain([first], frames)):
            shown = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                format="yuv420p", dst_colorspace="itu709"
            )
            shown.pts = number
            container.mux(video.encode(shown))
        container.mux(video.encode(None))
