"""Regularisers of the reference code as terms of their own: functions of tokens that never hold a [B, B, T, P].

Dimension key
    A clips         T audio tokens      D embedding
    V images        P image patches     N, M  valid tokens and patches of all

Each returns a sum and the number of its summands, not a loss with metrics: the regulariser is the quotient, and where
several processes have some of the clips each, both must be added up before they are divided. The training step
does that and makes `(loss, metrics)` of it (ves.training.objective).

Tokens arrive l2-normalised: a similarity is a cosine, without the temperature, as in the reference code (SajayR/VeS,
models/losses.py: `compute_regularization_losses_tv`). The reference code regularises padding too; here it is left out.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from ves.base.precision import wide, widened

EPSILON = 1e-6  # of the reference code
TILE = 4096  # tokens, and patches, whose similarities are in memory at once


class _SquaredNegative(torch.autograd.Function):
    """Sum of min(a . v, 0)**2 over all pairs of rows. Forward computes the gradient too, tile by tile, and keeps it."""

    @staticmethod
    def forward(ctx: Any, audio: Float[Tensor, "N D"], image: Float[Tensor, "M D"]) -> Float[Tensor, ""]:
        total = torch.zeros((), dtype=wide(audio), device=audio.device)
        gradients = torch.zeros_like(audio), torch.zeros_like(image)
        for a in range(0, len(audio), TILE):
            rows = audio[a : a + TILE]
            for v in range(0, len(image), TILE):
                columns = image[v : v + TILE]
                negative = (rows @ columns.T).clamp(max=0)
                total += widened(negative).square().sum()
                gradients[0][a : a + TILE] += 2 * (negative @ columns)
                gradients[1][v : v + TILE] += 2 * (negative.T @ rows)
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, Tensor]:
        audio, image = ctx.saved_tensors
        return outer[0] * audio, outer[0] * image


def non_negativity(
    audio: Float[Tensor, "A T D"],
    mask: Bool[Tensor, "A T"],
    image: Float[Tensor, "V P D"],
    image_mask: Bool[Tensor, "V P"] | None,
    first: int,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The square of every negative similarity of a valid token (of any clip) and a valid patch (of any image).

    (The reference code bounds similarities at -20, which no cosine reaches.)
    """
    if image_mask is None:
        image_mask = torch.ones(image.shape[:2], dtype=torch.bool, device=image.device)
    tokens = (audio * mask[..., None]).flatten(0, 1)  # padding becomes zero, which adds nothing
    patches = (image * image_mask[..., None]).flatten(0, 1)
    return _SquaredNegative.apply(tokens, patches), (mask.sum() * image_mask.sum()).float()


def temporal_variation(
    audio: Float[Tensor, "A T D"],
    mask: Bool[Tensor, "A T"],
    image: Float[Tensor, "V P D"],
    image_mask: Bool[Tensor, "V P"] | None,
    first: int,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """How much the best similarity of a clip to its own image changes from one token to the next: the square of the
    difference, relative to the larger of the two. Clip a shows image `first + a`.
    """
    own = slice(first, first + len(audio))
    similarity = audio @ image[own].transpose(1, 2)  # A T P
    if image_mask is not None:
        similarity = similarity.masked_fill(~image_mask[own][:, None, :], -torch.inf)
    best = widened(similarity.max(-1).values)
    later, earlier = best[:, 1:], best[:, :-1]
    relative = (later - earlier) / (torch.maximum(later.abs(), earlier.abs()) + EPSILON)
    neighbours = (mask[:, 1:] & mask[:, :-1]).float()
    return (relative.square() * neighbours).sum(), neighbours.sum()


REGULARISERS = {"non_negativity": non_negativity, "temporal_variation": temporal_variation}
