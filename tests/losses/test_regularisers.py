"""Regularisers against their definitions, written as loops; padding has no part in them, and no volume is kept."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.support.losses import context
from tests.support.tiny_corpus import tiny_config
from ves.losses import regularisers
from ves.losses.regularisers import REGULARISERS

pytestmark = pytest.mark.numbers

AUDIBLE = torch.tensor([[1, 1, 1, 0], [1, 0, 1, 1], [1, 1, 1, 1]], dtype=torch.bool)
SHOWN = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 1], [1, 1, 1]], dtype=torch.bool)


def tokens() -> tuple[Tensor, Tensor]:
    """Three clips and four images; clip a is of image 1 + a."""
    draw = torch.Generator().manual_seed(4)
    audio, image = torch.randn(3, 4, 5, generator=draw), torch.randn(4, 3, 5, generator=draw)
    return F.normalize(audio, dim=-1).requires_grad_(), F.normalize(image, dim=-1).requires_grad_()


def slow_non_negativity(audio: Tensor, image: Tensor, _: Tensor) -> Tensor:
    terms = []
    for (a, t), (v, p) in itertools.product(AUDIBLE.nonzero().tolist(), SHOWN.nonzero().tolist()):
        similarity = audio[a, t] @ image[v, p]
        terms.append(similarity**2 if similarity < 0 else 0 * similarity)
    return torch.stack(terms).mean()


def slow_non_negativity_scaled(audio: Tensor, image: Tensor, scale: Tensor) -> Tensor:
    """AV-Align: `torch.clamp(token_sims, min=-20, max=0)` of similarities over the temperature, squared, the mean."""
    pairs = itertools.product(AUDIBLE.nonzero().tolist(), SHOWN.nonzero().tolist())
    similarities = torch.stack([audio[a, t] @ image[v, p] * scale for (a, t), (v, p) in pairs])
    return torch.clamp(similarities, min=-20, max=0).square().mean()


def slow_temporal_variation(audio: Tensor, image: Tensor, _: Tensor) -> Tensor:
    terms = []
    for a in range(3):
        shown = [image[1 + a, p] for p in range(3) if SHOWN[1 + a, p]]
        best = [torch.stack([audio[a, t] @ patch for patch in shown]).max() for t in range(4)]
        for t in range(3):
            if AUDIBLE[a, t] and AUDIBLE[a, t + 1]:
                larger = max(best[t].abs(), best[t + 1].abs(), key=Tensor.item)
                terms.append(((best[t + 1] - best[t]) / (larger + 1e-6)) ** 2)
    return torch.stack(terms).mean()


SLOW = {
    "non_negativity": slow_non_negativity,
    "non_negativity_scaled": slow_non_negativity_scaled,
    "temporal_variation": slow_temporal_variation,
}


@pytest.mark.parametrize("tile", [2, 4096])
@pytest.mark.parametrize("name", sorted(SLOW))
def test_equals_its_definition_forward_and_gradient(name, tile, monkeypatch):
    monkeypatch.setattr(regularisers, "TILE", tile)
    actual, wanted = tokens(), tokens()
    scales = [torch.tensor(1.7, requires_grad=True) for _ in range(2)]
    value, metrics = REGULARISERS[name](context(actual[0], AUDIBLE, actual[1], SHOWN, 1, scales[0]))
    expected = SLOW[name](*wanted, scales[1])
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(metrics["loss"], expected.detach())
    (0.3 * value).backward()
    (0.3 * expected).backward()
    assert (scales[0].grad is None) == (name != "non_negativity_scaled")
    if scales[0].grad is not None:
        torch.testing.assert_close(scales[0].grad, scales[1].grad)
    for one, other in zip(actual, wanted, strict=True):
        torch.testing.assert_close(one.grad, other.grad)
        assert one.grad is not None and one.grad.abs().sum() > 0


@pytest.mark.parametrize("name", sorted(SLOW))
def test_padding_has_no_part_in_it(name):
    audio, image = (part.detach() for part in tokens())
    quiet = REGULARISERS[name](context(audio, AUDIBLE, image, SHOWN, 1))
    loud, dark = audio.masked_fill(~AUDIBLE[..., None], 9.0), image.masked_fill(~SHOWN[..., None], -9.0)
    loud = REGULARISERS[name](context(loud, AUDIBLE, dark, SHOWN, 1))
    longer = REGULARISERS[name](context(F.pad(audio, (0, 0, 0, 2)), F.pad(AUDIBLE, (0, 2)), image, SHOWN, 1))
    for other in (loud, longer):
        torch.testing.assert_close(other, quiet)


def test_a_nowhere_negative_similarity_costs_nothing_and_a_constant_one_does_not_vary():
    audio, image = torch.ones(2, 3, 4) / 2, torch.ones(2, 5, 4) / 2
    for name in SLOW:
        assert REGULARISERS[name](context(audio, torch.ones(2, 3, dtype=torch.bool), image, None))[0].item() == 0


@pytest.mark.parametrize("name", sorted(SLOW))
def test_nothing_of_the_size_of_all_pairs_is_kept_for_the_backward_pass(name):
    size, length, patches, dim = 16, 12, 10, 8
    audio = torch.randn(size, length, dim, requires_grad=True)
    image = torch.randn(size, patches, dim, requires_grad=True)
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        REGULARISERS[name](context(audio, torch.ones(size, length, dtype=torch.bool), image, None))[0].backward()
    assert max(kept) <= max(size * length * dim, size * length * patches) < size**2 * length * patches


def test_a_short_clip_has_no_neighbours():
    audio, image = tokens()
    first = AUDIBLE & (torch.arange(4) == 0)
    value, metrics = REGULARISERS["temporal_variation"](context(audio, first, image, SHOWN, 1))
    assert value.item() == 0 == metrics["loss"].item()


def test_similarities_below_the_bound_cost_as_much_as_at_it_and_are_not_pushed():
    """AV-Align clamps before it squares: a very negative inner product has a constant cost."""
    audio, image = torch.tensor([[[3.0]]], requires_grad=True), torch.tensor([[[-9.0]]], requires_grad=True)
    heard = torch.ones(1, 1, dtype=torch.bool)
    value, _ = REGULARISERS["non_negativity_scaled"](context(audio, heard, image, None))
    value.backward()
    assert value.item() == 400
    assert audio.grad is not None and audio.grad.item() == 0


@pytest.mark.parametrize("temperature", [0.5, 2.0, 2.3, 3.0, 4.0, 7.5])
def test_the_temperature_costs_something_only_beyond_its_bounds(temperature):
    """AV-Align: relu(ln 2.3 - ln t)**4 + relu(ln t - ln 4)**4, and the gradient by a difference."""
    audio, image = torch.ones(1, 1, 2), torch.ones(1, 1, 2)
    heard = torch.ones(1, 1, dtype=torch.bool)

    def cost(log_scale: Tensor) -> Tensor:
        made = context(audio.double(), heard, image.double(), None, scale=log_scale.exp())
        return REGULARISERS["temperature_bounds"](made, low=2.3, high=4.0)[0]

    log_scale = torch.tensor(-math.log(temperature), dtype=torch.float64, requires_grad=True)
    value = cost(log_scale)
    value.backward()
    expected = max(math.log(2.3 / temperature), 0) ** 4 + max(math.log(temperature / 4.0), 0) ** 4
    assert value.item() == pytest.approx(expected, abs=1e-12)
    step = 1e-6
    slope = (cost(log_scale.detach() + step) - cost(log_scale.detach() - step)).item() / (2 * step)
    assert log_scale.grad is not None and log_scale.grad.item() == pytest.approx(slope, abs=1e-7)


def test_the_reference_run_is_the_combination_of_the_reference_code():
    config = tiny_config()
    reference = config.train_of("reference")
    assert reference.objective == {"max_mean": 1.0}
    assert reference.regularisers == {"non_negativity": 1.0, "temporal_variation": 0.1}
    assert "reference" not in config.table
    assert all(not config.train_of(name).regularisers for name in config.table)
