"""InfoNCE against its definition, written out pair by pair: loss, gradient and metrics."""

import math

import pytest
import torch

import ves.losses
from tests.support.losses import slow
from ves.losses.chance import CHANCE
from ves.losses.contrastive import LOSSES, info_nce
from ves.losses.regularisers import REGULARISERS

pytestmark = pytest.mark.numbers


@pytest.mark.parametrize("masked", [False, True])
def test_equals_the_definition_forward_and_gradient(masked):
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(6, 6, generator=generator) * 3
    image = torch.tensor([0, 1, 0, 2, 3, 0])  # clips 0, 2 and 5 show one image
    same = image[:, None] == image[None, :] if masked else torch.eye(6, dtype=torch.bool)
    gradients = []
    for function in (
        lambda x: info_nce(x, same if masked else None)[0],
        lambda x: slow(x, same & ~torch.eye(6, dtype=torch.bool)),
    ):
        logits = base.clone().requires_grad_()
        loss = function(logits)
        loss.backward()
        gradients.append((loss.detach(), logits.grad))
    torch.testing.assert_close(gradients[0][0], gradients[1][0])
    torch.testing.assert_close(gradients[0][1], gradients[1][1])


def test_equal_logits_cost_log_b():
    assert info_nce(torch.zeros(5, 5))[0].item() == pytest.approx(math.log(5))


@pytest.mark.parametrize("name", CHANCE)
@pytest.mark.parametrize("pairs", [2, 5, 16])
def test_chance_is_the_least_that_equal_logits_cost(name, pairs):
    logits = torch.linspace(-12, 12, 2401, dtype=torch.float64)
    costs = [LOSSES[name](logit.expand(pairs, pairs))[0].item() for logit in logits]
    assert CHANCE[name](pairs) == pytest.approx(min(costs), abs=1e-4)


def test_is_symmetric_and_has_the_right_sign():
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
    assert info_nce(logits)[0].item() == pytest.approx(info_nce(logits.T)[0].item())
    assert info_nce(10 * torch.eye(4))[0] < 0.01 < 5 < info_nce(-10 * torch.eye(4))[0]


def test_by_hand():
    """Two pairs: rows (2, 0) and (1, 3), columns (2, 1) and (0, 3)."""
    lines = [(2, 0), (3, 1), (2, 1), (3, 0)]
    expected = sum(math.log(1 + math.exp(other - true)) for true, other in lines) / 4
    assert info_nce(torch.tensor([[2.0, 0.0], [1.0, 3.0]]))[0].item() == pytest.approx(expected)


def test_masked_pairs_get_no_gradient():
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(2)).requires_grad_()
    same = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=torch.bool)
    info_nce(logits, same)[0].backward()
    assert logits.grad is not None
    assert logits.grad[0, 1] == 0 == logits.grad[1, 0]
    assert logits.grad[0, 2] != 0


def test_all_of_one_image_costs_nothing():
    """A batch with no negatives at all: the loss is 0, not NaN; and there is no standard deviation to log."""
    loss, metrics = info_nce(torch.randn(3, 3), torch.ones(3, 3, dtype=torch.bool))
    assert loss.item() == 0
    assert {name: value.item() for name, value in metrics.items()} == {"loss": 0.0, "accuracy": 1.0}


@pytest.mark.parametrize("masked", [False, True])
def test_metrics_equal_their_definitions(masked):
    logits = torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + torch.eye(6)
    image = torch.tensor([0, 1, 0, 2, 3, 0]) if masked else torch.arange(6)
    same = image[:, None] == image[None, :]
    negatives = [(i, j) for i in range(6) for j in range(6) if image[i] != image[j]]
    correct = [all(logits[i, i] > logits[i, j] for k, j in negatives if k == i) for i in range(6)]
    correct += [all(logits[j, j] > logits[i, j] for i, k in negatives if k == j) for j in range(6)]
    loss, metrics = info_nce(logits.requires_grad_(), same if masked else None)
    assert not any(value.requires_grad for value in metrics.values())
    assert metrics["loss"] == loss
    assert metrics["accuracy"].item() == pytest.approx(sum(correct) / 12, abs=1e-12)
    assert 0 < sum(correct) < 12
    deviation = torch.stack([logits.detach()[pair] for pair in negatives]).std()
    assert metrics["effective_scale"].item() == pytest.approx(deviation.item(), abs=1e-12)


def test_equal_scores_are_not_accurate():
    assert info_nce(torch.zeros(4, 4))[1]["accuracy"].item() == 0


def test_the_package_has_its_functions():
    assert ves.losses.LOSSES is LOSSES and ves.losses.info_nce is info_nce
    assert ves.losses.REGULARISERS is REGULARISERS
