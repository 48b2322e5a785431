"""Embedding a split: what is stored is what the model says of each clip and image, whatever they are batched with."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import ves.evaluation.embed
from tests.support.untrained_run import write_untrained_run
from ves.base.files import write_json
from ves.config.experiment import run_config
from ves.evaluation.embed import BATCH, embed, embed_weights, fixed_batches
from ves.evaluation.localisation import measure as localisation
from ves.evaluation.retrieval import protocols
from ves.media.audio import FrameGrid
from ves.models.towers import load as load_model
from ves.store.embeddings import join, load, manifest_path
from ves.training.dataset import PairReader, clips

pytestmark = pytest.mark.numbers


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    return write_untrained_run(tmp_path_factory.mktemp("embed") / "dense-s0", *tiny)


@pytest.fixture(scope="module")
def val(run):
    embed(run, "val", run / "embeddings" / "val.zarr")
    return load(run / "embeddings" / "val.zarr")


def test_batches_are_full_and_cover_each_row_once():
    for rows in (1, BATCH, BATCH + 1, 3 * BATCH - 1):
        batches = list(fixed_batches(rows))
        assert all(len(batch) == BATCH for _, batch in batches)
        assert np.concatenate([batch[:new] for new, batch in batches]).tolist() == list(range(rows))


def test_clips_and_their_images(tiny, val):
    frame = clips(tiny[1], "val")
    assert val.clip_id == frame["clip_id"].to_list()
    assert [val.image_id[i] for i in val.clip_image] == frame["image_id"].to_list()
    assert val.image_id == sorted(set(frame["image_id"]))


def test_tokens_are_those_of_the_model(tiny, run, val):
    """One clip and its image by hand, each in a batch of its own."""
    _, data = tiny
    model, config = load_model(run)
    reader = PairReader(data, config.audio.seconds)
    frame = clips(data, "val")
    for row in (0, len(frame) - 1):
        one = frame[[row]]
        with torch.no_grad():
            tokens, mask = model.audio_tokens(*reader.waveforms(one))
            image = model.image_tokens(*reader.patches(one["image_row"].to_numpy()))
        torch.testing.assert_close(val.audio_tokens[row].float(), tokens[0], atol=2e-3, rtol=0)
        torch.testing.assert_close(val.image_tokens[val.clip_image[row]].float(), image[0], atol=2e-3, rtol=0)
        assert torch.equal(val.audio_mask[row], mask[0])


def test_attributes_say_whose_they_are_and_where_tokens_lie(tiny, run, val):
    config, _ = tiny
    frames = val.attrs["frames"]
    grid = FrameGrid(tuple(frames["kernels"]), tuple(frames["strides"]), frames["pool"])
    assert grid.hop_s == val.attrs["hop_s"]
    assert grid.tokens(round(config.audio.seconds * 16_000)) == val.audio_tokens.shape[1]
    assert np.prod(val.attrs["grid"]) == val.image_tokens.shape[1]
    assert val.attrs["objective"] == {"max_mean": 1.0}
    assert val.attrs["log_scale"] == pytest.approx(np.log(1 / config.train.temperature))
    assert (val.attrs["run"], val.attrs["split"]) == ("dense-s0", "val")


def test_embedding_twice_gives_the_same_bytes(run, val):
    manifest = run / "embeddings" / "val.zarr.manifest.json"
    before = manifest.read_bytes()
    embed(run, "val", run / "embeddings" / "val.zarr")
    assert manifest.read_bytes() == before


def test_neither_threads_nor_the_size_of_a_batch_change_what_is_stored(tiny, run, val, tmp_path):
    """One thread gives the same bytes as two; a batch of another size, the same numbers but for rounding."""
    settings = run_config(run)
    for threads in (1, 2):
        embed_weights(run / "model.safetensors", settings, "val", tmp_path / f"{threads}.zarr", threads=threads)
    one, two = (manifest_path(tmp_path / f"{threads}.zarr").read_bytes() for threads in (1, 2))
    assert one == two
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ves.evaluation.embed, "BATCH", 5)
        embed(run, "val", tmp_path / "small.zarr")
    small = load(tmp_path / "small.zarr")
    mask = val.audio_mask  # what padding holds is nobody's business
    torch.testing.assert_close(small.audio_tokens[mask].float(), val.audio_tokens[mask].float(), atol=1e-3, rtol=0)
    torch.testing.assert_close(small.image_tokens.float(), val.image_tokens.float(), atol=1e-3, rtol=0)


def test_images_of_val_more_are_not_embedded_twice(tiny, run, val):
    _, data = tiny
    embed(run, "val_more", run / "embeddings" / "val_more.zarr")
    more = load(run / "embeddings" / "val_more.zarr")
    frame = clips(data, "val_more")
    assert more.clip_id == frame["clip_id"].to_list()
    assert [more.image_id[i] for i in more.clip_image] == frame["image_id"].to_list()
    assert len(more.image_tokens) == len(more.image_mask) == 0
    both = join(val, more)
    assert set(both.clip_id) - set(val.clip_id) <= set(more.clip_id)
    protocols.multi_positive(run, run / "scores", run / "all.parquet", run / "multi_positive.json")
    report = json.loads((run / "multi_positive.json").read_text())
    assert report["A2V"]["all"]["n"] == report["V2A"]["all"]["gallery"] == len(both.clip_id) > len(val.clip_id)


def test_val_more_may_be_empty_and_no_other_split(tiny, run, tmp_path):
    """Where every picture has one clip. Nothing else of it differs: the same sizes, no row."""
    _, data = tiny
    splits = pl.read_parquet(data.splits).filter(pl.col("split") != "val_more")
    splits.write_parquet(tmp_path / "splits.parquet")
    settings = json.loads((run / "config.json").read_text())
    settings["data"]["splits"] = str(tmp_path / "splits.parquet")
    write_json(tmp_path / "dense-s0" / "config.json", settings)
    (tmp_path / "dense-s0" / "model.safetensors").symlink_to(run / "model.safetensors")
    embed(tmp_path / "dense-s0", "val_more", tmp_path / "val_more.zarr")
    none, some = load(tmp_path / "val_more.zarr"), load(run / "embeddings" / "val.zarr")
    assert none.audio_tokens.shape == (0, *some.audio_tokens.shape[1:])
    assert join(some, none).clip_id == some.clip_id


def test_a_split_without_clips_is_an_error(run):
    with pytest.raises(ValueError, match="'nowhere'"):
        embed(run, "nowhere", run / "embeddings" / "nowhere.zarr")
    assert not (run / "embeddings" / "nowhere.zarr").exists()


def test_the_metrics_read_them(tiny, run, val):
    """Through both evaluations on a real corpus with its real truth."""
    _, data = tiny
    store = run / "embeddings" / "val.zarr"
    protocols.paper(run, run / "scores", run / "ranks.parquet", run / "retrieval.json")
    found = json.loads((run / "retrieval.json").read_text())
    assert found["A2V"]["n"] == found["V2A"]["n"] == len(val.image_id) == found["A2V"]["gallery"]
    localisation.evaluate(store, data, Path(data.manifest).parent / "truth", run / "localisation.json")
    pointed = json.loads((run / "localisation.json").read_text())
    assert pointed["available"] is True
    assert pointed["n"] >= len(val.clip_id), "every description names an object, most of them within the window"
    assert 0 < pointed["random"] < 50
    assert set(pointed["by_language"]) <= {"Hindi", "Bengali", "hi", "bn"}
