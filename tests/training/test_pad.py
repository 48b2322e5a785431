"""`fit: pad` through the whole chain: patches that show only padding never win a maximum and never count in a mean.

The way to see it: put something loud into exactly these patches, and nothing that is measured or trained may change.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.support.features import extract_all
from tests.support.tiny_corpus import tiny_config
from tests.support.training_log import log_of
from ves.base.files import read_json, write_json
from ves.config.experiment import RunConfig, features_name
from ves.evaluation.embed import embed
from ves.evaluation.localisation import measure as localisation
from ves.evaluation.retrieval.protocols import one_to_one
from ves.evaluation.retrieval.scores import all_pairs
from ves.evaluation.retrieval.tune import recall
from ves.models.towers import load as load_model
from ves.similarity.pairwise import SIMILARITIES, token_similarity
from ves.store.embeddings import Embeddings, load, write
from ves.store.features_reader import FeatureStore
from ves.training.dataset import Batch, PairReader, batches, clips
from ves.training.gradient_cache import objective, represent
from ves.training.order import Order
from ves.training.train import train

pytestmark = pytest.mark.numbers

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pad_data(tiny, tmp_path_factory) -> tuple:
    """(Config, DataPaths) of the tiny corpus whose pictures were padded to the square."""
    config, data = tiny
    vision = config.vision.model_copy(update={"fit": "pad"})
    store = tmp_path_factory.mktemp("pad") / f"{features_name(vision)}.zarr"
    pictures = Path(data.images).parent / "images"
    extract_all(vision, Path(data.images), pictures, store)
    return config.model_copy(update={"vision": vision}), data.model_copy(update={"features": str(store)})


@pytest.fixture(scope="module")
def reader(pad_data) -> PairReader:
    config, data = pad_data
    return PairReader(data, config.audio.seconds)


def run_folder(pad_data, folder: Path) -> Path:
    """A run of two steps of hybrid, in fp64 so that Adam makes no steps out of rounding."""
    config, data = pad_data
    epochs = 2.5 * 16 / len(clips(data, "train"))
    changes = {"epochs": epochs, "precision": "fp64", "threads": 1, "warmup": 0.0}
    changes["rates"] = dict.fromkeys(config.train.rates, 3e-3) | {"audio.backbone": 7e-4}
    settings = config.train_of("hybrid").model_copy(update=changes)
    run = RunConfig(
        run="hybrid-s0", seed=0, data=data, audio=config.audio, vision=None, model=config.model, train=settings
    )
    write_json(folder / "config.json", run.model_dump(mode="json"))
    return folder


@pytest.fixture(scope="module")
def run_and_val(pad_data, tmp_path_factory) -> tuple[Path, Embeddings]:
    """A run trained for two steps and its embeddings of val."""
    folder = run_folder(pad_data, tmp_path_factory.mktemp("run") / "hybrid-s0")
    train(folder, recall=recall)
    embed(folder, "val", folder / "val.zarr")
    return folder, load(folder / "val.zarr")


@pytest.fixture
def loud(monkeypatch, reader):
    """From now on the store gives, for patches of padding, numbers a hundred times as large as any feature."""
    read = FeatureStore.read

    def read_with_noise(self: FeatureStore, rows, out=None) -> Tensor:
        patches = read(self, rows, out)
        noise = 100 * patches.abs().max() * torch.randn(patches.shape, generator=torch.Generator().manual_seed(1))
        shown = reader.masks[np.asarray(rows, np.int64)]
        return patches.copy_(torch.where(shown[..., None], patches, noise.to(patches.dtype)))  # `out` too, if given

    monkeypatch.setattr(FeatureStore, "read", read_with_noise)


def slow_mask(width: int, height: int, side: int, grid: tuple[int, int]) -> list[bool]:
    """Patch by patch: whether any pixel of it shows the picture, whose longer side fills the square."""
    wide, high = (max(1, round(length * side / max(width, height))) for length in (width, height))
    left, top = (side - wide) // 2, (side - high) // 2
    canvas = np.zeros((side, side), bool)
    canvas[top : top + high, left : left + wide] = True
    rows, columns = grid
    step_y, step_x = side // rows, side // columns
    return [
        bool(canvas[r * step_y : (r + 1) * step_y, c * step_x : (c + 1) * step_x].any())
        for r in range(rows)
        for c in range(columns)
    ]


def test_masks_say_which_patches_show_the_picture(pad_data, reader):
    """Of every picture, in the order asked for."""
    _, data = pad_data
    images = pl.read_parquet(data.images).sort("row", descending=True)
    patches, mask = reader.patches(images["row"].to_numpy())
    assert mask is not None
    assert mask.shape == patches.shape[:2]
    side, grid = reader.features.attrs["image_size"], reader.features.grid
    for actual, (width, height) in zip(mask, images.select("width", "height").iter_rows(), strict=True):
        assert actual.tolist() == slow_mask(width, height, side, grid)
    hidden = (~mask).sum(1)
    assert (hidden > 0).float().mean() > 0.5, "most pictures of the corpus are no squares"
    assert hidden.max() >= 20
    assert mask.any(1).all()


def test_other_fits_have_no_mask(tiny):
    config, data = tiny
    assert PairReader(data, config.audio.seconds).patches(np.array([0, 1]))[1] is None


def first_batch(reader: PairReader, frame: pl.DataFrame) -> Iterator[Batch]:
    """Eight pairs, as training reads them."""
    settings = tiny_config().train_of("dense").model_copy(update={"batch_size": 8})
    return batches(reader, frame, settings, seed=0, first=0, last=1, device=torch.device("cpu"))


def test_batches_carry_the_masks_of_their_pictures(pad_data, reader):
    _, data = pad_data
    frame = clips(data, "train")
    rows = Order(len(frame), 0).take(0, 8)
    (batch,) = first_batch(reader, frame)
    assert batch.image_mask is not None
    assert torch.equal(batch.image_mask, reader.masks[frame[rows]["image_row"].to_list()])


@pytest.mark.parametrize("similarity", sorted(SIMILARITIES))
def test_the_loss_does_not_hear_padding(pad_data, reader, run_and_val, similarity, request):
    """Neither loss nor gradient changes with what lies in the padding; without the mask both would."""
    _, data = pad_data
    model, config = load_model(run_and_val[0])
    settings = config.train.model_copy(update={"objective": {similarity: 1.0}})
    frame = clips(data, "train")

    def measure() -> tuple[Tensor, list[Tensor], Tensor]:
        (batch,) = first_batch(reader, frame)
        loss, _ = objective(represent(model, batch, settings), model.log_scale, settings)
        gradients = torch.autograd.grad(loss, list(model.visual.parameters()))
        unmasked = type(batch)(batch.waveform, batch.valid, batch.patches, None, batch.image)
        without = objective(represent(model, unmasked, settings), model.log_scale, settings)[0]
        return loss.detach(), list(gradients), without.detach()

    quiet = measure()
    request.getfixturevalue("loud")
    noisy = measure()
    torch.testing.assert_close(noisy[0], quiet[0])
    for one, other in zip(noisy[1], quiet[1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    assert not torch.isclose(noisy[2], quiet[2], rtol=1e-3), "the padding is loud: unmasked, it is heard"


def test_training_and_recall_do_not_hear_padding(pad_data, run_and_val, tmp_path, loud):
    """Two steps and the recall after them: log and weights are those of the same run with silent padding."""
    quiet = run_and_val[0]
    noisy = run_folder(pad_data, tmp_path / "hybrid-s0")
    train(noisy, recall=recall)
    assert [line["step"] for line in log_of(noisy)] == [1, 2]
    for one, other in zip(log_of(noisy), log_of(quiet), strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    assert "tune/R@10" in log_of(noisy)[-1]
    before, after = load_file(quiet / "model.safetensors"), load_file(noisy / "model.safetensors")
    for name, weights in before.items():
        # Adam divides by the size of the gradient, so where that is next to nothing its rounding shows
        assert (weights - after[name]).abs().mean() < 1e-5, name


def test_recall_on_val_does_not_hear_padding(pad_data, reader, run_and_val, request):
    _, data = pad_data
    model, config = load_model(run_and_val[0])
    quiet = recall(model, reader, clips(data, "val"), config.train, CPU)
    request.getfixturevalue("loud")
    assert recall(model, reader, clips(data, "val"), config.train, CPU) == quiet


def test_embeddings_carry_the_masks(pad_data, reader, run_and_val):
    _, stored = run_and_val
    row_of = dict(pl.read_parquet(pad_data[1].images).select("image_id", "row").iter_rows())
    assert stored.attrs["fit"] == "pad"
    assert torch.equal(stored.image_mask, reader.masks[[row_of[image] for image in stored.image_id]])
    assert not stored.image_mask.all()


def deafening(stored: Embeddings, folder: Path) -> tuple[Path, Embeddings]:
    """The same embeddings on disk, but padding is more like most spoken tokens than any patch that shows something."""
    tokens = stored.image_tokens.clone()
    speech = stored.audio_tokens[stored.audio_mask].float().mean(0)
    tokens[~stored.image_mask] = (50 * speech).half()
    loud = Embeddings(**{**vars(stored), "image_tokens": tokens})
    similarity = token_similarity(loud.audio_tokens.float(), tokens.float())  # A V T P
    valid_tokens = stored.audio_mask[:, None, :, None] & ~stored.image_mask.all(1)[None, :, None, None]
    winner = similarity.argmax(-1, keepdim=True)
    on_padding = ~stored.image_mask[None, :, None, :].expand_as(similarity).gather(-1, winner)
    assert on_padding[valid_tokens.expand_as(on_padding)].float().mean() > 0.8, "unmasked, padding would win"
    write(folder / "loud.zarr", loud)
    return folder / "loud.zarr", loud


def test_no_metric_hears_padding(pad_data, run_and_val, tmp_path):
    """Retrieval under every similarity and localisation, from embeddings whose padding would win every maximum."""
    run, stored = run_and_val
    store, loud = deafening(stored, tmp_path)
    for name in SIMILARITIES:
        torch.testing.assert_close(all_pairs(name, loud, tmp_path, [b"loud"]), all_pairs(name, stored, tmp_path, [b""]))
    truth = Path(pad_data[1].manifest).parent / "truth"
    reports = []
    for number, source in enumerate((run / "val.zarr", store)):
        _, actual = one_to_one(load(source), tmp_path, [bytes([number])])
        localisation.evaluate(source, pad_data[1], truth, tmp_path / f"localisation-{number}.json")
        reports.append([actual, read_json(tmp_path / f"localisation-{number}.json")])
    assert reports[0] == reports[1]
    assert reports[0][1]["available"] is True
    assert reports[0][1]["n"] >= len(stored.clip_id)


def test_all_images_keep_a_mean_of_their_own_patches(run_and_val, tmp_path):
    """mean_mean of one clip and one picture, written with loops over the patches that show it."""
    _, stored = run_and_val
    image = int((~stored.image_mask).sum(1).argmax())  # the one with the most padding
    audio, patches = stored.audio_tokens[0].double(), stored.image_tokens[image].double()
    valid_tokens = [t for t in range(len(audio)) if stored.audio_mask[0, t]]
    shown = [p for p in range(len(patches)) if stored.image_mask[image, p]]
    assert len(shown) < len(patches)
    every = [[float(audio[t] @ patches[p]) for p in shown] for t in valid_tokens]
    assert all_pairs("mean_mean", stored, tmp_path, [])[0, image] == pytest.approx(np.mean(every), abs=1e-5)
    assert all_pairs("max_mean", stored, tmp_path, [])[0, image] == pytest.approx(np.mean(np.max(every, 1)), abs=1e-5)
