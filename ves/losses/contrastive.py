"""Contrastive losses: pure functions of a matrix of logits whose diagonal holds the true pairs.

B is the batch: row i is an utterance, column j an image. What made the matrix is no concern of this module.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def info_nce(logits: Float[Tensor, "B B"], not_negative: Bool[Tensor, "B B"] | None = None) -> Float[Tensor, ""]:
    """Symmetric InfoNCE: the mean of both directions' cross-entropy, the true pair against its row and its column.

    `not_negative` marks pairs that are no negatives of each other, such as two clips of one image: they leave the
    denominator. The diagonal always stays in, whatever the mask says of it.
    """
    if not_negative is not None:
        true_pair = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
        logits = logits.masked_fill(not_negative & ~true_pair, -torch.inf)
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


LOSSES = {"info_nce": info_nce}
