"""From the width of a backbone to the shared space: the head of both towers, and the length of its tokens."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ves.base.precision import widened


def projection(kind: str, width: int, dim: int) -> nn.Sequential:
    """The head of a tower: `mlp` is linear - LayerNorm - linear (VeS), `linear` a single layer (AV-Align)."""
    if kind == "linear":
        return nn.Sequential(nn.Linear(width, dim))
    return nn.Sequential(nn.Linear(width, dim), nn.LayerNorm(dim), nn.Linear(dim, dim))


def finished(tokens: Float[Tensor, "*N D"], normalise: str) -> Float[Tensor, "*N D"]:
    """Tokens as similarities take them: of length 1, or as the head has made them, which says how sure it is."""
    return F.normalize(widened(tokens), dim=-1) if normalise == "tokens" else widened(tokens)
