"""Films as one stream of events, in the order of the file: pictures, sound at 16 kHz, and where something is damaged.

A film is read once from its beginning to its end and is never in memory as a whole. As with sound (ves.media.ffmpeg),
FFmpeg may open nothing but the file itself, what a container promises must be there, and damage is an event and not
repaired: decoders would fill in what is missing from the picture before. Times are seconds of the container.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ves.media import structure
from ves.media.ffmpeg import FORMATS, WITH_TIMES, refuse_other_files
from ves.media.film_events import BadFilm, Damage, Event, PictureReader, SoundReader, seconds

SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".flv", ".wmv", ".asf", ".mpg", ".mpeg", ".ts", ".mts"),
    *(".m2ts", ".ogv", ".ogg"),
)  # of the files that are taken for films, in any case
PROMISE_S = 0.2  # a film may end so much before the end that its container states
HEAD = 1 << 20  # bytes in which a Matroska file says whether it states its length
BUFFER = 1 << 18  # bytes read at a time
_EXPLODE = {"err_detect": "crccheck+bitstream+buffer+explode"}  # without this, decoders hide damage


class Film:
    """An open film: `begin_s` and `end_s`, when its pictures begin and end as the container states it (NaN where it
    does not); `events`, once."""

    def __init__(self, container, states_times: bool) -> None:
        self.container = container
        self.pictures = _stream(container.streams.video, "no_picture", container.format.name)
        self.sound = _stream(container.streams.audio, "no_sound", container.format.name)
        self.begin_s = seconds(self.pictures.start_time, self.pictures.time_base)
        self.end_s = _stated_end(container, self.pictures) if states_times else math.nan
        self.sound_end_s = _stated_end(container, self.sound) if states_times else math.nan
        rate = self.pictures.average_rate
        self.usual_s = float(1 / rate) if rate else 0.04  # between two pictures
        aspect = self.pictures.sample_aspect_ratio or self.pictures.codec_context.sample_aspect_ratio
        self.pixel_aspect = float(aspect) if aspect else 1.0  # width of a stored pixel as it is shown, to its height

    def events(self, from_s: float = -math.inf) -> Iterator[Event]:
        """Everything in the film, each kind in order of time, from the last key picture before `from_s` on.

        Raises BadFilm `bad_times` where pictures have no times or these run backwards, `unreadable` where a seek fails.
        """
        import av.error

        if from_s > -math.inf:
            try:
                self.container.seek(round(from_s * 1e6), backward=True)
            except av.error.FFmpegError as error:
                raise BadFilm("unreadable", f"FFmpeg cannot seek in it: {error.strerror}") from error
        readers = {self.pictures.index: PictureReader(self.usual_s), self.sound.index: SoundReader()}
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
        except (av.error.FFmpegError, PermissionError) as error:  # not an error of the disk: that stops the job
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


def _stated_end(container, stream) -> float:
    """When a stream ends: as its own entry says, else as that of the whole file does; NaN without either."""
    if stream.duration and container.format.name.startswith("mov"):
        return seconds(stream.start_time, stream.time_base) + float(stream.duration * stream.time_base)
    if container.duration and stream in container.streams.video:
        return container.duration / 1e6 + min((container.start_time or 0) / 1e6, 0.0)
    return math.nan


def _packets(container, *streams) -> Iterator[Any]:
    """The packets of the streams; a text in place of the rest of a file that cannot be read."""
    import av.error

    try:
        yield from container.demux(*streams)
    except (av.error.FFmpegError, PermissionError) as error:
        yield f"FFmpeg cannot read on: {error.strerror or error}"
