"""Masks over time: within the speech, about as much as asked for, and the same for the same key."""

import numpy as np
import pytest
import torch

from ves.models.speech import time_mask
from ves.training.randomness import rng_from_key

pytestmark = pytest.mark.numbers

CPU = torch.device("cpu")


def spans(row: torch.Tensor) -> list[int]:
    """Lengths of the masked stretches of a clip."""
    edges = torch.diff(row.int(), prepend=torch.zeros(1, dtype=torch.int), append=torch.zeros(1, dtype=torch.int))
    return ((edges == -1).nonzero() - (edges == 1).nonzero()).flatten().tolist()


def test_spans_lie_within_the_speech():
    valid = torch.tensor([100, 40, 10, 9, 0])
    for key in range(50):
        with rng_from_key(CPU, key):
            mask = time_mask(valid, 100, share=0.3, span=10, fewest=2)
        assert not (mask & (torch.arange(100) >= valid[:, None])).any()
        assert all(length >= 10 for row in mask for length in spans(row))
        assert mask[2].sum() == 10, "room for one span, which is the clip"
        assert not mask[3:].any(), "no room"


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_about_as_many_spans_begin_as_asked_for(share):
    """Spans of one frame do not overlap, so the mean share is the one asked for, fractions rounded by chance."""
    torch.manual_seed(0)
    mask = time_mask(torch.full((4000,), 49), 60, share=share, span=1, fewest=0)
    assert mask.float().sum(1).mean().item() / 49 == pytest.approx(share, rel=0.03)
    assert len(set(mask.sum(1).tolist())) == 2
    everywhere = mask.float().mean(0)[:49]
    assert everywhere.min() > 0.7 * share
    assert everywhere.max() < 1.3 * share


def test_the_key_alone_decides():
    masks = []
    for key, numpy_seed in ((3, 0), (3, 1), (4, 0)):
        np.random.seed(numpy_seed)
        torch.manual_seed(numpy_seed)
        with rng_from_key(CPU, key, 8):
            masks.append(time_mask(torch.full((6,), 80), 80, share=0.3, span=10, fewest=2))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_keys_of_several_numbers_differ_and_leave_the_generator_alone():
    torch.manual_seed(0)
    before, actual = torch.get_rng_state(), []
    for key in ((1, 2), (2, 1), (1, 1), (1, 0)):
        with rng_from_key(CPU, *key):
            actual.append(torch.rand(()).item())
    assert len(set(actual)) == 4
    assert torch.equal(before, torch.get_rng_state())
