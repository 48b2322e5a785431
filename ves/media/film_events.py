"""What comes out of the packets of a film: pictures, sound at 16 kHz, and damage, each with its time.

Nothing is repaired. A decoder would fill in what is missing of a picture from those before, so after damage no picture
comes before the next key picture. Times are seconds of the container.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from ves.media.audio import RATE

GAP_S = 0.05  # sound whose time is off by more than this begins anew; rounded times of packets differ by less
JUMP_S = 600.0  # no picture is shown so long; a time in a damaged film may be years away


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


def seconds(number: int | None, base: Any) -> float:
    """Seconds of a number of time units; 0 of None."""
    return 0.0 if number is None else float(number * base)


class PictureReader:
    """Pictures out of packets. After damage, nothing is shown before the next key picture."""

    def __init__(self, usual_s: float) -> None:
        self.until_s, self.usual_s = -math.inf, usual_s
        self.broken: str | None = None  # what is damaged, since `until_s`
        self.whole_from: int | None = None  # after damage: the time, in units of the stream, of a key picture behind it

    def read(self, packet) -> Iterator[Event]:
        """The pictures of one packet."""
        import av.error

        if packet.is_corrupt:
            self._break("a packet of pictures is cut off")
            return
        if self.broken and self.whole_from is None and packet.is_keyframe:
            self.whole_from = packet.pts
        try:
            frames = packet.decode()
        except (av.error.FFmpegError, ValueError) as error:  # ValueError: it says that it is of an unknown codec
            self._break(f"a picture cannot be decoded: {getattr(error, 'strerror', error)}")
            return
        for frame in frames:
            yield from self._show(frame)

    def _break(self, detail: str) -> None:
        self.broken, self.whole_from = self.broken or detail, None

    def _show(self, frame) -> Iterator[Event]:
        number = frame.pts if frame.pts is not None else frame.dts
        time_s = seconds(number, frame.time_base)
        step_s = 0.0 if self.until_s == -math.inf else time_s - self.until_s
        if number is None or not 0 <= step_s < JUMP_S:
            when = "without a time" if number is None else f"at {time_s:.3f} s"
            raise BadFilm("bad_times", f"a picture {when} follows one at {self.until_s:.3f} s")
        if frame.is_corrupt:
            self._break("a picture is damaged")
        if self.broken and (self.whole_from is None or number < self.whole_from):
            return  # also those in front of the key picture, which come after it in the file
        yield from self.close(time_s)
        if time_s > self.until_s:
            self.until_s = time_s
            yield Shown(time_s, seconds(frame.duration, frame.time_base) or self.usual_s, frame)

    def close(self, end_s: float = math.inf) -> Iterator[Damage]:
        """Damage that ends here, if there is any."""
        if self.broken:
            yield Damage(self.until_s, end_s, self.broken)
            self.broken = self.whole_from = None


class SoundReader:
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
        except (av.error.FFmpegError, ValueError) as error:
            detail = f"a packet of sound cannot be decoded: {getattr(error, 'strerror', error)}"
        if detail:  # the next packet is joined to it, so that is damaged too; and its time counts
            yield from self.close()
            self.form = None
            yield Damage(start_s, start_s + 2 * lasts_s, detail)

    def _hear(self, frame) -> Iterator[Heard]:
        import av

        time_s = max(self.until_s, 0.0) if frame.pts is None else seconds(frame.pts, frame.time_base)
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
