"""What the explorer's page is told: numbers that are those of the models, neighbours that a slow search finds too."""

import base64
import io
import json
from dataclasses import replace

import av
import numpy as np
import pytest
import torch

from tests.support.explorer_clips import CLIPS, SECONDS, page_of
from ves.evaluation.localisation.pointing import hottest
from ves.media.encoding import aac, flac, jpeg, peaks
from ves.media.geometry import Geometry
from ves.report.explorer.clip import BARS, clip_data
from ves.report.explorer.neighbours import clips_of, pictures_of
from ves.store.embeddings import Embeddings


def decoded(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.uint8)


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.fit)
def test_similarities_are_told_to_a_255th_of_their_range(clip):
    content = clip_data(clip, SECONDS)
    low, high = content["scale"]
    values = np.stack([similarity[clip.valid][:, clip.visible] for similarity in clip.similarity.values()])
    assert (low, high) == pytest.approx((values.min(), values.max()))
    for run, similarity in clip.similarity.items():
        levels = decoded(content["runs"][run]["similarity"]).reshape(similarity.shape)
        found = low + levels / 255 * (high - low)
        off = np.abs(found - similarity)[clip.valid][:, clip.visible]
        assert off.max() <= (high - low) / 510 + 1e-6


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.fit)
def test_the_most_similar_is_told_of_numbers_that_share_a_level(clip):
    """Cosines that differ by less than a level do: what is marked must be what figures and films mark."""
    draws = np.random.default_rng(1)
    close = {run: (0.5 + 1e-4 * draws.random(heat.shape)).astype(np.float32) for run, heat in clip.similarity.items()}
    for heat in close.values():
        heat[3, -1, -1] = heat[3, 1, 0] = -0.9  # so that all others have one level
    near = replace(clip, similarity=close)
    content = clip_data(near, SECONDS)
    for run, heat in close.items():
        found = content["runs"][run]
        for token, vector in enumerate(heat.reshape(len(heat), -1)):
            assert found["hottest"][token] == hottest(vector, near.visible.ravel())
        for word, patch in zip(content["words"], found["words"], strict=True):
            spoken = [heat[token].ravel() for token in word["tokens"]]
            assert patch == (hottest(np.mean(spoken, 0), near.visible.ravel()) if spoken else None)
        for patch, token in enumerate(found["moments"]):
            times = heat.reshape(len(heat), -1)[:, patch]
            assert clip.valid[token] and times[token] == times[clip.valid].max()


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_the_square_lies_where_patches_lie(fit):
    """The page places patches by the square alone: their corners must be those of ves.media.geometry."""
    from ves.report.explorer.clip import _square

    geometry = Geometry(300, 170, 140, fit)
    left, top, width, height = _square(geometry)
    x, y = np.meshgrid(np.arange(10), np.arange(10))
    corners = np.stack([left + width * x.ravel() / 10, top + height * y.ravel() / 10], 1) * (300, 170)
    np.testing.assert_allclose(corners, geometry.patch_boxes(10, 10)[:, :2], atol=1e-9)


def test_words_beyond_the_window_have_no_tokens():
    words = clip_data(CLIPS[0], SECONDS)["words"]
    assert [bool(word["tokens"]) for word in words] == [True, True, False]
    grid = CLIPS[0].frames
    for token in words[0]["tokens"]:
        centre = sum(grid.span(token)) / 2
        assert words[0]["start"] <= centre < words[0]["end"]


def test_the_waveform_shows_where_the_loud_part_is():
    samples = np.zeros(16_000, np.int16)
    samples[8_000:8_100] = -20_000
    bars = peaks(samples, 10)
    assert bars.tolist() == [0] * 5 + [255] + [0] * 4
    assert peaks(np.zeros(100, np.int16), 7).tolist() == [0] * 7
    assert len(decoded(clip_data(CLIPS[0], SECONDS)["peaks"])) == BARS


def samples_of(encoded: bytes) -> tuple[str, np.ndarray]:
    """Codec and decoded samples."""
    with av.open(io.BytesIO(encoded), "r") as container:
        (stream,) = container.streams
        return stream.codec_context.name, np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])


def test_media_are_the_same_bytes_each_time_and_sound_like_the_clip():
    tone = (9_000 * np.sin(np.arange(32_000) * 2 * np.pi * 440 / 16_000)).astype(np.int16)
    assert (flac(tone), aac(tone)) == (flac(tone), aac(tone))
    codec, samples = samples_of(flac(tone))
    assert codec == "flac" and np.array_equal(samples, tone)
    codec, samples = samples_of(aac(tone))
    assert codec == "aac" and np.abs(np.fft.rfft(samples[:16_000])).argmax() == 440
    picture = CLIPS[0].picture
    assert jpeg(picture, 50) == jpeg(picture, 50) != jpeg(picture, 40)


@pytest.fixture
def val_embeddings() -> Embeddings:
    """Random tokens of nine clips about six images; clips 0 and 1 are about one."""
    draw = torch.Generator().manual_seed(0)
    audio, image = (
        torch.nn.functional.normalize(torch.randn(s, generator=draw), dim=-1) for s in ((9, 4, 8), (6, 5, 8))
    )
    return Embeddings(
        audio_tokens=audio.half(), audio_mask=torch.ones(9, 4, dtype=torch.bool),
        clip_image=torch.tensor([0, 0, 1, 2, 3, 4, 5, 1, 2], dtype=torch.int32),
        image_tokens=image.half(), image_mask=torch.ones(6, 5, dtype=torch.bool),
        clip_id=[f"{n:032x}" for n in range(9)], image_id=[f"{n:064x}" for n in range(6)],
        attrs={"objective": {"max_mean": 1.0}},
    )  # fmt: skip


def test_neighbours_are_those_of_a_slow_search(val_embeddings):
    audio, image = val_embeddings.audio_tokens.float().numpy(), val_embeddings.image_tokens.float().numpy()
    slow = np.array([[np.max(a @ v.T, axis=1).mean() for v in image] for a in audio])
    chosen = [1, 4]
    for row, found in zip(chosen, pictures_of(val_embeddings, chosen), strict=True):
        assert found.items == np.argsort(-slow[row], kind="stable")[:5].tolist()
        right = int(val_embeddings.clip_image[row])
        assert found.rank == 1 + (slow[row] > slow[row, right]).sum() and found.of == 6
        assert found.right == [item == right for item in found.items]
    for row, found in zip(chosen, clips_of(val_embeddings, chosen), strict=True):
        column = slow[:, int(val_embeddings.clip_image[row])]
        assert found.items == np.argsort(-column, kind="stable")[:5].tolist()
        of_image = np.flatnonzero(val_embeddings.clip_image.numpy() == int(val_embeddings.clip_image[row]))
        assert found.rank == 1 + (column > column[of_image].max()).sum() and found.of == 9
        assert found.right == [item in of_image for item in found.items]


def test_a_folder_is_the_same_bytes_each_time_and_needs_nothing_else(tmp_path):
    folders = [page_of(tmp_path / name) for name in ("one", "two")]
    contents = [{f.relative_to(d): f.read_bytes() for f in d.rglob("*") if f.is_file()} for d in folders]
    assert contents[0] == contents[1]
    script = (folders[0] / f"data/{CLIPS[0].clip_id}.js").read_text()
    content = json.loads(script.removeprefix("explorer.add(").removesuffix(");\n"))
    assert (folders[0] / content["picture"]).is_file() and (folders[0] / content["sound"]).is_file()
    assert "Devanagari" in (folders[0] / "fonts.css").read_text()
    files = list(folders[0].glob("*.*"))
    assert files
    for file in files:
        assert "http" not in file.read_text(), f"{file.name} names an address"


def test_text_cannot_end_a_script(tmp_path):
    from ves.report.explorer.folder import Page

    page = Page(tmp_path / "page")
    page.script("x", "add", {"text": "</script><b>"})
    assert "</script" not in (tmp_path / "page/data/x.js").read_text()
