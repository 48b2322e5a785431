"""Training on recordings: numbers of recordings, frames drawn at random, batches and losses that know them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from ves.config.experiment import DataPaths
from ves.training.augmentation import any_frame
from ves.training.dataset import READ, Batch, PairReader, batches, clips, to_read
from ves.training.order import Order, RecordingOrder
from ves.training.recordings import numbered, order

FILMS = 20


@pytest.fixture(scope="session")
def film(tiny, tmp_path_factory) -> DataPaths:
    """The tiny corpus as if most of its clips were of one of 20 films, and most of those had frames.

    A clip about every eighth picture is of no film, one about every fifth has its own picture only.
    """
    data = tiny[1]
    manifest = pl.read_parquet(data.manifest)
    names = pl.read_parquet(data.images).sort("row")["image_id"].to_list()
    row_of = {name: row for row, name in enumerate(names)}
    recordings, frames = [], []
    for row in map(row_of.__getitem__, manifest["image_id"]):
        recordings.append(f"film {row % FILMS}" if row % 8 else None)
        frames.append([names[row - 1], names[row], names[(row + 7) % len(names)]] if row % 5 else None)
    manifest = manifest.with_columns(
        pl.Series("recording_id", recordings, pl.String),
        pl.lit(None, pl.UInt32).alias("segment"),
        pl.Series("frame_ids", frames, pl.List(pl.String)),
    )
    path = tmp_path_factory.mktemp("film") / "manifest.parquet"
    manifest.write_parquet(path)
    return data.model_copy(update={"manifest": str(path)})


@pytest.fixture
def stream(tiny, film):
    """Makes batches of 8 of the corpus of films: stream(first, last, rows, **augment)."""
    config, frame = tiny[0], to_read(film, "train")
    reader = PairReader(film, config.audio.seconds)

    def make(first: int, last: int, rows: slice = slice(None), *, size: int = 8, **augment) -> Iterator[Batch]:
        changed = config.train.augment.model_copy(update=augment)
        train = config.train.model_copy(update={"batch_size": size, "augment": changed})
        device = torch.device("cpu")
        return batches(reader, frame, train, seed=0, first=first, last=last, rows=rows, device=device)

    return make


def test_what_is_kept_of_a_clip_is_its_recording_and_the_rows_of_its_frames(film):
    frame, whole = to_read(film, "train"), clips(film, "train", ["image_row", "recording_id", "frame_ids"])
    assert frame.columns == [*READ, "recording", "frame_rows"]
    assert frame["image_row"].to_list() == whole["image_row"].to_list()
    images = dict(pl.read_parquet(film.images).select("image_id", "row").iter_rows())
    expected = [of and [images[image] for image in of] for of in whole["frame_ids"].to_list()]
    assert frame["frame_rows"].to_list() == expected
    assert None in expected
    together: dict[object, set[int]] = {}
    for place, (number, recording) in enumerate(zip(frame["recording"], whole["recording_id"], strict=True)):
        together.setdefault(recording or place, set()).add(number)
    assert all(len(numbers) == 1 for numbers in together.values())
    assert sorted(number for (number,) in together.values()) == list(range(len(together)))


def test_recordings_are_numbered_by_eye():
    assert numbered(pl.Series(["b", None, "a", "b", None])).to_list() == [1, 2, 0, 1, 3]
    assert numbered(pl.Series([None, None], dtype=pl.String)).to_list() == [0, 1]


def test_a_corpus_without_recordings_keeps_its_order(tiny):
    frame = to_read(tiny[1], "train")
    assert frame.columns == READ
    assert isinstance(order(frame, 8, 0), Order)
    assert isinstance(order(frame.with_columns(recording=pl.int_range(len(frame))), 8, 0), RecordingOrder)


def test_frames_alone_do_not_change_the_order(tiny, film, tmp_path):
    manifest = tmp_path / "manifest.parquet"
    pl.read_parquet(film.manifest).with_columns(recording_id=pl.lit(None, pl.String)).write_parquet(manifest)
    assert to_read(film.model_copy(update={"manifest": str(manifest)}), "train").columns == [*READ, "frame_rows"]


def test_a_frame_that_the_table_of_images_lacks_is_an_error(film, tmp_path):
    manifest = pl.read_parquet(film.manifest)
    gone = manifest.with_columns(frame_ids=pl.concat_list("image_id", pl.lit("0" * 64)))
    gone.write_parquet(tmp_path / "manifest.parquet")
    with pytest.raises(ValueError, match=r"images\.parquet: lacks frames of .*manifest\.parquet"):
        to_read(film.model_copy(update={"manifest": str(tmp_path / "manifest.parquet")}), "train")


def test_no_batch_has_two_clips_of_a_recording(film, stream):
    frame = to_read(film, "train")
    expected = RecordingOrder(frame["recording"].to_numpy().astype(np.int64), 8, 0)
    for number, batch in enumerate(stream(0, 12)):
        assert batch.recording is not None
        assert len(set(batch.recording.tolist())) == 8
        chosen = frame[expected.take(number * 8, 8)]
        assert batch.recording.tolist() == chosen["recording"].to_list()
        assert batch.image.tolist() == chosen["image_row"].to_list(), "the picture that the clip is about"


def test_parts_of_a_batch_keep_their_recordings(stream):
    """Each process reads its rows, and draws for them what one process would."""
    for name in ("middle", "random"):
        parts = zip(stream(1, 3, slice(0, 4), frame=name), stream(1, 3, slice(4, 8), frame=name), strict=True)
        for whole, (one, other) in zip(stream(1, 3, frame=name), parts, strict=True):
            assert whole.recording is not None and one.recording is not None and other.recording is not None
            assert torch.equal(torch.cat([one.recording, other.recording]), whole.recording)
            assert torch.equal(torch.cat([one.image, other.image]), whole.image)
            assert torch.equal(torch.cat([one.waveform, other.waveform]), whole.waveform)


def test_a_slice_and_a_copy_of_a_batch_keep_its_recordings(stream):
    (batch,) = stream(0, 1)
    assert batch.recording is not None
    for same in (batch[2:5], batch.to(torch.device("cpu"))[2:5]):
        assert same.recording is not None
        assert torch.equal(same.recording, batch.recording[2:5])


def test_any_frame_of_a_clip_may_be_drawn(film, stream):
    """And nothing but one of them; a clip without frames keeps its picture; patches are those of what was drawn."""
    frame, reader = to_read(film, "train"), PairReader(film, 3.0)
    expected = RecordingOrder(frame["recording"].to_numpy().astype(np.int64), 8, 0)
    places = []
    for number, batch in enumerate(stream(0, 60, frame="random")):
        chosen = frame[expected.take(number * 8, 8)]
        columns = [chosen[name].to_list() for name in ("image_row", "frame_rows")]
        for image, own, frames in zip(batch.image.tolist(), *columns, strict=True):
            assert image in (frames or [own])
            places += [] if frames is None else [frames.index(image)]
        assert torch.equal(batch.patches, reader.features.read(batch.image.numpy()))
    shares = np.bincount(places, minlength=3) / len(places)
    assert np.abs(shares - 1 / 3).max() < 0.1


def test_a_resumed_run_draws_the_same_frames(stream):
    whole = [batch.image.tolist() for batch in stream(0, 6, frame="random")]
    assert [batch.image.tolist() for batch in stream(4, 6, frame="random")] == whole[4:]
    assert whole != [batch.image.tolist() for batch in stream(0, 6)]


def test_drawing_frames_does_not_change_the_other_augmentations(stream):
    changes = {"window": "random", "gain_db": [-6.0, 6.0], "noise_snr_db": [10.0, 30.0]}
    for plain, drawn in zip(stream(0, 3, **changes), stream(0, 3, frame="random", **changes), strict=True):
        assert torch.equal(plain.waveform, drawn.waveform)
        assert not torch.equal(plain.image, drawn.image)


def test_frames_are_a_function_of_seed_step_and_place():
    keys = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    drawn = [[any_frame(range(1000), *key) for _ in range(2)] for key in keys]
    assert all(first == again for first, again in drawn)
    assert len({first for first, _ in drawn}) == 4


def test_random_frames_of_a_corpus_without_any_are_refused(tiny):
    config, data = tiny
    augment = config.train.augment.model_copy(update={"frame": "random"})
    train, frame = config.train.model_copy(update={"augment": augment}), to_read(data, "train")
    reader, device = PairReader(data, config.audio.seconds), torch.device("cpu")
    with pytest.raises(ValueError, match=r"^train\.augment\.frame: random, but no training clip .*set it to middle"):
        batches(reader, frame, train, seed=0, first=0, last=1, device=device)


def test_too_large_a_batch_is_refused_before_it_is_read(stream):
    with pytest.raises(ValueError, match=r"^train\.batch_size: 60 is more than the \d+ recordings"):
        stream(0, 1, size=60)


def test_a_run_on_recordings_ends(film, tiny_run):
    """From the files of a corpus to a trained model, with frames drawn and micro-batches."""
    import json

    from ves.base.files import write_json
    from ves.training.train import train

    run = tiny_run("film", epochs=0.5, batch_size=16, micro_batch=4)
    config = json.loads((run / "config.json").read_text())
    config["data"]["manifest"] = film.manifest
    config["train"]["augment"]["frame"] = "random"
    write_json(run / "config.json", config)
    train(run)
    lines = [json.loads(line) for line in Path(run / "log.jsonl").read_text().splitlines()]
    assert len(lines) == len(to_read(film, "train")) // 32
    assert (run / "model.safetensors").is_file()
