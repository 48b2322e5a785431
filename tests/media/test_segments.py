"""Segments of films of every kind hold the sound and the pictures of their own time, or are refused for a reason."""

import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.films import (
    clicks,
    cut_short,
    damage,
    number_of,
    numbered,
    steady,
    ticks,
    write_film,
)
from ves.media.film_events import BadFilm
from ves.media.segments import Cut, Refusal, Segment, cut

Pieces = list[Segment[Image.Image] | Refusal]
KINDS = {  # suffix: codecs, rate, and seconds by which the encoder of sound delays it where the container cannot say so
    "mp4": (("libx264", "aac"), 44_100, 0.0),
    "mov": (("mpeg4", "pcm_s16le"), 44_100, 0.0),
    "mkv": (("libx264", "aac"), 44_100, 0.0),
    "webm": (("libvpx-vp9", "libopus"), 48_000, 0.0),
    "avi": (("mpeg4", "libmp3lame"), 44_100, 0.025),
    "ts": (("libx264", "aac"), 44_100, 0.0),
    "flv": (("libx264", "aac"), 44_100, 0.0),
}


def of(path: Path, frames: int | Callable[[float], int] = 2, **other: Any) -> Pieces:
    """Segments of a film, of one second unless said otherwise."""
    how = Cut(**({"segment_s": 1.0, "frames": frames, "side": None, "middle": False} | other))
    return list(cut(path, how, lambda picture: picture))


def shown(pieces: Pieces) -> list[Any]:
    """The numbers of the pictures of each segment, and the reasons of refusals."""
    return [[number_of(one) for one in p.pictures] if isinstance(p, Segment) else p.reason for p in pieces]


def first(pieces: Pieces) -> Segment[Image.Image]:
    piece = pieces[0]
    assert isinstance(piece, Segment)
    return piece


@pytest.mark.parametrize("suffix", KINDS)
def test_sound_and_pictures_of_every_container_are_of_their_second(tmp_path: Path, suffix: str) -> None:
    codecs, rate, late_s = KINDS[suffix]
    sound = ticks(3.4, rate)
    film = write_film(
        tmp_path / f"a.{suffix}", steady(3.4), sound, codecs=codecs, rate=rate, kind={"ts": "mpegts"}.get(suffix)
    )
    *whole, tail = of(film)
    assert isinstance(tail, Refusal)
    assert (tail.number, tail.start_s, tail.reason) == (3, 3.0, "short_tail")
    assert len(whole) == 3
    for number, piece in enumerate(whole):
        assert isinstance(piece, Segment)
        assert (piece.number, piece.start_s, piece.samples.dtype, len(piece.samples)) == (
            number,
            number,
            "int16",
            16_000,
        )
        assert clicks(piece.samples)[0] == pytest.approx(late_s, abs=0.002)
        assert shown([piece]) == [[10 * number + 2, 10 * number + 7]]  # at 0.25 and 0.75 s these are shown


def test_pictures_are_the_nearest_of_a_variable_rate_and_none_that_comes_much_later(tmp_path: Path) -> None:
    times = [0, 0.1, 0.36, 0.63, 0.7, 1.0, 1.02, 1.04, 1.06, 3.0, 3.1]
    film = write_film(tmp_path / "a.mkv", [(time, numbered(n)) for n, time in enumerate(times)], ticks(3.2))
    # asked for at 0.125, 0.375, ... s of each second; at 2.875, picture 9 is nearest, but is shown only 0.125 s later
    assert shown(of(film, frames=4)) == [[1, 2, 3, 4], [8, 8, 8, 8], [8, 8, 8, 8], "short_tail"]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_still_that_is_held_long_is_in_all_its_segments_and_sound_does_not_pile_up(
    tmp_path: Path, suffix: str
) -> None:
    pictures = [(time, numbered(n)) for n, time in enumerate((0, 25, 29.5))]
    film = write_film(tmp_path / f"a.{suffix}", pictures, ticks(34, 16_000), rate=16_000)
    how = Cut(segment_s=1.0, frames=1, side=None, middle=False)
    early = cut(film, how, number_of)
    assert isinstance(next(early), Segment)
    pieces = of(film, frames=1)
    assert shown(pieces) == [[0]] * 25 + [[1]] * 4 + [[2]] * 5


def test_a_picture_is_converted_once_however_often_it_is_shown(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", [(0, numbered(1)), (0.9, numbered(2))], ticks(2.0))
    kept: list[int] = []
    how = Cut(segment_s=0.8, frames=10, side=None, middle=False)
    pieces = list(cut(film, how, lambda picture: kept.append(number_of(picture))))
    assert isinstance(pieces[0], Segment)
    assert len(pieces[0].pictures) == 10
    assert kept[:2] == [1, 2]
    assert len(kept) == 2


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_a_turned_film_is_upright(tmp_path: Path, turned: int) -> None:
    """FFmpeg's number is how far the stored picture is turned counter-clockwise to be shown."""
    upright = [(n / 10, np.rot90(numbered(n, (96, 64)), -turned // 90)) for n in range(12)]
    film = write_film(
        tmp_path / "a.mp4", [(time, np.ascontiguousarray(p)) for time, p in upright], ticks(1.2), turned=turned
    )
    piece = first(of(film))
    assert piece.pictures[0].size == (96, 64)
    assert shown([piece]) == [[2, 7]]
    assert np.asarray(piece.pictures[0])[3, :, 2].mean() > 190  # the blue band is at the top
    assert np.asarray(piece.pictures[0])[3, :, 0].mean() < 60


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(4, 3), (85, 48)), (Fraction(1, 2), (64, 96)), (None, (64, 48))])
def test_pixels_that_are_not_square_become_square(
    tmp_path: Path, aspect: Fraction | None, size: tuple[int, int]
) -> None:
    film = write_film(tmp_path / "a.mp4", steady(1.0), ticks(1.0), pixel_aspect=aspect)
    assert first(of(film)).pictures[0].size == size


def test_pictures_shrink_to_a_side_and_never_grow(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", steady(1.0), ticks(1.0))
    assert [first(of(film, side=side)).pictures[0].size for side in (32, 48, 500)] == [(32, 24), (48, 36), (64, 48)]


@pytest.mark.parametrize(("height", "matrix"), [(480, "ITU601"), (720, "ITU709")])
def test_an_unstated_colour_matrix_is_that_of_the_size(tmp_path: Path, height: int, matrix: str) -> None:
    """Red in the other matrix would be off by 20 or more."""
    import av

    red = np.full((height, 64, 3), (220, 30, 30), np.uint8)
    film = tmp_path / "a.mkv"
    with av.open(str(film), "w") as container:
        stream: Any = container.add_stream("libx264", rate=10, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, height, "yuv420p"
        sound: Any = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(red, format="rgb24").reformat(format="yuv420p", dst_colorspace=matrix)
            frame.pts, frame.colorspace = number, 2  # 2: unspecified
            container.mux(stream.encode(frame))
        block = av.AudioFrame.from_ndarray(np.full((1, 16_000), 900, np.int16), format="s16", layout="mono")
        block.sample_rate, block.pts = 16_000, 0
        container.mux([*stream.encode(None), *sound.encode(block), *sound.encode(None)])
    pixel = np.asarray(first(of(film)).pictures[0])[height // 2, 32].astype(int)
    assert np.abs(pixel - (220, 30, 30)).max() < 8


def test_late_sound_is_at_its_time_and_what_lacks_it_is_refused(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", steady(3.0), ticks(1.6, begin_s=1.4), sound_at_s=1.4)
    lacking, half, whole = of(film)
    assert isinstance(lacking, Refusal)
    assert isinstance(half, Refusal)
    assert isinstance(whole, Segment)
    assert (lacking.reason, lacking.detail) == ("sound_missing", "no sound for 1.00 of its 1 s")
    assert (half.reason, half.number) == ("sound_missing", 1)
    assert clicks(whole.samples)[0] == pytest.approx(0.0, abs=0.002)


def test_sound_that_begins_within_the_slack_is_not_moved_to_the_beginning(tmp_path: Path) -> None:
    film = write_film(
        tmp_path / "a.mkv", steady(1.0), ticks(0.95, begin_s=0.05), sound_at_s=0.05, codecs=("libx264", "flac")
    )
    samples = first(of(film)).samples
    assert not samples[:780].any()
    assert samples[820:1600].any()


def test_sound_that_ends_early_is_not_made_up(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", steady(3.0), ticks(1.5))
    assert shown(of(film))[1:] == ["sound_missing", "sound_missing"]


def test_channels_that_cancel_are_not_lost(tmp_path: Path) -> None:
    sound = ticks(1.0)
    film = write_film(tmp_path / "a.mkv", steady(1.0), np.stack([sound, -sound]), codecs=("libx264", "flac"))
    assert clicks(first(of(film)).samples) == pytest.approx([0.0], abs=0.002)


@pytest.mark.parametrize(
    ("pictures", "sound", "reason"), [(1.0, None, "no_sound"), (None, 2.0, "no_picture"), (0.7, 0.7, "too_short")]
)
def test_a_film_that_cannot_have_a_segment_says_why(
    tmp_path: Path, pictures: float | None, sound: float | None, reason: str
) -> None:
    film = write_film(tmp_path / "a.mp4", steady(pictures or 0.0), None if sound is None else ticks(sound))
    for middle in (False, True):
        with pytest.raises(BadFilm) as caught:
            of(film, middle=middle)
        assert caught.value.reason == reason


def test_no_film_at_all_says_why(tmp_path: Path) -> None:
    for content, reason in ((b"", "empty"), (b"no film, but some text" * 99, "unreadable")):
        (tmp_path / "a.mp4").write_bytes(content)
        with pytest.raises(BadFilm) as caught:
            of(tmp_path / "a.mp4")
        assert caught.value.reason == reason
        assert str(tmp_path) not in caught.value.detail


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    write_film(tmp_path / "secret.mp4", steady(2.0), ticks(2.0))
    (tmp_path / "a.mp4").write_text(f"ffconcat version 1.0\nfile '{tmp_path}/secret.mp4'\n")
    with pytest.raises(BadFilm, match="unreadable"):
        of(tmp_path / "a.mp4")


def test_damaged_pictures_refuse_the_segments_that_they_touch(tmp_path: Path) -> None:
    film = damage(write_film(tmp_path / "a.mp4", steady(6.0), ticks(6.0), keys=10), 2.5)
    assert shown(of(film)) == [[2, 7], [12, 17], "damaged", [32, 37], [42, 47], [52, 57]]


def test_time_0_does_not_move_if_the_first_picture_is_damaged(tmp_path: Path) -> None:
    film = damage(write_film(tmp_path / "a.mp4", steady(4.0), ticks(4.0), keys=15), 0.0)
    assert shown(of(film)) == ["damaged", "damaged", [22, 27], [32, 37]]


def test_damaged_pictures_are_in_doubt_up_to_the_next_key_picture(tmp_path: Path) -> None:
    film = damage(write_film(tmp_path / "a.mp4", steady(6.0), ticks(6.0), keys=25), 2.7)
    assert shown(of(film))[2:] == ["damaged", "damaged", "damaged", [52, 57]]


def test_damaged_sound_refuses_its_segment_and_moves_no_other(tmp_path: Path) -> None:
    film = damage(write_film(tmp_path / "a.mp4", steady(6.0), ticks(6.0)), 2.3, "audio")
    pieces = of(film)
    assert [p.reason if isinstance(p, Refusal) else "" for p in pieces] == ["", "", "damaged", "", "", ""]
    for piece in pieces[3:]:
        assert isinstance(piece, Segment)
        assert clicks(piece.samples)[0] == pytest.approx(0.0, abs=0.002)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_film_that_is_cut_off_has_its_first_segments_and_says_what_is_gone(tmp_path: Path, suffix: str) -> None:
    options = {"movflags": "+faststart"} if suffix == "mp4" else {}
    film = cut_short(write_film(tmp_path / f"a.{suffix}", steady(6.0), ticks(6.0), options=options), 0.5)
    pieces = of(film)
    whole = [piece for piece in pieces if isinstance(piece, Segment)]
    assert [piece.number for piece in whole] == list(range(len(whole)))
    assert shown([*whole]) == [[2, 7], [12, 17], [22, 27], [32, 37]][: len(whole)]
    assert 2 <= len(whole) < len(pieces)
    last = pieces[-1]
    assert isinstance(last, Refusal)
    assert last.reason == "truncated"
    assert "it promises" in last.detail


def test_a_film_without_its_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFilm, match="unreadable"):
        of(cut_short(write_film(tmp_path / "a.mp4", steady(6.0), ticks(6.0)), 0.5))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts"])
def test_the_middle_is_that_of_the_whole_film(tmp_path: Path, suffix: str) -> None:
    codecs = KINDS[suffix][0]
    kind = {"ts": "mpegts"}.get(suffix)
    film = write_film(tmp_path / f"a.{suffix}", steady(9.0), ticks(9.0), codecs=codecs, kind=kind, keys=20)
    (piece,) = of(film, frames=1, middle=True)  # from 4.0 to 5.0 s, or a little later: the last picture lasts 0.1 s
    assert isinstance(piece, Segment)
    assert piece.number == 0
    assert number_of(piece.pictures[0]) in (44, 45, 46)
    assert len(piece.samples) == 16_000
    whole = of(film)[4]
    assert isinstance(whole, Segment)


def test_the_middle_of_a_film_is_cut_as_it_is_from_the_beginning(tmp_path: Path) -> None:
    """A seek changes neither sound nor pictures: those of a film of 3 s, whose second second is its middle."""
    sound = ticks(9.0, 16_000)  # at this rate nothing is resampled
    film = write_film(tmp_path / "a.mkv", steady(9.0), sound, codecs=("libx264", "flac"), rate=16_000, keys=7)
    (middle,) = of(film, frames=3, middle=True)
    assert isinstance(middle, Segment)
    begin = middle.samples
    together = np.concatenate([piece.samples for piece in of(film) if isinstance(piece, Segment)])
    places = [at for at in range(62_000, 68_000) if np.array_equal(together[at : at + 400], begin[:400])]
    assert len(places) == 1
    assert np.abs(together[places[0] :][:16_000].astype(int) - begin).max() <= 1


def test_a_segment_may_be_of_any_length_and_number_of_pictures(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", steady(3.1), ticks(3.1))
    pieces = of(film, segment_s=1.5, frames=lambda rate: round(1.5 * rate))
    assert [len(piece.samples) for piece in pieces if isinstance(piece, Segment)] == [24_000, 24_000]
    assert shown(pieces)[0] == list(range(15))


def test_memory_does_not_grow_with_the_film(tmp_path: Path) -> None:
    peaks = []
    for seconds in (10, 60):
        film = write_film(tmp_path / f"{seconds}.mp4", steady(seconds, 5), ticks(seconds, 16_000), rate=16_000)
        tracemalloc.start()
        for piece in cut(film, Cut(segment_s=1.0, frames=2, side=None, middle=False), lambda picture: picture):
            assert isinstance(piece, Segment)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "webm"])
def test_whatever_is_damaged_a_segment_is_whole_or_refused(tmp_path: Path, suffix: str) -> None:
    codecs, rate, _ = KINDS[suffix]
    kind, options = {"ts": "mpegts"}.get(suffix), {"movflags": "+faststart"} if suffix == "mp4" else {}
    sound = ticks(3.0, rate)
    film = write_film(
        tmp_path / f"a.{suffix}", steady(3.0), sound, codecs=codecs, rate=rate, kind=kind, options=options
    )
    whole, rng, refused = film.read_bytes(), np.random.default_rng(3), 0
    for number in range(24):
        content = bytearray(whole if number % 3 else whole[: rng.integers(1, len(whole))])
        for place in rng.integers(0, len(content), number % 3):
            content[place : place + 40] = rng.bytes(len(content[place : place + 40]))
        film.write_bytes(content)
        for middle in (False, True):
            try:
                pieces = of(film, middle=middle)
            except BadFilm:
                refused += 1
                continue
            refused += any(isinstance(piece, Refusal) for piece in pieces)
            assert {(len(p.samples), len(p.pictures)) for p in pieces if isinstance(p, Segment)} <= {(16_000, 2)}
    assert refused > 12


def test_a_film_that_is_to_be_turned_by_any_angle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFilm, match="rotation: it is shown turned by a matrix"):
        of(write_film(tmp_path / "a.mp4", steady(1.0), ticks(1.0), turned=30))


def test_two_pictures_at_impossible_times_end_the_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ves.media import film_events

    film = write_film(tmp_path / "a.mp4", steady(4.0), ticks(4.0))
    real = film_events.seconds

    def backwards(number: int | None, base: Any) -> float:
        time_s = real(number, base)
        return time_s - 2.0 if number is not None and time_s == pytest.approx(2.5) else time_s

    monkeypatch.setattr(film_events, "seconds", backwards)
    assert shown(of(film)) == [[2, 7], [12, 17], "bad_times"]


def test_a_picture_far_away_in_time_ends_the_film(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mkv", [*steady(2.0), (5_000.0, numbered(1))], ticks(2.0))
    assert shown(of(film))[-1] == "bad_times"
    assert len(of(film)) < 20
