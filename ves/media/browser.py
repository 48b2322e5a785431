"""Sound and pictures as every browser reads them, small, and the same bytes for the same input."""

import io
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Int16, UInt8
from PIL import Image

from ves.media.audio import RATE

PICTURE_SIDE, THUMBNAIL_SIDE = 640, 150  # pixels of the longer side, at most
SPEECH_BITS = 24_000  # a second: speech that one listens to, whose timing nothing depends on


def jpeg(picture: Image.Image, side: int) -> bytes:
    """A JPEG whose longer side has at most so many pixels; what is smaller stays as it is."""
    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    small.save(encoded := io.BytesIO(), "JPEG", quality=85, optimize=True)
    return encoded.getvalue()


def flac(samples: Int16[np.ndarray, " n"]) -> bytes:
    """FLAC in MP4: lossless, so that sound and heatmap are of one moment, and a browser finds any moment of it.

    In a file of its own, without a table of its frames, Chromium loses its way when it seeks towards the end.
    """
    return _mp4(samples[None], "s16", "flac")


def aac(samples: Int16[np.ndarray, " n"]) -> bytes:
    """AAC in MP4, a fifth of FLAC, for clips that are only listened to."""
    heard = (samples / np.float32(2**15)).astype(np.float32)
    return _mp4(heard[None], "fltp", "aac", bit_rate=SPEECH_BITS)


def _mp4(samples: np.ndarray, form: str, codec: str, bit_rate: int | None = None) -> bytes:
    """Samples [1, n] of a PyAV sample format, encoded."""
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
        container.mux([packet for packet in stream.encode(None) if packet.size])  # FLAC's last holds its header only
    return encoded.getvalue()


def peaks(samples: Int16[np.ndarray, " n"], bars: int) -> UInt8[np.ndarray, " bars"]:
    """The greatest amplitude in each of `bars` equal parts of a window, 255 for the loudest; silence gives zeros."""
    edges = np.linspace(0, len(samples), bars + 1).round().astype(int)
    loud = np.array([np.abs(samples[a:b].astype(np.int32)).max(initial=0) for a, b in pairwise(edges)])
    return (255 * loud / max(loud.max(initial=0), 1)).round().astype(np.uint8)
