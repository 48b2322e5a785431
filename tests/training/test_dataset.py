"""What training reads: batches, and that every sample is the one it says it is."""

import hashlib
import threading
from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest
import torch

from tests.support.waiting import PATIENCE
from ves.store.features_reader import open_features
from ves.store.shard_format import BadStore
from ves.training.dataset import AHEAD, Batch, PairReader, batches, clips, to_read
from ves.training.order import Order


def test_splits_share_no_image_and_know_their_rows(tiny):
    _, data = tiny
    train, val = clips(data, "train"), clips(data, "val")
    assert not set(train["image_id"]) & set(val["image_id"])
    store = open_features(data.features)
    assert [store.image_ids[row] for row in val["image_row"]] == val["image_id"].to_list()
    with pytest.raises(ValueError, match="no clip is in split 'nowhere'"):
        clips(data, "nowhere")


@pytest.fixture
def stream(tiny, tiny_clips):
    """Makes batches of 8 of the tiny corpus: stream(first, last, rows, **augment)."""
    config, data = tiny
    reader = PairReader(data, config.audio.seconds)

    def make(first: int, last: int, rows: slice = slice(None), **augment) -> Iterator[Batch]:
        changed = config.train.augment.model_copy(update=augment)
        train = config.train.model_copy(update={"batch_size": 8, "augment": changed})
        device = torch.device("cpu")
        return batches(reader, tiny_clips, train, seed=0, first=first, last=last, rows=rows, device=device)

    return make


ON = {"window": "random", "speed": [0.9, 1.1], "noise_snr_db": [10.0, 30.0], "gain_db": [-6.0, 6.0]}


def digest(batch: Batch) -> str:
    whole = hashlib.sha256(batch.waveform.numpy().tobytes())
    for part in (batch.valid.numpy(), batch.patches.view(torch.int16).numpy(), batch.image.numpy()):
        whole.update(part.tobytes())
    return whole.hexdigest()


def test_a_batch_holds_what_its_clips_are(tiny, tiny_clips, stream):
    config, data = tiny
    reader, order = PairReader(data, config.audio.seconds), Order(len(tiny_clips), 0)
    for number, batch in enumerate(stream(0, 3)):
        chosen = tiny_clips[order.take(number * 8, 8)]
        waveform, valid = reader.waveforms(chosen)
        assert torch.equal(batch.waveform, waveform) and torch.equal(batch.valid, valid)
        assert torch.equal(batch.patches, reader.features.read(chosen["image_row"].to_numpy()))
        same = np.array(chosen["image_id"])[:, None] == np.array(chosen["image_id"])[None, :]
        assert np.array_equal((batch.image[:, None] == batch.image).numpy(), same)
        assert waveform.abs().amax(-1).allclose(torch.ones(8)), "peak-normalised"
        expected = np.minimum(chosen["duration_s"].to_numpy(), config.audio.seconds) * 16_000
        assert np.abs(valid.numpy() - expected).max() <= 1


@pytest.mark.parametrize("augment", [{}, ON])
def test_resuming_in_the_middle_reads_the_same_batches(stream, augment):
    whole = [digest(batch) for batch in stream(0, 6, **augment)]
    assert len(set(whole)) == 6
    assert [digest(batch) for batch in stream(4, 6, **augment)] == whole[4:]


def test_augmentation_changes_every_batch(stream):
    plain, augmented = ({digest(batch) for batch in stream(0, 6, **augment)} for augment in ({}, ON))
    assert len(plain) == len(augmented) == 6
    assert not plain & augmented


@pytest.mark.parametrize("augment", [{}, ON])
def test_parts_of_a_batch_are_those_of_the_whole(stream, augment):
    """Each process of several reads its rows, and draws for them what one process would."""
    parts = zip(stream(1, 3, slice(0, 4), **augment), stream(1, 3, slice(4, 8), **augment), strict=True)
    for whole, (one, other) in zip(stream(1, 3, **augment), parts, strict=True):
        assert torch.equal(torch.cat([one.waveform, other.waveform]), whole.waveform)
        assert torch.equal(torch.cat([one.image, other.image]), whole.image)


def test_a_batch_in_use_is_not_overwritten(stream, monkeypatch):
    """Everything that can be read meanwhile is read; buffers are used again once the batch is released."""
    expected = [digest(batch) for batch in stream(0, 9)]
    real, read, places = PairReader.patches, threading.Semaphore(0), set()

    def patches(self, rows, out=None):
        actual = real(self, rows, out=out)
        read.release()  # it is the last that is read of a batch
        return actual

    monkeypatch.setattr(PairReader, "patches", patches)
    for number, batch in enumerate(stream(0, 9)):
        ahead = 1 + AHEAD if number == 0 else int(number + AHEAD < 9)
        assert all(read.acquire(timeout=PATIENCE) for _ in range(ahead))
        assert digest(batch) == expected[number]
        places.add(batch.waveform.data_ptr())
    assert len(places) == AHEAD + 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_buffer_is_not_read_into_while_the_device_copies_it(tiny, tiny_clips, stream):
    """Copies wait behind a second of other work on the device; what arrives is still the batch that was asked for."""
    config, data = tiny
    train = config.train.model_copy(update={"batch_size": 8})
    device = torch.device("cuda")
    actual = []
    reader = PairReader(data, config.audio.seconds)
    for batch in batches(reader, tiny_clips, train, seed=0, first=0, last=9, device=device):
        assert batch.waveform.is_pinned() and batch.patches.is_pinned()
        torch.cuda._sleep(10**9)
        actual.append(batch.to(device).waveform)
    for waveform, expected in zip(actual, stream(0, 9), strict=True):
        assert torch.equal(waveform.cpu(), expected.waveform)


def test_what_cannot_be_read_is_an_error_of_the_batch_that_holds_it(tiny, stream, monkeypatch):
    real = PairReader.patches

    def fail_third(self, rows, out=None):
        calls.append(rows)
        if len(calls) == 3:
            raise BadStore("row 7: damaged")
        return real(self, rows, out=out)

    calls: list = []
    monkeypatch.setattr(PairReader, "patches", fail_third)
    read: list = []
    with pytest.raises(BadStore, match="row 7"):
        read.extend(batch.image[0] for batch in stream(0, 9))
    assert len(read) == 2


def test_what_is_kept_of_a_clip_is_what_reading_it_takes(tiny, tiny_clips):
    """In the same order; 24 M clips are 288 MB, as 12 bytes each and the names of shards."""
    frame = to_read(tiny[1], "train")
    assert frame["shard"].cast(pl.String).to_list() == tiny_clips["shard"].to_list()
    assert frame["row"].to_list() == tiny_clips["row"].to_list()
    assert frame["image_row"].to_list() == tiny_clips["image_row"].to_list()
    assert frame.estimated_size() <= 12 * len(frame) + 2 * 64


def test_images_missing_from_the_table_are_an_error(tiny, tmp_path):
    _, data = tiny
    short = tmp_path / "images.parquet"
    pl.read_parquet(data.images).head(1).write_parquet(short)
    with pytest.raises(ValueError, match="images.parquet: lacks images of"):
        clips(data.model_copy(update={"images": str(short)}), "train")
