"""Films are decoded again: what is seen and what is heard at the same time belong together."""

from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.browsing import launched, needs_chromium, opened
from tests.support.viewing import GRID, TOKENS, make_viewing
from ves.media import encoding
from ves.media.audio import RATE, FrameGrid
from ves.report.clips import films

HOP_S = 0.1


def decoded(path: Path) -> tuple[list[tuple[float, np.ndarray]], np.ndarray]:
    """(second, pixels) of each frame, and the sound on the clock of the film, as a player would play it."""
    with av.open(str(path)) as container:
        frames = [(float(frame.time or 0), frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    sound = np.zeros(10 * RATE)
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            begin, part = round(float(frame.time or 0) * RATE), frame.to_ndarray()[0]
            first = max(0, -begin)
            sound[begin + first : begin + len(part)] = part[first:]
    return frames, sound


def panel_of(pixels: np.ndarray, viewing, runs: list[str], run: str) -> np.ndarray:
    stage = films._stage(viewing, runs)
    left, (width, height) = stage.lefts[run], stage.size
    return pixels[stage.top : stage.top + height, left : left + width]


@pytest.fixture(scope="module")
def impulse(tmp_path_factory) -> tuple:
    """A click in the middle of token 13, at which one patch lights up; nothing before and after."""
    samples = np.zeros(2 * RATE, np.int16)
    samples[round(1.35 * RATE) : round(1.35 * RATE) + 40] = 30_000
    heat = np.zeros((TOKENS, GRID, GRID), np.float32)
    heat[13, 2, 1] = 1.0
    viewing = make_viewing(samples=samples, similarity={"dense": heat, "global": heat / 4}, words=[], transcript="")
    path = tmp_path_factory.mktemp("films") / "impulse.mp4"
    films.film(viewing, ["dense", "global"], path)
    return viewing, path, *decoded(path)


def test_sound_and_picture_are_in_step(impulse) -> None:
    viewing, _, frames, sound = impulse
    heard = float(np.abs(sound).argmax()) / RATE
    lights = [panel_of(pixels, viewing, ["dense", "global"], "dense").max(-1).mean() for _, pixels in frames]
    lit = [second for (second, _), light in zip(frames, lights, strict=True) if light < np.median(lights) - 20]
    assert heard == pytest.approx(1.35, abs=0.01)
    assert abs(min(lit) - heard) <= HOP_S
    assert abs(max(lit) - heard) <= HOP_S
    assert min(lit) <= heard <= max(lit) + 1 / films.FPS


def test_length_and_form(impulse) -> None:
    _, path, frames, _ = impulse
    assert len(frames) == 50
    assert frames[-1][0] == pytest.approx(2 - 1 / films.FPS)
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt, video.average_rate) == ("h264", "yuv420p", 25)
        assert (audio.codec_context.name, audio.codec_context.sample_rate) == ("aac", RATE)
        assert video.width % encoding.BLOCK == video.height % encoding.BLOCK == 0
        assert float((audio.duration or 0) * audio.time_base) == pytest.approx(2.0, abs=0.07)  # whole packets of 64 ms
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat"), "a browser could not play it before it has all of it"
    assert len(content) < 400_000


def test_the_lit_patch_is_where_the_numbers_say(impulse) -> None:
    viewing, _, frames, _ = impulse
    flat, lit, weak = (
        panel_of(frames[number][1], viewing, ["dense", "global"], run).max(-1).astype(float)
        for number, run in ((20, "dense"), (34, "dense"), (34, "global"))
    )
    rows, columns = np.nonzero(np.abs(lit - flat) < 12)  # as bright as when nothing is dimmed
    height, width = lit.shape
    assert ((rows * GRID // height == 2) & (columns * GRID // width == 1)).mean() > 0.9
    assert len(rows) > 0.1 * height * width / GRID**2
    assert np.median(lit) + 20 < np.median(weak) < np.median(flat) - 20, "one scale for both runs"


def test_same_input_same_bytes(impulse, tmp_path: Path) -> None:
    viewing, path, _, _ = impulse
    films.film(viewing, ["dense", "global"], tmp_path / "again.mp4")
    assert (tmp_path / "again.mp4").read_bytes() == path.read_bytes()


def test_words_are_captions_while_they_are_said() -> None:
    viewing = make_viewing()
    frames = list(films.frames(viewing, ["dense"]))
    said = films._stage(viewing, ["dense"]).said
    captions = [frame[said : said + films.SAID - 4].min() < 128 for frame in frames]
    spoken = [any(w.start_s <= (n + 0.5) / 25 < w.end_s for w in viewing.words) for n in range(len(frames))]
    assert captions == spoken
    assert 0 < sum(captions) < len(captions)


def test_while_nothing_is_said_nothing_is_lit() -> None:
    """A model has an opinion of silence too; the film shows the picture alone."""
    always = {"dense": np.tile(make_viewing().similarity["dense"][4], (TOKENS, 1, 1))}
    viewing, brightness = make_viewing(similarity=always), []
    for frame in films.frames(viewing, ["dense"]):
        brightness.append(np.median(panel_of(frame, viewing, ["dense"], "dense")))
    spoken = [any(w.start_s <= (n + 0.5) / 25 < w.end_s for w in viewing.words) for n in range(len(brightness))]
    assert 0 < sum(spoken) < len(spoken)
    assert [bright < 80 for bright in brightness] == spoken


def test_the_poster_is_the_middle_of_the_first_noun() -> None:
    viewing = make_viewing()
    frames = list(films.frames(viewing, ["dense"]))
    poster = np.asarray(films.poster(viewing, ["dense"]))
    same = [number for number, frame in enumerate(frames) if np.array_equal(frame, poster)]
    assert all(0.3 <= (number + 0.5) / films.FPS < 0.6 for number in same)
    panel = panel_of(poster, viewing, ["dense"], "dense")
    assert np.median(panel) < 80 and panel.max() == 255, "dimmed, and marked"


@pytest.mark.parametrize("size", [(33, 400), (500, 40), (3, 2)])
def test_any_picture_has_a_film_of_whole_blocks(size: tuple[int, int]) -> None:
    frame = next(films.frames(make_viewing(size, masks=[None, None]), ["dense", "global"]))
    assert frame.shape[0] % encoding.BLOCK == frame.shape[1] % encoding.BLOCK == 0


def test_tokens_of_another_length() -> None:
    """At 40 ms a token, as DistilHuBERT has, every frame shows another one."""
    heat = np.zeros((50, GRID, GRID), np.float32)
    viewing = make_viewing(
        similarity={"dense": heat},
        valid=np.ones(50, bool),
        frames=FrameGrid((320,), (320,), 2),
        samples=np.zeros(2 * RATE, np.int16),
    )
    assert [viewing.token_at((n + 0.5) / films.FPS) for n in range(50)] == list(range(50))


@needs_chromium
def test_a_browser_plays_it(impulse, tmp_path) -> None:
    """From disk, in a page: it knows the form, decodes picture and sound, and comes to the end."""
    viewing, path, frames, _ = impulse
    size = [frames[0][1].shape[1], frames[0][1].shape[0]]
    page_file = tmp_path / "film.html"
    page_file.write_text(
        f'<!doctype html><link rel="icon" href="data:,"><video controls src="{path.as_uri()}"></video>'
    )
    with launched() as chromium, opened(chromium, page_file) as page:
        form = 'video/mp4; codecs="avc1.64001e, mp4a.40.2"'
        assert page.evaluate(f"document.querySelector('video').canPlayType('{form}')") == "probably"
        page.wait_for_function("document.querySelector('video').readyState >= 3")
        of_film = "(video) => [video.videoWidth, video.videoHeight, video.error, video.duration]"
        *found, error, duration = page.locator("video").evaluate(of_film)
        assert found == size and error is None
        assert duration == pytest.approx(viewing.seconds, abs=0.1)
        page.evaluate("document.querySelector('video').play()")
        page.wait_for_function("document.querySelector('video').ended")
        counted = "(video) => [video.webkitAudioDecodedByteCount, video.webkitVideoDecodedByteCount]"
        sound, picture = page.locator("video").evaluate(counted)
        assert sound > 100 and picture > 1000  # bytes; the sound is one click
        quality = page.evaluate("document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames")
        assert quality > viewing.seconds * films.FPS / 2
