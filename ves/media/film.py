"""Films as one stream of events, in the order of the file: pictures, sound at 16 kHz, and where something is damaged.

A film is read once from its beginning to its end and is never in memory as a whole. As with sound (ves.media.ffmpeg),
FFmpeg may open nothing but the file itself, what a container promises must be there, and damage is an event and not
repaired: decoders would fill in what is missing from the picture before. Times are seconds of the container.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from ves.media import structure
from ves.media.audio import RATE
from ves.media.ffmpeg import FORMATS, WITH_TIMES, refuse_other_files

SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".flv", ".wmv", ".asf", ".mpg", ".mpeg", ".ts", ".mts"),
    *(".m2ts", ".ogv", ".ogg"),
)  # of the files that are taken for films, in any case
GAP_S = 0.05  # sound whose time is off by more than this begins anew; rounded times of packets differ by less
PROMISE_S = 0.2  # a film may end so much before the end that its container states
HEAD = 1 << 20  # bytes in which a Matroska file says whether it states its length
BUFFER = 1 << 18  # bytes read at a time
_EXPLODE = {"err_detect": "crccheck+bitstream+buffer+explode"}  # without this, decoders hide damage


class BadFilm(ValueError):
    """A film that is refused: `reason` is one word for refused.parquet, `detail` says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


class Shown(NamedTuple):
    """A picture (an av.VideoFrame) that is shown from `time_s` on, for `lasts_s` seconds unless another one comes."""

    time_s: float
    lasts_s: float
    frame: Any


class Heard(NamedTuple):
    """Sound at 16 kHz whose first sample is heard at `time_s`."""

    time_s: float
    channels: Float32[np.ndarray, "channels n"]


class Damage(NamedTuple):
    """From `start_s` to `end_s` (maybe infinity), pictures or sound are damaged."""

    start_s: float
    end_s: float
    detail: str


type Event = Shown | Heard | Damage


class Film:
    """An open film: `begin_s` and `end_s`, when its pictures begin and end as the container states it (NaN where it
    does not); `events`, once."""

    def __init__(self, container, states_times: bool) -> None:
        self.container = container
        self.pictures = _stream(container.streams.video, "no_picture", container.format.name)
        self.sound = _stream(container.streams.audio, "no_sound", container.format.name)
        self.begin_s = _seconds(self.pictures.start_time, self.pictures.time_base)
        self.end_s = _stated_end(container, self.pictures) if states_times else math.nan
        self.sound_end_s = _stated_end(container, self.sound) if states_times else math.nan
        rate = self.pictures.average_rate
        self.usual_s = float(1 / rate) if rate else 0.04  # between two pictures
        aspect = self.pictures.sample_aspect_ratio or self.pictures.codec_context.sample_aspect_ratio
        self.pixel_aspect = float(aspect) if aspect else 1.0  # width of a stored pixel as it is shown, to its height

    def events(self, from_s: float = -math.inf) -> Iterator[Event]:
        """Everything in the film, each kind in order of time, from the last key picture before `from_s` on.

        Raises BadFilm `bad_times` where pictures have no times or these run backwards.
        """
        if from_s > -math.inf:
            self.container.seek(round(from_s * 1e6), backward=True)
        readers = {self.pictures.index: _Pictures(self.usual_s), self.sound.index: _Sound()}
        for packet in _packets(self.container, self.pictures, self.sound):
            if isinstance(packet, str):  # the rest of the file cannot be read
                yield from (Damage(reader.until_s, math.inf, packet) for reader in readers.values())
                break
            yield from readers[packet.stream.index].read(packet)
        for reader in readers.values():
            yield from reader.close()


@contextmanager
def open_film(path: Path) -> Iterator[Film]:
    """Open a film. Raises BadFilm: `empty`, `unreadable`, `no_picture`, `no_sound`."""
    import av  # takes a quarter of a second
    import av.error
    import av.logging

    av.logging.set_level(av.logging.PANIC)  # exceptions say what is wrong
    with open(path, "rb", buffering=BUFFER) as file:
        if not (head := file.read(HEAD)):
            raise BadFilm("empty", "0 bytes")
        file.seek(0)
        try:
            options = {"format_whitelist": FORMATS}
            container = av.open(file, options=options, io_open=refuse_other_files, buffer_size=BUFFER)
        except (av.error.FFmpegError, OSError) as error:
            raise BadFilm("unreadable", f"FFmpeg cannot open it: {error.strerror or error}") from error
        with container:
            name = container.format.name
            states = structure.matroska_states_duration(head) if name.startswith("matroska") else name in WITH_TIMES
            yield Film(container, states)


def last_packet_s(path: Path) -> float:
    """When the last picture of a film ends, by its packets; nothing is decoded. Raises BadFilm as `open_film` does."""
    with open_film(path) as film:
        end_s = film.begin_s
        for packet in _packets(film.container, film.pictures):
            if not isinstance(packet, str) and packet.pts is not None:
                lasts_s = float((packet.duration or 0) * packet.time_base) or film.usual_s
                end_s = max(end_s, float(packet.pts * packet.time_base) + lasts_s)
    return end_s


def _stream(streams, reason: str, container: str) -> Any:
    """The default stream of a kind, else the first; a cover is no picture of a film."""
    from av.stream import Disposition

    moving = [stream for stream in streams if not stream.disposition & Disposition.attached_pic]
    if not moving:
        raise BadFilm(reason, f"no {'pictures' if reason == 'no_picture' else 'sound'} in it ({container})")
    stream = next((stream for stream in moving if stream.disposition & Disposition.default), moving[0])
    if stream.codec_context is None:
        raise BadFilm("unreadable", f"FFmpeg has no decoder for its {stream.type} ({container})")
    stream.codec_context.thread_count = 1  # errors come with their packet, and a job has one core
    stream.codec_context.options = _EXPLODE
    return stream


def _seconds(number: int | None, base) -> float:
    return 0.0 if number is None else float(number * base)


def _stated_end(container, stream) -> float:
    """When a stream ends: as its own entry says, else as that of the whole file does; NaN without either."""
    if stream.duration and container.format.name.startswith("mov"):
        return _seconds(stream.start_time, stream.time_base) + float(stream.duration * stream.time_base)
    if container.duration and stream.type == "video":
        return container.duration / 1e6 + min((container.start_time or 0) / 1e6, 0.0)
    return math.nan


def _packets(container, *streams) -> Iterator[Any]:
    """The packets of the streams; a text in place of the rest of a file that cannot be read."""
    import av.error

    try:
        yield from container.demux(*streams)
    except (av.error.FFmpegError, OSError) as error:
        yield f"FFmpeg cannot read on: {error.strerror or error}"


class _Pictures:
    """Pictures out of packets. After damage, nothing is shown before the next key picture."""

    def __init__(self, usual_s: float) -> None:
        self.until_s, self.usual_s = -math.inf, usual_s
        self.broken: str | None = None  # what is damaged, since `until_s`

    def read(self, packet) -> Iterator[Event]:
        """The pictures of one packet."""
        import av.error

        if packet.is_corrupt:
            self.broken = self.broken or "a packet of pictures is cut off"
            return
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            self.broken = self.broken or f"a picture cannot be decoded: {error.strerror or error}"
            return
        for frame in frames:
            yield from self._show(frame)

    def _show(self, frame) -> Iterator[Event]:
        number = frame.pts if frame.pts is not None else frame.dts
        time_s = _seconds(number, frame.time_base)
        if number is None or time_s < self.until_s:
            raise BadFilm("bad_times", f"a picture {'without a time' if number is None else f'at {time_s:.3f} s'} "
                          f"follows one at {self.until_s:.3f} s")  # fmt: skip
        if frame.is_corrupt:
            self.broken = self.broken or "a picture is damaged"
        if self.broken and (frame.is_corrupt or not frame.key_frame):
            return
        yield from self.close(time_s)
        if time_s > self.until_s:
            self.until_s = time_s
            yield Shown(time_s, _seconds(frame.duration, frame.time_base) or self.usual_s, frame)

    def close(self, end_s: float = math.inf) -> Iterator[Damage]:
        """Damage that ends here, if there is any."""
        if self.broken:
            yield Damage(self.until_s, end_s, self.broken)
            self.broken = None


class _Sound:
    """Sound at 16 kHz out of packets. Where its times leave a gap, or its form changes, it begins anew."""

    def __init__(self) -> None:
        self.until_s = -math.inf  # of what has been given to the resampler
        self.begin_s, self.given, self.form = 0.0, 0, None  # of the present piece: samples given at the rate of `form`
        self.taken = 0  # samples at RATE that the present piece has brought
        self.resampler = None

    def read(self, packet) -> Iterator[Event]:
        """The sound of one packet."""
        import av.error

        lasts_s = float((packet.duration or 0) * packet.time_base) if packet.time_base else 0.0
        start_s = max(self.until_s, 0.0) if packet.pts is None else float(packet.pts * packet.time_base)
        detail = "a packet of sound is cut off" if packet.is_corrupt else ""
        try:
            for frame in () if detail else packet.decode():
                yield from self._hear(frame)
        except av.error.FFmpegError as error:
            detail = f"a packet of sound cannot be decoded: {error.strerror or error}"
        if detail:  # the next packet is joined to it, so that is damaged too; and its time counts
            yield from self.close()
            self.form = None
            yield Damage(start_s, start_s + 2 * lasts_s, detail)

    def _hear(self, frame) -> Iterator[Heard]:
        import av

        time_s = max(self.until_s, 0.0) if frame.pts is None else _seconds(frame.pts, frame.time_base)
        form = (frame.sample_rate, frame.layout.name)
        if form != self.form or abs(time_s - self.until_s) > GAP_S:
            yield from self.close()
            self.resampler = av.AudioResampler("fltp", frame.layout, RATE)
            self.begin_s, self.given, self.taken, self.form = time_s, 0, 0, form
        self.given += frame.samples
        self.until_s = self.begin_s + self.given / frame.sample_rate
        yield from self._pieces(frame)

    def _pieces(self, frame) -> Iterator[Heard]:
        assert self.resampler is not None
        if frame is not None:
            frame.pts = None  # the resampler would fill gaps with silence
        for block in self.resampler.resample(frame):
            piece = block.to_ndarray()
            yield Heard(self.begin_s + self.taken / RATE, piece)
            self.taken += piece.shape[1]

    def close(self) -> Iterator[Heard]:
        """What the resampler holds back."""
        if self.resampler is not None:
            yield from self._pieces(None)
            self.resampler = None
