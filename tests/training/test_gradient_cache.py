"""Real negatives in the memory of a micro-batch: the gradient is that of one graph, to rounding, with the same draws.

`towers` is a whole model on the stand-in, with dropout in every place that has one, SpecAugment and layer drop.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.losses import context
from tests.support.losses import slow as slow_info_nce
from tests.support.steps import REGULARISED, assert_equal, gradients, pairs, settings, towers
from ves.losses.regularisers import REGULARISERS
from ves.models.towers import VeS
from ves.similarity.pairwise import SIMILARITIES
from ves.training import gradient_cache
from ves.training.dataset import Batch
from ves.training.distributed import World
from ves.training.gradient_cache import gradient, own_rows
from ves.training.objective import represent
from ves.training.randomness import rng_from_key

pytestmark = pytest.mark.numbers

FIELDS = ("audio", "mask", "image", "image_mask")
KEY = 11


@pytest.fixture
def fixed_key(monkeypatch) -> None:
    monkeypatch.setattr(gradient_cache, "new_key", lambda: KEY)


def one_graph(model: VeS, batch: Batch, size: int, key: int = KEY) -> None:
    """The gradient of InfoNCE, pair by pair, over the micro-batch forwards in one graph. Clips of one picture or of one
    recording are no negatives."""
    parts, device = [], model.log_scale.device
    batch = batch.to(device)
    for start in range(0, len(batch), size):
        with rng_from_key(device, key, start):
            parts.append(represent(model, batch[start : start + size], settings()))
    audio, mask, image = (torch.cat([getattr(part, name) for part in parts]) for name in ("audio", "mask", "image"))
    logits = model.log_scale.exp() * SIMILARITIES["max_mean"](audio, mask, image, batch.image_mask)
    same = batch.image[:, None] == batch.image
    if batch.recording is not None:
        same |= batch.recording[:, None] == batch.recording
    slow_info_nce(logits, same).backward()


@pytest.mark.parametrize("micro_batch", [2, 3, 8])
def test_the_gradient_is_that_of_one_graph(fixed_key, micro_batch):
    """Dropout, SpecAugment and layer drop on; 3 leaves a smaller last part, 8 is one part."""
    model, batch = towers(), pairs()
    logs = gradient(model, batch, settings(batch_size=8, micro_batch=micro_batch, negatives="batch"))
    actual = gradients(model)
    model.zero_grad()
    one_graph(model, batch, micro_batch)
    assert_equal(actual, gradients(model), 1e-5)
    assert logs["masked_pairs"] == pytest.approx(2 / 56)  # of 8 clips the first and the last are of one picture
    model.zero_grad()
    one_graph(model, batch, micro_batch, key=KEY + 1)  # other draws, another gradient
    other = gradients(model)["log_scale"]
    assert (actual["log_scale"] - other).abs() > 1e-3 * other.abs()


@pytest.mark.parametrize("micro_batch", [3, 8])
def test_a_recording_is_known_across_micro_batches(fixed_key, micro_batch):
    model, batch = towers(), replace(pairs(), recording=torch.tensor([0, 1, 2, 0, 4, 5, 1, 7]))
    logs = gradient(model, batch, settings(batch_size=8, micro_batch=micro_batch, negatives="batch"))
    actual = gradients(model)
    model.zero_grad()
    one_graph(model, batch, micro_batch)
    assert_equal(actual, gradients(model), 1e-5)
    assert logs["masked_pairs"] == pytest.approx(6 / 56)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("micro_batch", [2, 8])
def test_the_gradient_is_that_of_one_graph_on_a_gpu(fixed_key, micro_batch):
    """The kernels of both passes must draw alike there too."""
    model, batch = towers().cuda(), pairs()
    gradient(model, batch, settings(batch_size=8, micro_batch=micro_batch, negatives="batch"))
    actual = gradients(model)
    model.zero_grad()
    one_graph(model, batch, micro_batch)
    assert_equal(actual, gradients(model), 1e-4)


def test_true_negatives_are_more_than_those_of_the_micro_batches(fixed_key):
    losses = {}
    for negatives in ("batch", "micro_batch"):
        model = towers()
        losses[negatives] = gradient(model, pairs(), settings(batch_size=8, micro_batch=2, negatives=negatives))["loss"]
    assert losses["batch"] > losses["micro_batch"] + 1  # log 8 and log 2 at the start


def test_bfloat16_trains_every_parameter_in_both_passes(fixed_key):
    """(A weight that autocast has cast without a graph and kept would get no gradient.)"""
    actual = []
    for size in (2, 8):
        model = towers()
        gradient(model, pairs(), settings(batch_size=8, micro_batch=size, negatives="batch", precision="bf16"))
        actual.append(set(gradients(model)))
    frozen = {name for name, parameter in towers().named_parameters() if not parameter.requires_grad}
    dropped = {name for name, _ in towers().named_parameters() if ".encoder.layers." in name}
    for names in actual:
        assert {name for name, _ in towers().named_parameters()} - names <= frozen | dropped


def test_what_is_drawn_depends_on_the_saved_generator_alone():
    """numpy's and Python's global generators have no part in it, and one number is taken of torch's."""
    actual = []
    for numpy_seed in (0, 1):
        model = towers()
        np.random.seed(numpy_seed)
        torch.manual_seed(5)
        gradient(model, pairs(), settings(batch_size=8, micro_batch=2, negatives="batch", precision="bf16"))
        actual.append((gradients(model), torch.get_rng_state()))
    assert all(torch.equal(actual[0][0][name], grad) for name, grad in actual[1][0].items())
    torch.manual_seed(5)
    torch.randint(2**62, ())
    assert torch.equal(actual[0][1], torch.get_rng_state()) and torch.equal(actual[1][1], torch.get_rng_state())


def test_no_graph_is_wider_than_a_micro_batch(fixed_key, monkeypatch):
    """Both passes go through the towers in parts, the first without a graph."""
    calls: list[tuple[int, bool]] = []
    model, original = towers(), VeS.audio_tokens

    def watch(self, waveform, valid):
        calls.append((len(waveform), torch.is_grad_enabled()))
        return original(self, waveform, valid)

    monkeypatch.setattr(VeS, "audio_tokens", watch)
    gradient(model, pairs(), settings(batch_size=8, micro_batch=3, negatives="batch"))
    assert calls == [(3, False), (3, False), (2, False), (3, True), (3, True), (2, True)]


def test_gradient_checkpointing_changes_nothing(fixed_key):
    actual, kept = [], []
    for recompute in (False, True):
        model, batch, saved = towers(), pairs(), []
        if recompute:
            model.recompute_layers()
        with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()) or t, lambda t: t):  # noqa: B023
            gradient(model, batch, settings(batch_size=8, micro_batch=8, negatives="batch"))
        actual.append(gradients(model))
        kept.append(sum(saved))
    assert_equal(actual[1], actual[0], 1e-6)
    assert kept[1] < kept[0]


def finite_parts(batch: Batch, size: int) -> Iterator[Batch]:
    for start in range(0, len(batch), size):
        yield batch[start : start + size]


@pytest.mark.parametrize("negatives", ["batch", "micro_batch"])
def test_regularisers_are_logged_apart_and_work_with_cached_gradients(fixed_key, negatives):
    """The gradient with a regulariser less the one without is the weighted gradient of the regulariser alone."""
    actual, logs = [], []
    for regularisers in ({}, REGULARISED):
        model = towers()
        train = settings(batch_size=8, micro_batch=4, negatives=negatives, regularisers=regularisers)
        logs.append(gradient(model, pairs(), train))
        actual.append(gradients(model))
    terms = {name: logs[1][f"{name}/loss"] for name in REGULARISED}
    assert all(value > 0 for value in terms.values())
    added = sum(weight * terms[name] for name, weight in REGULARISED.items())
    assert logs[1]["loss"] == pytest.approx(logs[0]["loss"] + added, rel=1e-5)
    model = towers()
    parts = list(finite_parts(pairs(), 4))
    tokens = []
    for start, part in zip((0, 4), parts, strict=True):
        with rng_from_key(torch.device("cpu"), KEY, start):
            tokens.append(represent(model, part, settings()))
    total = torch.zeros(())
    groups = [tokens] if negatives == "batch" else [[part] for part in tokens]
    for group in groups:
        audio, mask, image, shown = (torch.cat([getattr(p, n) for p in group]) for n in FIELDS)
        for name, weight in REGULARISED.items():
            value, _ = REGULARISERS[name](context(audio, mask, image, shown))
            total = total + weight * value / len(groups)
    total.backward()
    alone = gradients(model)
    difference = {name: actual[1][name] - actual[0][name] for name in alone if name in actual[0]}
    weights = [name for name in difference if name.endswith("head.0.weight")]
    assert len(weights) == 2
    for name in weights:
        torch.testing.assert_close(difference[name], alone[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "size", "message"),
    [
        ({"batch_size": 10}, 4, "train.batch_size: 10 does not divide by the 4 processes"),
        ({"batch_size": 12, "micro_batch": 4, "negatives": "micro_batch"}, 2, "train.micro_batch: 4 does not divide"),
    ],
)
def test_shares_that_would_change_the_objective_are_refused(changes, size, message):
    with pytest.raises(ValueError, match=message):
        own_rows(settings(**changes), World(0, size, torch.device("cpu")))


def test_the_ranks_share_out_the_rows():
    train = settings(batch_size=12, micro_batch=5, negatives="batch")
    shares = [range(12)[own_rows(train, World(rank, 3, torch.device("cpu")))] for rank in range(3)]
    assert [list(share) for share in shares] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
