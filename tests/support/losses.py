"""InfoNCE as its definition has it, written with loops, and what regularisers are given."""

import torch
from torch import Tensor

from ves.losses.context import Context


def context(audio, mask, image, image_mask, first: int = 0, scale: Tensor | None = None) -> Context:
    """Pairs of one process, each of a picture and a recording of its own."""
    scale = torch.ones((), dtype=audio.dtype) if scale is None else scale
    return Context(audio, mask, image, image_mask, torch.arange(len(image)), None, first, scale, lambda value: value)


def slow(logits, not_negative):
    """-log p(true pair) of every row and column, over the true pair and its real negatives only."""
    size, total = len(logits), torch.zeros(())
    for i in range(size):
        row = [logits[i, j] for j in range(size) if j == i or not not_negative[i, j]]
        column = [logits[j, i] for j in range(size) if j == i or not not_negative[j, i]]
        for line in (row, column):
            total = total + torch.logsumexp(torch.stack(line), 0) - logits[i, i]
    return total / (2 * size)
