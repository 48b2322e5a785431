"""What training reads: order, batches, and that every sample is the one it says it is."""

import hashlib

import numpy as np
import polars as pl
import pytest
import torch

from ves.dataset import Order, PairReader, batches, clips
from ves.store import open_features


def test_every_epoch_is_a_permutation_and_a_pure_function_of_position():
    order = Order(10, seed=3)
    epochs = order.take(0, 30).reshape(3, 10)
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert not np.array_equal(epochs[0], epochs[1])
    fresh = Order(10, seed=3)
    assert np.array_equal(fresh.take(7, 16), epochs.ravel()[7:23]), "also across the ends of epochs"
    assert not np.array_equal(Order(10, seed=4).take(0, 10), epochs[0])


def test_splits_share_no_image_and_know_their_rows(tiny):
    _, data = tiny
    train, val = clips(data, "train"), clips(data, "val")
    assert not set(train["image_id"]) & set(val["image_id"])
    store = open_features(data.features)
    assert [store.image_ids[row] for row in val["image_row"]] == val["image_id"].to_list()
    with pytest.raises(ValueError, match="no clip is in split 'nowhere'"):
        clips(data, "nowhere")


def test_a_batch_holds_what_its_clips_are(tiny, tiny_clips):
    config, data = tiny
    reader = PairReader(data, config.audio.seconds)
    stream = list(batches(reader, tiny_clips, batch_size=8, seed=0, first=0, last=3))
    order = Order(len(tiny_clips), 0)
    for number, batch in enumerate(stream):
        chosen = tiny_clips[order.take(number * 8, 8)]
        waveform, valid = reader.waveforms(chosen)
        assert torch.equal(batch.waveform, waveform) and torch.equal(batch.valid, valid)
        assert torch.equal(batch.patches, reader.features.read(chosen["image_row"].to_numpy()))
        same = np.array(chosen["image_id"])[:, None] == np.array(chosen["image_id"])[None, :]
        assert np.array_equal(batch.same_image.numpy(), same)
        assert waveform.abs().amax(-1).allclose(torch.ones(8)), "peak-normalised"
        expected = np.minimum(chosen["duration_s"].to_numpy(), config.audio.seconds) * 16_000
        assert np.abs(valid.numpy() - expected).max() <= 1


def test_resuming_in_the_middle_reads_the_same_batches(tiny, tiny_clips):
    config, data = tiny
    reader = PairReader(data, config.audio.seconds)

    def digests(first: int) -> list[str]:
        stream = batches(reader, tiny_clips, batch_size=8, seed=0, first=first, last=6)
        return [hashlib.sha256(batch.waveform.numpy().tobytes()).hexdigest() for batch in stream]

    assert digests(0)[4:] == digests(4)


def test_images_missing_from_the_table_are_an_error(tiny, tmp_path):
    _, data = tiny
    short = tmp_path / "images.parquet"
    pl.read_parquet(data.images).head(1).write_parquet(short)
    with pytest.raises(ValueError, match="images.parquet: lacks images of"):
        clips(data.model_copy(update={"images": str(short)}), "train")
