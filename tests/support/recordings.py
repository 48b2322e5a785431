"""Recordings that only FFmpeg reads, encoded by it."""

import io

import av
import numpy as np


def tone_file(
    kind: str, codec: str, seconds: float = 1.0, rate: int = 44_100, layout: str = "stereo", pictures: int = 0
) -> bytes:
    """A tone of 440 Hz and peak 0.5 in a container of that kind, beside a film of so many pictures, 10 a second.

    Without sound if it lasts 0 seconds.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        film = container.add_stream("mpeg4", rate=10, width=64, height=64, pix_fmt="yuv420p") if pictures else None
        sound = container.add_stream(codec, rate=rate, layout=layout) if seconds else None
        assert sound is None or isinstance(sound, av.AudioStream)
        if film:
            for number in range(pictures):
                picture = av.VideoFrame.from_ndarray(np.zeros((96, 64), np.uint8), format="yuv420p")
                picture.pts = number
                container.mux(film.encode(picture))
        if sound:
            mono = (0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)
            channels = np.stack([mono] * av.AudioLayout(layout).nb_channels)
            frame = av.AudioFrame.from_ndarray(channels, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, 0
            cut = av.AudioResampler(sound.format.name, layout, rate, frame_size=sound.frame_size or 1024)
            for block in [*cut.resample(frame), *cut.resample(None), None]:
                container.mux(sound.encode(block))
        if film:
            container.mux(film.encode(None))
    return file.getvalue()
