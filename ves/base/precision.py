"""Types of numbers: that of a training's weights, and the narrowest one for norms, sums and losses.

`precision: fp64` is for tests. Every kind of processor rounds fp32 in its own way, which ten steps of training turn
into 1 %. In fp64 they agree to ten digits, so that a curve recorded on one can be checked on any other.
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
    """The values in the `wide` type for theirs; not copied if they have it already."""
    return values.to(wide(values))


@contextmanager
def weights_of(precision: str) -> Iterator[None]:
    """Models built inside this block draw and keep their weights in the type for that precision."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(WEIGHTS[precision])
    try:
        yield
    finally:
        torch.set_default_dtype(before)
