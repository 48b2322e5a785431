"""Films made by PyAV, whose pictures say which they are, and whose sound says when it is.

`write_film` takes the pictures with their times, so a film may have any rate and any gaps. `numbered` makes a picture
that `number_of` reads again after any encoder; `ticks` is noise with a click at each whole second.
"""

import io
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

SIZE = (64, 48)  # width, height
BITS = 8  # of the number of a picture, from left to right, the greatest first
FINE = 12_800  # steps of a second in which times of pictures are written: 10, 12.5, 16, 25, 32, 50 and 64 a second fit


def numbered(number: int, size: tuple[int, int] = SIZE) -> UInt8[np.ndarray, "H W 3"]:
    """A picture of BITS upright bars, a bright one for each 1 of the number, with a blue band along its upper edge."""
    width, height = size
    bits = [number >> (BITS - 1 - place) & 1 for place in range(BITS)]
    bars = np.repeat(np.array(bits, np.uint8) * 180 + 40, -(-width // BITS))[:width]
    picture = np.repeat(np.tile(bars, (height, 1))[:, :, None], 3, axis=2)
    picture[: height // 6] = (20, 20, 220)
    return picture


def number_of(picture: Image.Image) -> int:
    """The number of a picture of `numbered`, at any size, upright."""
    width, height = picture.size
    row = np.asarray(picture.convert("L"), np.float32)[height // 3 : height - height // 6].mean(axis=0)
    middles = [(place + 0.5) * width / BITS for place in range(BITS)]
    return sum(int(row[int(middle)] > 130) << (BITS - 1 - place) for place, middle in enumerate(middles))


def steady(seconds: float, rate: float = 10, size: tuple[int, int] = SIZE) -> list[tuple[float, np.ndarray]]:
    """Times and pictures of a film of a constant rate, numbered from 0 (modulo 256)."""
    return [(number / rate, numbered(number % 256, size)) for number in range(round(seconds * rate))]


def ticks(seconds: float, rate: int = 44_100, begin_s: float = 0.0) -> Float32[np.ndarray, " n"]:
    """Quiet noise from `begin_s` on, with a click of 2 ms at each whole second."""
    count = round(seconds * rate)
    sound = np.random.default_rng(7).normal(0, 0.003, count).astype(np.float32)
    for second in range(int(np.ceil(begin_s)), int(np.ceil(begin_s + seconds))):
        at = round((second - begin_s) * rate)
        sound[at : at + rate // 500] += 0.8
    return sound


def clicks(samples: np.ndarray, rate: int = 16_000) -> list[float]:
    """Seconds at which the clicks of `ticks` begin in some samples of 16 bits."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 6_000)
    return [float(at) / rate for at in loud[np.diff(loud, prepend=-rate) > rate // 10]]


def write_film(
    path: Path,
    pictures: Iterable[tuple[float, UInt8[np.ndarray, "H W 3"]]],
    sound: Float32[np.ndarray, "..."] | None = None,
    *,
    kind: str | None = None,
    codecs: tuple[str, str] = ("libx264", "aac"),
    rate: int = 44_100,
    sound_at_s: float = 0.0,
    turned: int = 0,
    pixel_aspect: Fraction | None = None,
    keys: int = 12,
    options: dict[str, str] | None = None,
) -> Path:
    """Write pictures (times in seconds, RGB) and sound ([n] or [channels, n], which begins at `sound_at_s`).

    `kind` is FFmpeg's name of the container, by the suffix if None; `turned` degrees the display matrix says the
    picture is turned counter-clockwise; `keys` the number of pictures from one key picture to the next.
    """
    pictures = list(pictures)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=kind, options=options or {}) as container:
        film = _video(container, pictures, codecs[0], turned, pixel_aspect, keys) if pictures else None
        heard = None
        if sound is not None:
            channels = np.atleast_2d(sound)
            layout = {1: "mono", 2: "stereo"}[len(channels)]
            heard = container.add_stream(codecs[1], rate=rate, layout=layout)
        packets: list[tuple[float, Any]] = []
        if film is not None:
            packets += _pictures(film, pictures)
        if heard is not None:
            packets += _sound(heard, channels, rate, layout, sound_at_s)
        for _, packet in sorted(packets, key=lambda timed: timed[0]):
            container.mux(packet)
    return path


def _video(container, pictures, codec: str, turned: int, pixel_aspect, keys: int) -> Any:
    height, width = pictures[0][1].shape[:2]
    small = {"libx264": {"preset": "veryfast", "crf": "18", "sc_threshold": "0"}}.get(codec, {"b": "1000000"})
    steps = 1000 if codec == "mpeg4" else FINE
    film = container.add_stream(codec, rate=steps if codec == "mpeg4" else 25, options=small)
    film.width, film.height, film.pix_fmt = width, height, "yuv420p"
    film.codec_context.time_base = Fraction(1, steps)
    film.codec_context.gop_size = keys
    film.codec_context.thread_count = 1
    if pixel_aspect is not None:
        film.codec_context.sample_aspect_ratio = pixel_aspect
    if turned:
        film.set_display_rotation(turned)
    return film


def _pictures(film, pictures) -> list[tuple[float, Any]]:
    base, made = film.codec_context.time_base, []
    for time_s, pixels in pictures:
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = round(time_s / base), base
        made += film.encode(frame)
    made += film.encode(None)
    marks = [round(time_s / base) for time_s, _ in pictures]
    lasting = [end - begin for begin, end in pairwise(marks)] or [round(0.04 / base)]
    lasts = dict(zip(marks, [*lasting, lasting[-1]], strict=True))  # the last one as long as the one before
    for packet in made:
        packet.duration = lasts[packet.pts]
    return [(float(packet.dts * packet.time_base), packet) for packet in made]


def _sound(heard, channels, rate: int, layout: str, at_s: float) -> list[tuple[float, Any]]:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels, np.float32), format="fltp", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    cut = av.AudioResampler(heard.format.name, layout, rate, frame_size=heard.frame_size or 1024)
    made, given = [], round(at_s * rate)
    for block in [*cut.resample(frame), *cut.resample(None)]:
        block.pts, block.time_base = given, Fraction(1, rate)
        given += block.samples
        made += heard.encode(block)
    made += heard.encode(None)
    return [(float(packet.dts * packet.time_base), packet) for packet in made if packet.size]


def cut_short(path: Path, share: float) -> Path:
    """Keep the first part of a file only."""
    whole = path.read_bytes()
    path.write_bytes(whole[: round(len(whole) * share)])
    return path


def damage(path: Path, time_s: float, kind: str = "video") -> Path:
    """Overwrite the packet that begins at or after a time, so that no decoder takes it for a valid one."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        found = next(
            packet
            for packet in container.demux(stream)
            if packet.pts is not None and packet.pts * packet.time_base >= time_s and packet.size > 16
        )
        place, size = found.pos, found.size
    content = bytearray(path.read_bytes())
    assert place is not None
    content[place : place + size] = b"\xff" * size
    path.write_bytes(content)
    return path


def jpeg(picture: Image.Image) -> bytes:
    """What a source keeps of a picture."""
    picture.save(file := io.BytesIO(), "JPEG", quality=92)
    return file.getvalue()
