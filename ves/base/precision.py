"""Types of numbers: what the weights of a training are, and the least that norms, sums and losses are computed in.

`precision: fp64` is for tests. Each processor rounds fp32 in its own way, and ten steps of training make 1 % of it; in
fp64 they agree to ten digits, so that a curve recorded on one can be checked on any other.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

WEIGHTS = {"bf16": torch.float32, "fp32": torch.float32, "fp64": torch.float64}  # by `train.precision`


def wide(tokens: Tensor) -> torch.dtype:
    """Type of norms, of sums over tokens and of losses: fp32, or fp64 where the tokens are."""
    return torch.promote_types(tokens.dtype, torch.float32)


def widened(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The values in `wide` of their type; no copy where they are so already."""
    return values.to(wide(values))


@contextmanager
def weights_of(precision: str) -> Iterator[None]:
    """Models that are built inside have, and draw, weights of the type that such a training keeps them in."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(WEIGHTS[precision])
    try:
        yield
    finally:
        torch.set_default_dtype(before)
