"""InfoNCE against its definition, written out pair by pair, forward and gradient."""

import math

import pytest
import torch

from tests.support.losses import slow
from ves.config.fields import registered
from ves.losses.contrastive import LOSSES, info_nce


@pytest.mark.parametrize("masked", [False, True])
def test_equals_the_definition_forward_and_gradient(masked):
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(6, 6, generator=generator) * 3
    image = torch.tensor([0, 1, 0, 2, 3, 0])  # clips 0, 2 and 5 show one image
    same = image[:, None] == image[None, :] if masked else torch.eye(6, dtype=torch.bool)
    gradients = []
    for function in (
        lambda x: info_nce(x, same if masked else None),
        lambda x: slow(x, same & ~torch.eye(6, dtype=torch.bool)),
    ):
        logits = base.clone().requires_grad_()
        loss = function(logits)
        loss.backward()
        gradients.append((loss.detach(), logits.grad))
    torch.testing.assert_close(gradients[0][0], gradients[1][0])
    torch.testing.assert_close(gradients[0][1], gradients[1][1])


def test_equal_logits_cost_log_b():
    assert info_nce(torch.zeros(5, 5)).item() == pytest.approx(math.log(5))


def test_is_symmetric_and_has_the_right_sign():
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
    assert info_nce(logits).item() == pytest.approx(info_nce(logits.T).item())
    assert info_nce(10 * torch.eye(4)) < 0.01 < 5 < info_nce(-10 * torch.eye(4))


def test_by_hand():
    """Two pairs: rows (2, 0) and (1, 3), columns (2, 1) and (0, 3)."""
    lines = [(2, 0), (3, 1), (2, 1), (3, 0)]
    expected = sum(math.log(1 + math.exp(other - true)) for true, other in lines) / 4
    assert info_nce(torch.tensor([[2.0, 0.0], [1.0, 3.0]])).item() == pytest.approx(expected)


def test_masked_pairs_get_no_gradient():
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(2)).requires_grad_()
    same = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=torch.bool)
    info_nce(logits, same).backward()
    assert logits.grad is not None
    assert logits.grad[0, 1] == 0 == logits.grad[1, 0]
    assert logits.grad[0, 2] != 0


def test_all_of_one_image_costs_nothing():
    """A batch with no negatives at all: the loss is 0, not NaN."""
    assert info_nce(torch.randn(3, 3), torch.ones(3, 3, dtype=torch.bool)).item() == 0


def test_the_configuration_knows_these_names():
    assert registered("losses.contrastive", "LOSSES") == tuple(LOSSES)
