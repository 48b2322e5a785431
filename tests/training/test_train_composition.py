"""How training is put together: what reaches the loss, what is averaged, what is clamped, and what recall measures.

`TokenTable` is a model whose tokens are its parameters, so that a formula gives every gradient.
"""

import math
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.support.tiny_corpus import tiny_config
from ves.config.experiment import RunConfig
from ves.config.train import TrainConfig
from ves.evaluation.embed import embed
from ves.evaluation.retrieval.protocols import one_to_one
from ves.evaluation.retrieval.tune import recall
from ves.models.towers import VeS
from ves.similarity.pairwise import SIMILARITIES
from ves.store.embeddings import load
from ves.training.checkpoint import contiguous
from ves.training.dataset import Batch, PairReader, clips
from ves.training.objective import objective, represent
from ves.training.train import optimise

pytestmark = pytest.mark.numbers

HYBRID = {"max_mean": 0.7, "mean_mean": 0.3}
CLIPS, IMAGES, TOKENS, PATCHES, DIM = 8, 6, 5, 4, 16


class TokenTable(VeS):
    """Tokens by number: the number of a clip stands in `valid`, that of an image in the first patch."""

    @property
    def is_stochastic(self) -> bool:
        return False

    def __init__(self, temperature: float = 0.1) -> None:
        nn.Module.__init__(self)
        draw = torch.Generator().manual_seed(3)
        self.audio_table = nn.Parameter(torch.randn(CLIPS, TOKENS, DIM, generator=draw) / DIM**0.5)
        self.image_table = nn.Parameter(torch.randn(IMAGES, PATCHES, DIM, generator=draw) / DIM**0.5)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / temperature)))

    def audio_tokens(self, waveform: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        return self.audio_table[valid], torch.arange(TOKENS) < 2 + valid[:, None] % 4

    def image_tokens(self, patches: Tensor, image_mask: Tensor | None = None) -> Tensor:
        return self.image_table[patches[:, 0, 0].long()]


def batch(clip: list[int], image: list[int], recording: list[int] | None = None) -> Batch:
    """These clips, each of its image and, if there are recordings, of its recording."""
    shown = torch.tensor(image)
    patches = shown[:, None, None].expand(len(image), PATCHES, 1)
    numbers = None if recording is None else torch.tensor(recording)
    return Batch(torch.zeros(len(clip), 1), torch.tensor(clip), patches, None, shown, numbers)


TWINS = batch([0, 1, 2, 3, 4], [0, 1, 0, 2, 3])  # the first and the third clip are of one image
FIRST, SECOND = batch([0, 1, 2], [0, 1, 2]), batch([3, 4, 5], [3, 4, 5])
BOTH = batch([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5])


def settings(run: str = "dense", **changes: Any) -> TrainConfig:
    """The committed settings of a run in fp32, with changes."""
    return tiny_config().train_of(run).model_copy(update={"precision": "fp32", **changes})


def slow_loss(model: TokenTable, pairs: Batch, similarity: str, masked: bool = True) -> Tensor:
    """InfoNCE, pair by pair: both directions, negatives only of other images and recordings (or, unmasked, all)."""
    same = [pairs.image.tolist()] + ([] if pairs.recording is None else [pairs.recording.tolist()])
    audio, mask = model.audio_tokens(pairs.waveform, pairs.valid)
    scores = SIMILARITIES[similarity](audio, mask, model.image_tokens(pairs.patches)) * model.log_scale.exp()
    size, total = len(scores), torch.zeros(())
    for i in range(size):
        others = [j for j in range(size) if j != i and not (masked and any(of[i] == of[j] for of in same))]
        for logits in (
            [scores[i, i]] + [scores[i, j] for j in others],
            [scores[i, i]] + [scores[j, i] for j in others],
        ):
            total = total - logits[0] + torch.stack(logits).logsumexp(0)
    return total / (2 * size)


def gradients(model: TokenTable, loss: Tensor) -> list[Tensor]:
    return [grad.clone() for grad in torch.autograd.grad(loss, list(model.parameters()))]


@pytest.mark.parametrize("run", ["dense", "global"])
def test_two_clips_of_one_picture_are_no_negatives_of_each_other(run):
    """Loss and gradient are those of the loops that leave the pair out, and not of those that leave it in."""
    model, train_settings = TokenTable(), settings(run)
    (similarity,) = train_settings.objective
    loss, logged = objective(represent(model, TWINS, train_settings), model.log_scale, train_settings)
    expected = slow_loss(model, TWINS, similarity)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(logged[f"{similarity}/loss"], loss.detach())
    for actual, wanted in zip(gradients(model, loss), gradients(model, expected), strict=True):
        torch.testing.assert_close(actual, wanted)
    assert loss < slow_loss(model, TWINS, similarity, masked=False) - 0.05


@pytest.mark.parametrize("run", ["dense", "global"])
def test_two_clips_of_one_recording_are_no_negatives_of_each_other(run):
    """Nor are those of one picture of two recordings; the rest is as without recordings."""
    model, train_settings = TokenTable(), settings(run)
    (similarity,) = train_settings.objective
    pictures = [0, 1, 0, 2, 3]
    films = batch([0, 1, 2, 3, 4], pictures, [0, 1, 2, 1, 3])  # the second and fourth clip are of one recording
    loss, logged = objective(represent(model, films, train_settings), model.log_scale, train_settings)
    expected = slow_loss(model, films, similarity)
    torch.testing.assert_close(loss, expected)
    for actual, wanted in zip(gradients(model, loss), gradients(model, expected), strict=True):
        torch.testing.assert_close(actual, wanted)
    assert loss < slow_loss(model, TWINS, similarity) - 0.01
    assert logged["masked_pairs"].item() == pytest.approx(4 / 20)
    alone = batch([0, 1, 2, 3, 4], pictures, [0, 1, 2, 3, 4])
    assert (
        objective(represent(model, alone, train_settings), model.log_scale, train_settings)[0]
        == objective(represent(model, TWINS, train_settings), model.log_scale, train_settings)[0]
    )


def test_the_effective_scale_is_of_the_negatives_alone():
    model = TokenTable()
    audio, mask = model.audio_tokens(TWINS.waveform, TWINS.valid)
    logits = model.log_scale.exp() * SIMILARITIES["max_mean"](audio, mask, model.image_tokens(TWINS.patches))
    image = [0, 1, 0, 2, 3]
    negatives = [logits[i, j].item() for i in range(5) for j in range(5) if image[i] != image[j]]
    assert len(negatives) == 18
    logged = objective(represent(model, TWINS, settings()), model.log_scale, settings())[1]
    assert logged["max_mean/effective_scale"].item() == pytest.approx(np.std(negatives, ddof=1), rel=1e-5)


def test_hybrid_is_the_weighted_sum_of_both_losses_under_one_temperature():
    model, hybrid = TokenTable(), settings("hybrid")
    assert hybrid.objective == HYBRID  # of the paper, Eq. 7
    loss, logged = objective(represent(model, TWINS, hybrid), model.log_scale, hybrid)
    dense, whole = (slow_loss(model, TWINS, name) for name in HYBRID)
    torch.testing.assert_close(loss, 0.7 * dense + 0.3 * whole)
    terms = {f"{name}/{what}" for name in HYBRID for what in ("loss", "accuracy", "effective_scale")}
    assert set(logged) == terms | {"masked_pairs"}
    torch.testing.assert_close(torch.stack([logged[f"{name}/loss"] for name in HYBRID]), torch.stack([dense, whole]))
    parts = [gradients(model, part) for part in (dense, whole)]
    for actual, one, other in zip(gradients(model, loss), *parts, strict=True):  # the last is of log_scale, from both
        torch.testing.assert_close(actual, 0.7 * one + 0.3 * other)
        assert one.abs().sum() > 0
        assert other.abs().sum() > 0


def test_the_model_has_one_temperature(tiny):
    config, _ = tiny
    model = VeS(config.audio, config.model, 24, 0.05)
    scalars = [name for name, parameter in model.named_parameters() if parameter.ndim == 0]
    assert scalars == ["log_scale"]


def step(model: TokenTable, pairs: Batch, **changes: Any) -> tuple[dict[str, float], list[Tensor]]:
    """One step of plain gradient descent at rate 1: what was logged, and by how much each parameter went down."""
    before = [parameter.detach().clone() for parameter in model.parameters()]
    free: dict[str, Any] = {"clip_norm": 1e9, "max_scale": 1e9}
    entry = optimise(model, torch.optim.SGD(model.parameters(), lr=1.0), pairs, settings(**(free | changes)))
    return entry, [old - new.detach() for old, new in zip(before, model.parameters(), strict=True)]


def test_accumulation_is_the_mean_of_the_gradients_and_adds_no_negatives():
    entry, moved = step(TokenTable(), BOTH, micro_batch=3, negatives="micro_batch")
    model = TokenTable()
    losses = [slow_loss(model, part, "max_mean") for part in (FIRST, SECOND)]
    mean = [(one + other) / 2 for one, other in zip(*(gradients(model, loss) for loss in losses), strict=True)]
    for actual, wanted in zip(moved, mean, strict=True):
        torch.testing.assert_close(actual, wanted, rtol=1e-4, atol=1e-6)
    assert entry["loss"] == pytest.approx(sum(loss.item() for loss in losses) / 2, rel=1e-5)
    norm = math.sqrt(sum(grad.square().sum().item() for grad in mean))
    assert entry["gradient_norm"] == pytest.approx(norm, rel=1e-4)
    in_one_batch = slow_loss(model, BOTH, "max_mean")  # six clips at once have five negatives each, not two
    assert in_one_batch.item() > entry["loss"] + 0.2
    assert not torch.allclose(moved[0], gradients(model, in_one_batch)[0], atol=1e-3)


def test_one_batch_is_not_divided():
    _, moved = step(TokenTable(), BOTH)
    model = TokenTable()
    for actual, wanted in zip(moved, gradients(model, slow_loss(model, BOTH, "max_mean")), strict=True):
        torch.testing.assert_close(actual, wanted, rtol=1e-4, atol=1e-6)


def test_the_gradient_is_clipped_to_its_norm():
    free, clipped = step(TokenTable(), BOTH), step(TokenTable(), BOTH, clip_norm=0.01)
    assert clipped[0]["gradient_norm"] == free[0]["gradient_norm"] > 0.1  # what is logged is the norm before
    assert math.sqrt(sum(part.square().sum().item() for part in clipped[1])) == pytest.approx(0.01, rel=1e-3)


def table_of(right: bool) -> TokenTable:
    """A model at temperature 1/20 whose clips say their own image, or only the next one's."""
    model = TokenTable(temperature=0.05)
    with torch.no_grad():
        model.image_table.copy_(torch.eye(DIM)[:IMAGES, None].expand(IMAGES, PATCHES, DIM))
        objects = torch.eye(DIM)[:IMAGES].roll(0 if right else 1, dims=0)
        model.audio_table[:IMAGES] = 0.1 * objects[:, None].expand(IMAGES, TOKENS, DIM)
    return model


def test_the_scale_is_clamped_and_can_come_back():
    """Well aligned pairs push the scale up, to max_scale and no further; the next bad step takes it down again."""
    model = table_of(right=True)
    free = step(table_of(right=True), BOTH)[0]
    assert free["temperature"] < 1 / 20.5
    entry, _ = step(model, BOTH, max_scale=20.5)
    assert model.log_scale.item() == pytest.approx(math.log(20.5), rel=1e-6)
    assert entry["temperature"] == pytest.approx(1 / 20.5, rel=1e-6)
    with torch.no_grad():
        model.audio_table.copy_(table_of(right=False).audio_table)
        model.image_table.copy_(table_of(right=False).image_table)
    assert step(model, BOTH, max_scale=20.5)[0]["temperature"] > 1 / 20


@pytest.fixture(scope="module")
def runs_of_one_model(tiny, tmp_path_factory):
    """A run folder of each of two objectives with one untrained model, embedded and evaluated by the real stages."""
    config, data = tiny
    reader = PairReader(data, config.audio.seconds)
    torch.manual_seed(0)
    model = VeS(config.audio, config.model, reader.features.width, 0.05)

    def evaluate_run(name: str, split: str) -> tuple[RunConfig, dict]:
        folder = tmp_path_factory.mktemp("composition") / name
        folder.mkdir()
        train_settings = config.train_of(name).model_copy(update={"precision": "fp32", "batch_size": 5})
        run = RunConfig(
            run=name, seed=0, data=data, audio=config.audio, vision=None, model=config.model, train=train_settings
        )
        (folder / "config.json").write_text(run.model_dump_json())
        save_file(contiguous(model), folder / "model.safetensors")
        embed(folder, split, folder / f"{split}.zarr")
        return run, one_to_one(load(folder / f"{split}.zarr"), folder / "blocks", [])[1]["own"]["A2V"]

    return model, reader, evaluate_run


@pytest.mark.parametrize("split", ["tune", "val"])
@pytest.mark.parametrize("name", ["dense", "hybrid"])
def test_recall_is_what_retrieval_reports(runs_of_one_model, name, split):
    """In batches of 5, the last one smaller, against embeddings from disk."""
    model, reader, evaluate_run = runs_of_one_model
    run, reported = evaluate_run(name, split)
    frame = clips(run.data, split)
    assert len(frame) % 5, "a ragged last batch"
    actual = recall(model.train(), reader, frame, run.train, torch.device("cpu"))
    assert actual == {
        "tune/R@10": reported["R@10"],
        "tune/median_rank": reported["median_rank"],
        "tune/n": len(frame),
        "tune/chance_R@10": reported["chance"]["R@10"],
    }
    assert model.training, "training goes on after it"
