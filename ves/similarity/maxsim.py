"""MaxSim with a mean: each token of a query picks its best token of a key, and the query averages their products.

The similarities of all tokens, [Q, K, N, M], are never in memory: at the paper's shapes and a batch of 1,024 they would
be 134 GB. Forward computes them in tiles and keeps, for every query token and key, the number of the winner (one byte
if a key has at most 256 tokens). Only winners carry gradient, so backward gathers and scatters them: 1/M of the
arithmetic of a dense backward. Phi and Psi (ves.similarity.pairwise) are this function with the roles exchanged.

There are two implementations, and `implementation` is the one place that chooses: Triton kernels on a CUDA
device (ves.similarity.triton), products of plain torch, tile by tile, everywhere else (ves.similarity.tiles).

What is true of both
    Of equal similarities the one with the lowest number wins. A NaN wins over all, so that it shows in the score.
    Under autocast the operands of the product have autocast's type; sums and means are in fp32 (in fp64 for fp64,
    where weights of a mean are still in fp32).
    Gradients are those of the product's operands, straight through their rounding, in the type of the input.
    Backward gives the same bits every time, has no gradient of its own, and may run again (retain_graph).
    torch.compile does not look inside: its graph breaks here.

Dimension key
    Q queries    N tokens of a query    D embedding
    K keys       M tokens of a key
"""

from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ves.similarity import tiles


def implementation(device: torch.device, dtype: torch.dtype) -> ModuleType:
    """The module whose `forward` and `backward` are for tokens of this device and type."""
    if device.type == "cuda" and dtype != torch.float64 and find_spec("triton") is not None:
        from ves.similarity import triton  # only here: it needs Triton, which comes with torch on Linux only

        return triton
    return tiles


def product_type(query: Tensor, key: Tensor) -> torch.dtype:
    """Type of the operands: that of the tokens, or autocast's where that is on (it does not change fp64)."""
    dtype, device = torch.promote_types(query.dtype, key.dtype), query.device.type
    if torch.is_autocast_enabled(device) and dtype != torch.float64:
        return torch.get_autocast_dtype(device)
    return dtype


class MaxSim(torch.autograd.Function):
    """`maxsim` with a gradient for the tokens of both sides."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Float[Tensor, "Q N D"],
        weight: Float[Tensor, "Q N"],
        key: Float[Tensor, "K M D"],
        key_mask: Bool[Tensor, "K M"] | None,
        dtype: torch.dtype,
    ) -> Float[Tensor, "Q K"]:
        """Scores; keeps the winners and, without a copy, the arguments."""
        with torch.autocast(query.device.type, enabled=False):
            run = implementation(query.device, dtype).forward
            scores, winners = run(query.to(dtype), weight, key.to(dtype), key_mask, keep=True)
        ctx.save_for_backward(query, weight, key, key_mask, winners)
        ctx.dtype = dtype
        return scores

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "Q K"]) -> tuple[Tensor, None, Tensor, None, None]:
        """Gradients of the tokens of both sides; both are computed, since training needs both."""
        if torch.is_grad_enabled():  # only under create_graph; a constant would be a silent, wrong answer
            raise RuntimeError("MaxSim has no second derivative: call backward without create_graph")
        query, weight, key, key_mask, winners = ctx.saved_tensors
        with torch.autocast(query.device.type, enabled=False):
            run = implementation(query.device, ctx.dtype).backward
            of_query, of_key = run(gradient, query.to(ctx.dtype), weight, key.to(ctx.dtype), key_mask, winners)
        return of_query.to(query.dtype), None, of_key.to(key.dtype), None, None


def maxsim(
    query: Float[Tensor, "Q N D"],
    weight: Float[Tensor, "Q N"],
    key: Float[Tensor, "K M D"],
    key_mask: Bool[Tensor, "K M"] | None = None,
) -> Float[Tensor, "Q K"]:
    """Sum over a query's tokens of weight times the best inner product with a valid token of the key.

    A query token of weight 0 is ignored, whatever its numbers are; weights are not negative and carry no gradient. A
    key without a valid token scores 0. Winners are kept only where there can be a gradient. Raises ValueError where a
    dimension is empty, shapes do not match or the mask is not boolean.
    """
    check_shapes(query, weight, key, key_mask)
    if 0 in (*query.shape, *key.shape):
        raise ValueError(f"nothing to compare: queries {tuple(query.shape)}, keys {tuple(key.shape)}; leave them out")
    # not as a decorator: that would load the compiler, two seconds, into every process that never compiles
    run: Any = torch.compiler.disable(_maxsim) if torch.compiler.is_compiling() else _maxsim
    return run(query, weight, key, key_mask)


def check_shapes(query: Tensor, weight: Tensor, key: Tensor, key_mask: Tensor | None) -> None:
    """Raise ValueError for shapes that do not match, before they end in an error that names neither."""
    if query.ndim != 3 or key.ndim != 3 or query.shape[2] != key.shape[2]:
        raise ValueError(f"tokens must be [n, tokens, D] with one D, not {tuple(query.shape)} and {tuple(key.shape)}")
    if weight.shape != query.shape[:2]:
        raise ValueError(f"a mask of {tuple(weight.shape)} does not fit tokens of {tuple(query.shape)}")
    if key_mask is not None and (key_mask.shape != key.shape[:2] or key_mask.dtype != torch.bool):
        raise ValueError(
            f"a {key_mask.dtype} mask of {tuple(key_mask.shape)} must be boolean and fit tokens of {tuple(key.shape)}"
        )


def _maxsim(query: Tensor, weight: Tensor, key: Tensor, key_mask: Tensor | None) -> Tensor:
    """`maxsim` of queries and keys that are not empty."""
    dtype = product_type(query, key)
    if torch.is_grad_enabled() and (query.requires_grad or key.requires_grad):
        return MaxSim.apply(query, weight, key, key_mask, dtype)
    with torch.no_grad(), torch.autocast(query.device.type, enabled=False):
        run = implementation(query.device, dtype).forward
        return run(query.to(dtype), weight, key.to(dtype), key_mask, keep=False)[0]
