"""Regularisers: terms of the objective that are no contrast, functions of a Context that never hold a [B, B, T, P].

Dimension key
    A clips         T audio tokens      D embedding
    V images        P image patches     N, M  valid tokens and patches of all

Each returns its value, which is this process's share of a mean over all processes, and its metrics; one of them is
`loss`. Keyword arguments are settings that stand beside the weight in `train.regularisers`.

Sources: the reference code of VeS (SajayR/VeS, models/losses.py: `compute_regularization_losses_tv`) for
`non_negativity` and `temporal_variation`, without the temperature; AV-Align for `non_negativity_scaled` and
`temperature_bounds`. Both regularise padding too; here it is left out.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from ves.base.precision import wide, widened
from ves.losses.context import Context, Term

EPSILON = 1e-6  # of the reference code
TILE = 4096  # tokens, and patches, whose similarities are in memory at once


class _SquaredNegative(torch.autograd.Function):
    """Sum of min(max(a . v, floor), 0)**2 over all pairs of rows. Forward computes the gradient too, tile by tile, and
    keeps it."""

    @staticmethod
    def forward(ctx: Any, audio: Float[Tensor, "N D"], image: Float[Tensor, "M D"], floor: float) -> Float[Tensor, ""]:
        total = torch.zeros((), dtype=wide(audio), device=audio.device)
        gradients = torch.zeros_like(audio), torch.zeros_like(image)
        for a in range(0, len(audio), TILE):
            rows = audio[a : a + TILE]
            for v in range(0, len(image), TILE):
                columns = image[v : v + TILE]
                negative = (rows @ columns.T).clamp(max=0)
                total += widened(negative).clamp(min=floor).square().sum()
                if floor > -torch.inf:
                    negative = negative.masked_fill(negative < floor, 0)  # beyond it the sum does not change
                gradients[0][a : a + TILE] += 2 * (negative @ columns)
                gradients[1][v : v + TILE] += 2 * (negative.T @ rows)
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, Tensor, None]:
        audio, image = ctx.saved_tensors
        return outer[0] * audio, outer[0] * image, None


def _non_negativity(context: Context, scale: Tensor | float, floor: float) -> Term:
    """The mean of the squares over all pairs of a valid token (of any clip) and a valid patch (of any image)."""
    image, image_mask = context.image, context.image_mask
    if image_mask is None:
        image_mask = torch.ones(image.shape[:2], dtype=torch.bool, device=image.device)
    tokens = (context.audio * context.mask[..., None]).flatten(0, 1)  # padding becomes zero, which adds nothing
    patches = (image * image_mask[..., None]).flatten(0, 1)
    total = _SquaredNegative.apply(tokens * scale, patches, floor)
    return context.mean(total, (context.mask.sum() * image_mask.sum()).float())


def non_negativity(context: Context) -> Term:
    """The mean square of min(similarity, 0), without the temperature.

    (The reference code bounds similarities at -20, which no cosine reaches.)
    """
    return _non_negativity(context, 1.0, -torch.inf)


def non_negativity_scaled(context: Context) -> Term:
    """The mean square of min(similarity / temperature, 0), bounded at -20: AV-Align's l_nonneg. The temperature has a
    gradient too."""
    return _non_negativity(context, context.scale, -20.0)


def temporal_variation(context: Context) -> Term:
    """How much the best similarity of a clip to its own image changes from one token to the next: the mean square of
    the difference, relative to the larger of the two.
    """
    image, image_mask = context.own_image
    similarity = context.audio @ image.transpose(1, 2)  # A T P
    if image_mask is not None:
        similarity = similarity.masked_fill(~image_mask[:, None, :], -torch.inf)
    best = widened(similarity.max(-1).values)
    later, earlier = best[:, 1:], best[:, :-1]
    relative = (later - earlier) / (torch.maximum(later.abs(), earlier.abs()) + EPSILON)
    neighbours = (context.mask[:, 1:] & context.mask[:, :-1]).float()
    return context.mean((relative.square() * neighbours).sum(), neighbours.sum())


def temperature_bounds(context: Context, low: float, high: float) -> Term:
    """max(ln low - ln t, 0)**4 + max(ln t - ln high, 0)**4 of the temperature t: AV-Align's l_cal."""
    log_temperature = -context.scale.log()
    below, above = (math.log(low) - log_temperature).clamp(min=0), (log_temperature - math.log(high)).clamp(min=0)
    return context.mean(below**4 + above**4, torch.ones((), device=context.scale.device))


REGULARISERS: dict[str, Callable[..., Term]] = {
    "non_negativity": non_negativity,
    "non_negativity_scaled": non_negativity_scaled,
    "temporal_variation": temporal_variation,
    "temperature_bounds": temperature_bounds,
}
