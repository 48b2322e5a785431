"""Your own picture and voice: the same numbers as the stages give, through any format, of any length."""

import io
import shutil
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

import ves
from tests.support.pages import code_blocks
from tests.support.untrained_run import write_untrained_run
from ves.__main__ import main
from ves.base.files import read_json, write_json
from ves.evaluation.embed import embed
from ves.media.audio import RATE, window
from ves.models import localise
from ves.report.clips.lookup import Corpus
from ves.store.audio import AudioStore
from ves.store.embeddings import load
from ves.training.dataset import clips

pytestmark = pytest.mark.numbers

SECONDS = 3.0  # of the tiny corpus' windows


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory) -> Path:
    """A run that was never trained, with the embeddings of val."""
    folder = write_untrained_run(tmp_path_factory.mktemp("localise") / "dense-s0", *tiny)
    embed(folder, "val", folder / "embeddings" / "val.zarr")
    return folder


@pytest.fixture(scope="module")
def localiser(run) -> localise.Localiser:
    return ves.load(run)


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    """Two seconds of noise that swells."""
    noise = np.random.default_rng(0).normal(size=2 * RATE) * np.linspace(500, 9000, 2 * RATE)
    return noise.clip(-32000, 32000).astype(np.int16)


def scene(width: int, height: int) -> Image.Image:
    coarse = np.random.default_rng(1).integers(0, 256, (9, 9, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.full(RATE, 0.3, np.float32), r"float32 \[16000\]; they must be int16 \[n\], one channel at 16000 Hz"),
        (np.zeros((2, RATE), np.int16), r"int16 \[2, 16000\]; they must be int16"),
        (np.zeros(0, np.int16), "0 samples are 0.0000 s; the least is 0.1 s"),
    ],
)
def test_samples_of_another_type_or_shape_are_refused(localiser, samples, message) -> None:
    with pytest.raises(ValueError, match=message):
        localiser.localise(scene(60, 40), samples)


def test_an_empty_picture_is_refused(localiser, voice) -> None:
    with pytest.raises(ValueError, match="the picture is empty: 0 x 5 pixels"):
        localiser.localise(Image.new("RGB", (0, 5)), voice)


def test_a_clip_of_the_corpus_is_seen_as_it_was_embedded(tiny, run, localiser) -> None:
    _, data = tiny
    stored = load(run / "embeddings" / "val.zarr")
    frame, store = clips(data, "val"), AudioStore(Path(data.audio))
    corpus = Corpus(stored, data, Path(data.images).parent / "images", Path("absent"))
    for number in (0, 5):
        clip = frame.row(number, named=True)
        samples = store.read(clip["shard"], clip["row"], round(SECONDS * RATE))
        shown = corpus.picture(corpus.clips[clip["clip_id"]])
        actual = localiser.localise(shown, samples)
        patches = stored.image_tokens[stored.clip_image[number]].float()
        expected = (stored.audio_tokens[number].float() @ patches.T).reshape(-1, *stored.attrs["grid"]).numpy()
        np.testing.assert_allclose(actual.similarity, expected, atol=5e-3)  # stored in 16 bits, both
        np.testing.assert_array_equal(actual.valid, stored.audio_mask[number].numpy())


KINDS = {  # what a file holds -> (the upright picture that it is, how it is written)
    "wide": (scene(300, 40), lambda picture: ("PNG", picture, {})),
    "tall": (scene(40, 300), lambda picture: ("WEBP", picture, {"lossless": True})),
    "tiny": (scene(3, 2), lambda picture: ("BMP", picture, {})),
    "turned": (
        scene(120, 80),
        lambda picture: ("PNG", picture.transpose(Image.Transpose.ROTATE_90), {"exif": _exif()}),
    ),
    "transparent": (scene(90, 60), lambda picture: ("TIFF", _with_hole(picture), {})),
    "grey": (scene(90, 60).convert("L"), lambda picture: ("PNG", picture, {})),
    "deep": (scene(90, 60).convert("L"), lambda picture: ("PNG", _deep(picture), {})),
}


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side
    return exif


def _with_hole(upright: Image.Image) -> Image.Image:
    """Other colours where nothing is seen of them; the upright picture is white there."""
    layer = upright.convert("RGBA")
    layer.paste((0, 200, 0, 0), (10, 10, 30, 30))
    upright.paste("white", (10, 10, 30, 30))
    return layer


def _deep(upright: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(upright).astype(np.uint16) * 256 + 17)


@pytest.mark.parametrize("kind", KINDS)
def test_the_hottest_pixel_lies_in_the_patch_of_the_numbers(kind: str, localiser, voice, tmp_path: Path) -> None:
    upright, writer = KINDS[kind]
    form, stored, options = writer(upright)
    stored.save(tmp_path / "picture", form, **options)
    actual = localiser.localise(tmp_path / "picture", voice)
    width, height = upright.size
    heat = actual.heatmap(0.5, 0.9)
    assert heat.shape == (height, width)
    spoken = actual.spans_s.mean(1)
    chosen = (spoken >= 0.5) & (spoken < 0.9)
    rows, columns = actual.similarity.shape[1:]
    row, column = divmod(int(actual.similarity[chosen].mean(0).argmax()), columns)
    y, x = divmod(int(heat.argmax()), width)
    assert x < (column + 1) * width / columns
    assert x + 1 > column * width / columns
    assert y < (row + 1) * height / rows
    assert y + 1 > row * height / rows
    again = localiser.localise(upright.convert("RGB"), voice)
    np.testing.assert_array_equal(actual.similarity, again.similarity)


def _write_m4a(path: Path, voice: np.ndarray) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(voice[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        for content in (frame, None):
            container.mux(stream.encode(content))


@pytest.mark.parametrize("form", ["wav", "flac", "ogg", "mp3", "m4a"])
def test_recordings_of_any_format(form: str, localiser, voice, tmp_path: Path) -> None:
    path = tmp_path / f"voice.{form}"
    if form == "m4a":
        _write_m4a(path, voice)
    else:
        soundfile.write(path, voice, RATE)
    actual = localiser.localise(scene(90, 60), path)
    assert actual.valid.sum() == pytest.approx(2.0 / localiser.ves.grid.hop_s, abs=3)


def most_central(token: int, first: list[int], count: int) -> int:
    """The window that a token is taken from, by looking at each."""
    best, nearest = np.inf, -1
    for number, begin in enumerate(first):
        distance = abs(token - (begin + (count - 1) / 2))
        if begin <= token < begin + count and distance < best:
            best, nearest = distance, number
    return nearest


@pytest.mark.parametrize(
    ("samples", "length", "hop"), [(100, 100, 10), (99, 100, 10), (101, 100, 10), (731, 100, 7), (1, 64, 64)]
)
def test_windows_cover_a_recording_on_the_grid_of_tokens(samples: int, length: int, hop: int) -> None:
    begins = localise.starts(samples, length, hop)
    assert begins[0] == 0
    assert all(begin % hop == 0 for begin in begins)
    assert begins[-1] + length >= samples > begins[-1] - hop + length or begins == [0]
    assert all(0 < after - before <= max(length // 2, hop) for before, after in pairwise(begins))


@pytest.mark.parametrize(("first", "count"), [([0], 5), ([0, 3], 5), ([0, 2, 4, 5], 5), ([0, 4], 8)])
def test_a_token_comes_from_the_window_that_it_is_most_central_in(first: list[int], count: int) -> None:
    windows = [
        torch.tensor([[number, token] for token in range(count)], dtype=torch.float32) for number in range(len(first))
    ]
    actual = localise.stitch(windows, first)
    assert actual[:, 0].int().tolist() == [most_central(t, first, count) for t in range(first[-1] + count)]
    assert (actual[:, 1] + torch.tensor(first)[actual[:, 0].int()]).int().tolist() == list(range(first[-1] + count))


def test_a_long_recording_is_processed_in_windows(localiser, voice) -> None:
    long = np.concatenate([voice, voice // 3, voice[::-1], voice])  # 8 s, windows of 3
    actual = localiser.localise(scene(90, 60), long)
    hop = localiser.ves.grid.hop
    begins = localise.starts(len(long), round(SECONDS * RATE), hop)
    count = localiser.ves.grid.tokens(round(SECONDS * RATE))
    assert len(actual.similarity) == begins[-1] // hop + count
    assert actual.valid.sum() == pytest.approx(8 * RATE / hop, abs=2)
    assert actual.spans_s[actual.valid][-1, 1] == pytest.approx(8, abs=2 * hop / RATE)
    with torch.inference_mode():
        patches = localiser._image_tokens(scene(90, 60))
        for token in (0, 20, 50, len(actual.similarity) - 5):
            number = most_central(token, [begin // hop for begin in begins], count)
            waveform, valid = window(long[begins[number] :], SECONDS)
            tokens, _ = localiser.ves.audio_tokens(torch.from_numpy(waveform)[None], torch.tensor([valid]))
            expected = (tokens[0, token - begins[number] // hop] @ patches.T).numpy()
            np.testing.assert_allclose(actual.similarity[token].ravel(), expected, atol=1e-5)


def test_the_command_writes_a_page_and_a_film(run, voice, tmp_path: Path, capfd) -> None:
    scene(90, 60).save(tmp_path / "p.jpg")
    soundfile.write(tmp_path / "a.wav", voice, RATE)
    order = ["localise", str(tmp_path / "p.jpg"), str(tmp_path / "a.wav"), "--run", str(run), "-o"]
    assert main([*order, str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"localised.png", "film.mp4", "page"}
    output = capfd.readouterr()
    assert output.out.splitlines() == [
        f"{tmp_path}/out/{name}" for name in ("localised.png", "film.mp4", "page/index.html")
    ]
    assert all(Path(line).is_file() for line in output.out.splitlines())
    assert "Loading weights" not in output.err
    with av.open(str(tmp_path / "out" / "film.mp4")) as film:
        assert film.streams.video[0].frames == 50
    with Image.open(tmp_path / "out" / "localised.png") as page:
        assert page.width > 800
    assert main([*order, str(tmp_path / "again")]) == 0
    for name in ("localised.png", "film.mp4"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_the_lines_of_the_page_work(run, voice, tmp_path: Path, monkeypatch, capsys) -> None:
    """docs/figures.md, seen from the folder that its lines are typed in."""
    (code,) = code_blocks("docs/figures.md", "python")
    folder = tmp_path / "results" / "scenes"
    folder.mkdir(parents=True)
    (folder / "dense-s0").symlink_to(run)
    scene(90, 60).save(tmp_path / "photo.jpg")
    _write_m4a(tmp_path / "voice.m4a", voice)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(code, names)  # what a reader of the page would paste
    output = capsys.readouterr().out.splitlines()
    assert output[0] == str(names["found"].similarity.shape)
    assert output[-1] == "(60, 90)"


def _silent_film(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))


def _empty_wav(path: Path) -> None:
    soundfile.write(path, np.zeros(0, np.int16), RATE, format="WAV")


BROKEN = {
    "text.jpg": (lambda path: path.write_text("not a picture"), "unreadable: .*not a picture of a known format"),
    "empty.png": (lambda path: path.write_bytes(b""), "empty: no bytes"),
    "cut.png": (lambda path: path.write_bytes(_png()[:2000]), "truncated: .*"),
    "absent.jpg": (lambda path: None, r"No such file or directory: .*"),
    "empty.wav": (_empty_wav, "zero_length: no samples"),
    "nothing.mp3": (lambda path: path.write_bytes(b""), "empty: 0 bytes"),
    "text.wav": (lambda path: path.write_text("not a recording " * 99), "unreadable: .*"),
    "silent.mp4": (_silent_film, "unreadable: no sound in it.*"),
    "absent.wav": (lambda path: None, r"No such file or directory: .*"),
}


def _png() -> bytes:
    buffer = io.BytesIO()
    scene(300, 300).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("name", BROKEN)
def test_broken_input_ends_in_one_line(name: str, localiser, voice, tmp_path: Path) -> None:
    """Which ves.commands.process prints: an error of these kinds is one."""
    write, message = BROKEN[name]
    write(tmp_path / name)
    arguments = (tmp_path / name, voice) if name.endswith(("jpg", "png")) else (scene(90, 60), tmp_path / name)
    with pytest.raises((ValueError, OSError), match=f"^[^\n]*{message}") as error:
        localiser.localise(*arguments)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_the_command_says_it_in_one_line(run, voice, tmp_path: Path, capsys) -> None:
    (tmp_path / "text.jpg").write_text("not a picture")
    soundfile.write(tmp_path / "a.wav", voice, RATE)
    order = [str(tmp_path / "text.jpg"), str(tmp_path / "a.wav"), "--run", str(run), "-o", str(tmp_path / "out")]
    assert main(["localise", *order]) == 1
    output = [line for line in capsys.readouterr().err.splitlines() if line.startswith("localise: ")]
    assert output == [
        f"localise: {tmp_path}/text.jpg: unreadable: UnidentifiedImageError: not a picture of a known format"
    ]
    assert not (tmp_path / "out").exists()


def test_what_a_run_needs_beside_it(run, localiser, tmp_path: Path) -> None:
    copy = tmp_path / "dense-s0"
    copy.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(run / name, copy / name)
    assert ves.load(copy).vision == localiser.vision  # from the manifest of the features
    away = read_json(copy / "config.json")
    away["data"] |= {key: f"/gone{value}" for key, value in away["data"].items() if key != "input"}
    write_json(copy / "config.json", away)
    with pytest.raises(FileNotFoundError, match=r"its vision backbone is not known: .*/gone.*manifest"):
        ves.load(copy)
    (copy / "embeddings").mkdir()
    manifest = read_json(run / "embeddings" / "val.zarr.manifest.json")
    write_json(copy / "embeddings" / "val.zarr.manifest.json", manifest)
    assert ves.load(copy).vision == localiser.vision  # the manifest alone, without corpus and embeddings
    manifest["vision"]["weight_hash"] = "0" * 64
    write_json(copy / "embeddings" / "val.zarr.manifest.json", manifest)
    with pytest.raises(ValueError, match="its weights are not those that"):
        ves.load(copy)
    away["audio"]["backbone"] = "ves/standins/gone"
    write_json(copy / "config.json", away)
    with pytest.raises(ValueError, match="its speech backbone, ves/standins/gone, is not here"):
        ves.load(copy)
    with pytest.raises(FileNotFoundError):
        ves.load(tmp_path / "nowhere")
