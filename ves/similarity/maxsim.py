"""MaxSim with a mean: each token of a query picks its best token of a key, the query averages what they found.

The similarities of all tokens, [Q, K, N, M], are never held: at the paper's shapes and a batch of 1,024 they would be
134 GB. Forward goes through them in tiles and keeps, of every query token and key, the winner's number (one byte where
a key has at most 256 tokens). Only winners carry gradient, so backward gathers and scatters them: 1/M of the
arithmetic of a dense backward. Phi and Psi (ves.similarity.pairwise) are this one function with the roles exchanged.

Two implementations stand behind it, and `implementation` is the one place that chooses: Triton kernels on a CUDA
device (ves.similarity.triton), products of plain torch, tile by tile, everywhere else (ves.similarity.tiles).

What holds of both
    Equal similarities: the lowest number wins. A NaN wins over all, so that it shows in the score.
    Under autocast the product takes operands of autocast's type; sums and means are of fp32 (of fp64 for fp64,
    where weights of a mean are still of fp32).
    Gradients are those of the operands that the product had, straight through their rounding, in the type of the input.
    Backward is the same to the bit when repeated, has no gradient of its own, and may be run again (retain_graph).
    torch.compile does not look inside: it breaks its graph here.

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
    """The module whose `forward` and `backward` serve tokens of this device and type."""
    if device.type == "cuda" and dtype != torch.float64 and find_spec("triton") is not None:
        from ves.similarity import triton  # not before: it needs Triton, which torch brings on Linux alone

        return triton
    return tiles


def product_type(query: Tensor, key: Tensor) -> torch.dtype:
    """Type of the operands: that of the tokens, or autocast's where it is on (which leaves fp64 alone)."""
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
        """Scores; keeps the winners and, without a copy, what was given."""
        with torch.autocast(query.device.type, enabled=False):
            run = implementation(query.device, dtype).forward
            scores, winners = run(query.to(dtype), weight, key.to(dtype), key_mask, keep=True)
        ctx.save_for_backward(query, weight, key, key_mask, winners)
        ctx.dtype = dtype
        return scores

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "Q K"]) -> tuple[Tensor, None, Tensor, None, None]:
        """Gradients of the tokens of both sides; both are computed, since training asks for both."""
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
    """Sum over a query's tokens of weight times the best inner product with a token of the key that its mask keeps.

    A query token of weight 0 takes no part, whatever it holds; weights are not negative and carry no gradient. A key
    without a token scores 0. Winners are kept only where a gradient can be asked for. Raises ValueError where a
    dimension is empty, shapes do not belong together or the mask is not boolean.
    """
    check_shapes(query, weight, key, key_mask)
    if 0 in (*query.shape, *key.shape):
        raise ValueError(f"nothing to compare: queries {tuple(query.shape)}, keys {tuple(key.shape)}; leave them out")
    # not as a decorator: that would load the compiler, two seconds, into every process that never compiles
    run: Any = torch.compiler.disable(_maxsim) if torch.compiler.is_compiling() else _maxsim
    return run(query, weight, key, key_mask)


def check_shapes(query: Tensor, weight: Tensor, key: Tensor, key_mask: Tensor | None) -> None:
    """Raise ValueError for shapes that do not belong together, before they end in an error that names neither."""
    if query.ndim != 3 or key.ndim != 3 or query.shape[2] != key.shape[2]:
        raise ValueError(
            f"tokens [n, tokens, D] of one D are compared, not {tuple(query.shape)} and {tuple(key.shape)}"
        )
    if weight.shape != query.shape[:2]:
        raise ValueError(f"a mask of {tuple(weight.shape)} is not one of tokens {tuple(query.shape)}")
    if key_mask is not None and (key_mask.shape != key.shape[:2] or key_mask.dtype != torch.bool):
        raise ValueError(
            f"a {key_mask.dtype} mask {tuple(key_mask.shape)} is no boolean one of tokens {tuple(key.shape)}"
        )


def _maxsim(query: Tensor, weight: Tensor, key: Tensor, key_mask: Tensor | None) -> Tensor:
    """`maxsim` of what is not empty."""
    dtype = product_type(query, key)
    if torch.is_grad_enabled() and (query.requires_grad or key.requires_grad):
        return MaxSim.apply(query, weight, key, key_mask, dtype)
    with torch.no_grad(), torch.autocast(query.device.type, enabled=False):
        run = implementation(query.device, dtype).forward
        return run(query.to(dtype), weight, key.to(dtype), key_mask, keep=False)[0]
