"""Contrastive losses: pure functions of a matrix of logits whose diagonal has the true pairs.

B is the batch: row i is a clip, column j an image. How the matrix was made does not matter here.

A loss returns `(loss, metrics)`. Metrics are scalars by name, without a gradient, which training logs as
`<similarity>/<name>`; `loss` must be one of them. Over several groups of negatives training averages them by clips.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def info_nce(
    logits: Float[Tensor, "B B"], not_negative: Bool[Tensor, "B B"] | None = None
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """Symmetric InfoNCE: the cross-entropy (nats) of each true pair in its row and in its column, averaged.

    `not_negative` marks pairs that are not negatives of each other, such as two clips of one image: they leave the
    denominator. The diagonal always stays in it, whatever the mask says.

    Metrics: `loss`; `accuracy`, the share of rows and columns whose true pair scores higher than every negative;
    `effective_scale`, the standard deviation of the negatives' logits, which says what the softmax really sees of the
    temperature. Fewer than two negatives have no standard deviation, and the metric is then left out.
    """
    true_pair = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    if not_negative is None:
        not_negative = true_pair
    scores, not_negative = logits.detach(), not_negative | true_pair
    logits = logits.masked_fill(not_negative & ~true_pair, -torch.inf)
    target = torch.arange(len(logits), device=logits.device)
    loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    metrics = {"loss": loss.detach(), "accuracy": _accuracy(scores, not_negative)}
    if len(negatives := scores[~not_negative]) > 1:
        metrics["effective_scale"] = negatives.std()
    return loss, metrics


def _accuracy(scores: Float[Tensor, "B B"], not_negative: Bool[Tensor, "B B"]) -> Float[Tensor, ""]:
    """The share of rows and columns whose diagonal is larger than every negative: where all are equal, none."""
    negatives, true = scores.masked_fill(not_negative, -torch.inf), scores.diagonal()
    return torch.cat([true > negatives.amax(1), true > negatives.amax(0)]).to(scores.dtype).mean()


LOSSES = {"info_nce": info_nce}
