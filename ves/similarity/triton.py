"""MaxSim on a CUDA device: three Triton kernels. ves.similarity.maxsim says what they compute; ves.similarity.tiles is
the reference.

Why not published kernels: they sum where the paper takes a mean, which would cost only a line. But
late-interaction-kernels adds gradients with atomics, so that no two results are equal, or multiplies one-hot matrices,
which costs the whole product again; and flash-maxsim narrows bfloat16 to float16. These kernels keep the type of the
operands and add in fp32.

Forward: a program compares a query's tokens with a group of keys, tile by tile, with the running maximum and its number
in registers; it writes one score and N winners per pair and nothing else. Backward: a program alone writes its rows and
adds in one order, so the result is the same every time. For query tokens it gathers the winners. For key tokens the
query tokens are first sorted by winner, and each key token adds those that chose it.

Block sizes are for 100 KB of shared memory (24 GB cards) and not tuned on a card. `TRITON_INTERPRET=1` runs all of it
on a CPU, as the tests do.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor

from ves.similarity.tiles import wide, winner_type

TOKENS, PATCHES, DEPTH = 64, 128, 64  # rows, columns and summands of one product in registers
GROUP = 8  # keys of a program: neighbouring programs have the same ones, which then come from the cache
ROWS = 16  # rows that a program of backward writes, or adds at once
PAIRS = 2**24  # pairs of a query token and a key that are sorted at once


@triton.jit
def _forward(
    query, weight, key, key_mask, scores, winners,
    Q, N, K, M, D,
    KEEP: tl.constexpr, MASKED: tl.constexpr, EXACT: tl.constexpr, GROUP: tl.constexpr,
    TOKENS: tl.constexpr, PATCHES: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """scores[Q, K] and winners[K, Q, N] of contiguous query[Q, N, D] and key[K, M, D]; `key_mask` has bytes."""
    program = tl.program_id(0)
    q, group = program % Q, program // Q
    row, column, depth = tl.arange(0, TOKENS), tl.arange(0, PATCHES), tl.arange(0, DEPTH)
    for k in range(group * GROUP, min(group * GROUP + GROUP, K)):
        score = 0.0
        for start in range(0, N, TOKENS):
            n = start + row
            share = tl.load(weight + q * N + n, mask=n < N, other=0.0)
            best = tl.full([TOKENS], -float("inf"), tl.float32)
            winner = tl.zeros([TOKENS], tl.int32)
            for first in range(0, M, PATCHES):
                m = first + column
                counts = m < M
                if MASKED:
                    counts = counts & (tl.load(key_mask + k * M + m, mask=counts, other=0) != 0)
                tile = tl.zeros([TOKENS, PATCHES], tl.float32)
                for d in range(0, D, DEPTH):
                    q_at = query + (q * N + n).to(tl.int64)[:, None] * D + d + depth[None, :]
                    k_at = key + (k * M + m).to(tl.int64)[None, :] * D + d + depth[:, None]
                    a = tl.load(q_at, mask=(share > 0)[:, None] & (d + depth < D)[None, :], other=0.0)
                    b = tl.load(k_at, mask=counts[None, :] & (d + depth < D)[:, None], other=0.0)
                    tile = tl.dot(a, b, tile, input_precision=EXACT)
                tile = tl.where(counts[None, :], tile, -float("inf"))
                value = tl.max(tile, 1)
                number = tl.min(tl.where(tile == value[:, None], m[None, :], M), 1)
                winner = tl.where(value > best, number, winner)
                best = tl.where(value > best, value, best)
            score += tl.sum(tl.where(share > 0, best * share, 0.0))
            if KEEP:
                at = winners + (k * Q + q).to(tl.int64) * N + n
                tl.store(at, winner.to(winners.dtype.element_ty), mask=n < N)
        tl.store(scores + q * K + k, score)


@triton.jit
def _gather(
    gradient, weight, key, winners, of_query,
    Q, N, K, M, D,
    ROWS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """of_query[q, n] = weight x the sum over keys of gradient[q, k] x the winner's row of key."""
    blocks = tl.cdiv(N, ROWS)
    q, n = tl.program_id(0) // blocks, tl.program_id(0) % blocks * ROWS + tl.arange(0, ROWS)
    depth = tl.program_id(1) * DEPTH + tl.arange(0, DEPTH)
    share = tl.load(weight + q * N + n, mask=n < N, other=0.0)
    total = tl.zeros([ROWS, DEPTH], tl.float32)
    for k in range(K):
        winner = tl.load(winners + (k * Q + q).to(tl.int64) * N + n, mask=n < N, other=0).to(tl.int32)
        at = key + (k * M + winner).to(tl.int64)[:, None] * D + depth[None, :]
        rows = tl.load(at, mask=(share > 0)[:, None] & (depth < D)[None, :], other=0.0)
        total += rows.to(tl.float32) * tl.load(gradient + q * K + k)
    at = of_query + (q * N + n).to(tl.int64)[:, None] * D + depth[None, :]
    tl.store(at, total * share[:, None], mask=(n < N)[:, None] & (depth < D)[None, :])


@triton.jit
def _scatter(
    gradient, weight, query, order, begin, of_key,
    first_key, Q, N, K, M, D,
    ROWS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """of_key[k, m] = the sum over the query tokens that chose m: order[k, begin[k, m]] to order[k, begin[k, m + 1]]."""
    at_key, m = tl.program_id(0) // M, tl.program_id(0) % M
    k = first_key + at_key
    depth = tl.program_id(1) * DEPTH + tl.arange(0, DEPTH)
    start, stop = tl.load(begin + at_key * (M + 1) + m), tl.load(begin + at_key * (M + 1) + m + 1)
    total = tl.zeros([DEPTH], tl.float32)
    for at in range(start, stop, ROWS):
        place = at + tl.arange(0, ROWS)
        token = tl.load(order + at_key.to(tl.int64) * (Q * N) + place, mask=place < stop, other=0)
        share = tl.load(weight + token, mask=place < stop, other=0.0)
        share *= tl.load(gradient + token // N * K + k, mask=share > 0, other=0.0)
        at_rows = query + token[:, None] * D + depth[None, :]
        rows = tl.load(at_rows, mask=(share != 0)[:, None] & (depth < D)[None, :], other=0.0)
        total += tl.sum(rows.to(tl.float32) * share[:, None], 0)
    tl.store(of_key + (k * M + m).to(tl.int64) * D + depth, total, mask=depth < D)


def forward(
    query: Float[Tensor, "Q N D"],
    weight: Float[Tensor, "Q N"],
    key: Float[Tensor, "K M D"],
    key_mask: Bool[Tensor, "K M"] | None,
    *,
    keep: bool,
) -> tuple[Float[Tensor, "Q K"], Integer[Tensor, "K Q N"] | None]:
    """Scores and, if `keep`, the winners, numbered among all tokens of the key. fp32 products do not use TF32."""
    (Q, N, D), (K, M, _) = query.shape, key.shape
    scores = torch.empty(Q, K, dtype=torch.float32, device=query.device)
    winners = torch.empty(K, Q, N, dtype=winner_type(M), device=query.device) if keep else None
    launch: Any = _forward[(Q * triton.cdiv(K, GROUP),)]  # Triton declares constants as its own type
    launch(
        query.contiguous(), weight.float().contiguous(), key.contiguous(),
        scores if key_mask is None else key_mask.to(torch.uint8).contiguous(), scores,
        scores if winners is None else winners, Q, N, K, M, D,
        KEEP=keep, MASKED=key_mask is not None, EXACT="ieee" if query.dtype == torch.float32 else "tf32",
        GROUP=GROUP, TOKENS=TOKENS, PATCHES=PATCHES, DEPTH=DEPTH,
    )  # fmt: skip
    # a maximum in the kernel may miss a NaN, so NaN in valid tokens is looked for here
    key_nan, query_nan = key.isnan().any(-1), (query.isnan().any(-1) & (weight > 0)).any(1)
    if key_mask is not None:  # a key without a valid token scores 0
        key_nan &= key_mask
        scores.masked_fill_(~key_mask.any(1), 0.0)
    return scores.masked_fill_(key_nan.any(1) | query_nan[:, None], torch.nan), winners


def backward(
    gradient: Float[Tensor, "Q K"],
    query: Float[Tensor, "Q N D"],
    weight: Float[Tensor, "Q N"],
    key: Float[Tensor, "K M D"],
    key_mask: Bool[Tensor, "K M"] | None,
    winners: Integer[Tensor, "K Q N"],
) -> tuple[Float[Tensor, "Q N D"], Float[Tensor, "K M D"]]:
    """Gradients of the tokens of both sides, in fp32."""
    (Q, N, D), (K, M, _) = query.shape, key.shape
    if key_mask is not None:
        gradient = gradient * key_mask.any(1)
    gradient, weight = gradient.float().contiguous(), weight.float().contiguous()
    query, key = query.contiguous(), key.contiguous()
    of_query, of_key = (torch.empty_like(tokens, dtype=wide(tokens)) for tokens in (query, key))
    across = triton.cdiv(D, DEPTH)
    blocks: dict[str, Any] = {"ROWS": ROWS, "DEPTH": DEPTH}
    _gather[(Q * triton.cdiv(N, ROWS), across)](gradient, weight, key, winners, of_query, Q, N, K, M, D, **blocks)
    step = max(1, PAIRS // (Q * N))
    for first in range(0, K, step):
        part = winners[first : first + step]
        order, begin = _sorted(part, M)
        _scatter[(len(part) * M, across)](
            gradient, weight, query, order, begin, of_key, first, Q, N, K, M, D, **blocks
        )  # fmt: skip
    return of_query, of_key


def _sorted(winners: Integer[Tensor, "k Q N"], tokens: int) -> tuple[Int[Tensor, "k n"], Int[Tensor, "k m"]]:
    """The query tokens in the order of their winners, for each key, and where those of each winner begin."""
    in_order, order = winners.flatten(1).sort(dim=1, stable=True)
    bounds = torch.arange(tokens + 1, device=winners.device, dtype=torch.int32).expand(len(winners), -1).contiguous()
    return order, torch.searchsorted(in_order.int(), bounds)
