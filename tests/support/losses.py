"""InfoNCE as its definition has it, written with loops."""

import torch


def slow(logits, not_negative):
    """-log p(true pair) of every row and column, over the true pair and its real negatives only."""
    size, total = len(logits), torch.zeros(())
    for i in range(size):
        row = [logits[i, j] for j in range(size) if j == i or not not_negative[i, j]]
        column = [logits[j, i] for j in range(size) if j == i or not not_negative[j, i]]
        for line in (row, column):
            total = total + torch.logsumexp(torch.stack(line), 0) - logits[i, i]
    return total / (2 * size)
