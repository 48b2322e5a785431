"""MaxSim in plain torch, tile by tile, on any device: what a CPU runs. ves.similarity.maxsim says what it computes.

Forward multiplies one key with so many query tokens that the tile of similarities stays in the processor's cache, where
it takes the maxima. torch's maximum over rows runs at the speed of the cache, but its maximum with a number does not.
So the number is computed in steps: the maximum of every block of about sqrt(M) rows, then the winning block, then the
winner in that block. Tokens that are not valid are left out before the product, not masked after it, which saves a
third of the arithmetic with clips of all lengths up to 5 s.

Backward is twice the same operation, a weighted sum of rows of a table (`embedding_bag`, which is fast because
recommender systems need it). For a query token the rows are tokens of the keys. For a key token they are the query
tokens that chose it, once the winners are sorted. Every sum is computed in one thread, in one order.

The cores that ves.base.cpu allows share the tiles; the result does not depend on their number.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor

from ves.base.cpu import cores, run_on_cores
from ves.base.precision import wide

TILE = 2**21  # bytes of similarities at once: fewer cost calls, more leave the cache (benchmarks/similarity.py)
THIN = 16  # with fewer rows or columns the library computes a product in another way, with other last bits
PAIRS = 2**18  # pairs of a query token and a key at once in backward: 8 MB of numbers, orders and weights


def winner_type(tokens: int) -> torch.dtype:
    """The smallest integer type that numbers the tokens of a key."""
    return torch.uint8 if tokens <= 256 else torch.int16 if tokens <= 2**15 else torch.int32


def best(
    keys: Float[Tensor, "G M D"], tokens: Float[Tensor, "n D"], buffer: Float[Tensor, "b"], *, keep: bool
) -> tuple[Float[Tensor, "G n"], Integer[Tensor, "G n"] | None]:
    """The largest inner product of each token with the tokens of each key; if `keep`, also its number, the lowest of
    equals.

    Rows are repeated where they are too few for the product or for full blocks. `buffer` is memory for a tile.
    """
    count, count_of_keys, tokens = len(tokens), keys.shape[1], _at_least(tokens, THIN)
    block = math.ceil(math.sqrt(max(keys.shape[1], THIN))) if keep else 1
    blocks = math.ceil(max(keys.shape[1], THIN) / block)
    keys = _at_least(keys.transpose(0, 1), blocks * block).transpose(0, 1)
    rows = keys.flatten(0, 1)
    products = torch.empty(len(keys), len(tokens), dtype=tokens.dtype, device=tokens.device)
    winner = torch.empty_like(products, dtype=torch.int64) if keep else None
    for part in _slices(len(tokens), len(buffer) // len(rows)):
        size = (len(rows), len(tokens[part]))
        tile = torch.mm(rows, tokens[part].T, out=buffer[: math.prod(size)].view(size))
        tile = tile.view(len(keys), blocks, block, size[1])
        if winner is None:
            products[:, part] = tile.flatten(1, 2).amax(1)
            continue
        products[:, part], number = tile.amax(2).max(1)
        block_rows = tile.gather(1, number[:, None, None].expand(-1, 1, block, -1))[:, 0]
        # a copy of the last row may win over it: some processors' products differ in the last bits by place
        winner[:, part] = number.mul_(block).add_(block_rows.max(1).indices).clamp_(max=count_of_keys - 1)
    return products[:, :count], None if winner is None else winner[:, :count]


def _at_least(rows: Float[Tensor, "n *rest"], count: int) -> Float[Tensor, "m *rest"]:
    """The rows, the last one repeated until there are `count`."""
    return rows if len(rows) >= count else rows[torch.arange(count, device=rows.device).clamp(max=len(rows) - 1)]


def _slices(length: int, step: int, parts: int = 1) -> Iterator[slice]:
    """0 to length in equal parts of at most `step`; at least `parts` of them if none is then empty."""
    parts = max(math.ceil(length / max(1, step)), min(parts, length))
    for part in range(parts):
        yield slice(length * part // parts, length * (part + 1) // parts)


def forward(
    query: Float[Tensor, "Q N D"],
    weight: Float[Tensor, "Q N"],
    key: Float[Tensor, "K M D"],
    key_mask: Bool[Tensor, "K M"] | None,
    *,
    keep: bool,
) -> tuple[Float[Tensor, "Q K"], Integer[Tensor, "K n"] | None]:
    """Scores and, if `keep`, the winners for the n valid query tokens, numbered among the valid tokens of the key."""
    valid = weight > 0
    tokens, shares, lengths = _packed(query, valid), weight[valid].double(), valid.sum(1)
    scores = torch.zeros(len(key), len(query), dtype=wide(query), device=query.device)
    winners = torch.zeros(len(key), len(tokens), dtype=winner_type(key.shape[1]), device=key.device) if keep else None
    most = (math.isqrt(max(key.shape[1], THIN)) + 1) ** 2  # rows of a key once its blocks are full
    size = max(THIN * most, TILE // key.element_size())
    together = size // (most * max(THIN, len(tokens))) if key_mask is None else 1  # small keys share a tile

    def compare(parts: list[slice]) -> None:
        """Fill in the scores of some keys; no other part of the results changes."""
        buffer = torch.empty(size, dtype=key.dtype, device=key.device)
        for part in parts:
            keys = key[part] if key_mask is None else key[part][key_mask[part]][None]
            if keys.shape[1]:
                products, winner = best(keys, tokens, buffer, keep=keep)
                if winners is not None and winner is not None:
                    winners[part] = winner
                share = products.double().mul_(shares)
                scores[part] = torch.segment_reduce(share, "sum", lengths=lengths.expand(len(keys), -1), axis=1)

    _shared(compare, list(_slices(len(key) if len(tokens) else 0, together)))
    return scores.T.contiguous(), winners


def _shared(function: Callable[[list[slice]], None], parts: list[slice]) -> None:
    """function(some of the parts) on each core."""
    count = min(cores(), max(1, len(parts)))
    own = [parts[len(parts) * core // count : len(parts) * (core + 1) // count] for core in range(count)]
    run_on_cores(function, own, count)


def backward(
    gradient: Float[Tensor, "Q K"],
    query: Float[Tensor, "Q N D"],
    weight: Float[Tensor, "Q N"],
    key: Float[Tensor, "K M D"],
    key_mask: Bool[Tensor, "K M"] | None,
    winners: Integer[Tensor, "K n"],
) -> tuple[Float[Tensor, "Q N D"], Float[Tensor, "K M D"]]:
    """Gradients of the tokens of both sides, in `wide` of their type."""
    valid = weight > 0
    key_valid = torch.ones(key.shape[:2], dtype=torch.bool, device=key.device) if key_mask is None else key_mask
    lengths = key_valid.sum(1)
    if not (valid.any() and lengths.any()):
        return torch.zeros_like(query, dtype=wide(query)), torch.zeros_like(key, dtype=wide(key))
    gradient = gradient.to(wide(query)) * (lengths > 0)  # no token chose a key without tokens
    owner, share = valid.nonzero()[:, 0], weight[valid].to(wide(query))
    first = (lengths.cumsum(0) - lengths).clamp(max=int(lengths.sum()) - 1)
    of_query = _gathered(gradient, owner, share, _packed(key, key_valid).to(wide(key)), first, winners)
    of_key = _scattered(gradient, owner, share, _packed(query, valid).to(wide(query)), lengths, winners)
    return _unpacked(of_query, valid), _unpacked(of_key, key_valid)


def _packed(tokens: Float[Tensor, "B N D"], valid: Bool[Tensor, "B N"]) -> Float[Tensor, "n D"]:
    """The valid tokens, one after another; no copy where all are."""
    return tokens.flatten(0, 1) if valid.all() else tokens[valid]


def _unpacked(rows: Float[Tensor, "n D"], valid: Bool[Tensor, "B N"]) -> Float[Tensor, "B N D"]:
    """The rows where tokens are valid, zero elsewhere."""
    if valid.all():
        return rows.view(*valid.shape, -1)
    tokens = torch.zeros(*valid.shape, rows.shape[1], dtype=rows.dtype, device=rows.device)
    tokens[valid] = rows
    return tokens


def _gathered(
    gradient: Float[Tensor, "Q K"],
    owner: Int[Tensor, "n"],
    share: Float[Tensor, "n"],
    table: Float[Tensor, "m D"],
    first: Int[Tensor, "K"],
    winners: Integer[Tensor, "K n"],
) -> Float[Tensor, "n D"]:
    """For every query token the sum over keys of weight times the winner. `table` has the keys' tokens; those of a key
    begin at row `first`."""
    rows = torch.empty(len(owner), table.shape[1], dtype=table.dtype, device=table.device)

    def gather(parts: list[slice]) -> None:
        for part in parts:
            index = (winners[:, part].long() + first[:, None]).T.contiguous()
            weights = gradient[owner[part]] * share[part, None]
            rows[part] = F.embedding_bag(index, table, mode="sum", per_sample_weights=weights)

    _shared(gather, list(_slices(len(owner), PAIRS // len(winners), cores())))
    return rows


def _scattered(
    gradient: Float[Tensor, "Q K"],
    owner: Int[Tensor, "n"],
    share: Float[Tensor, "n"],
    table: Float[Tensor, "n D"],
    lengths: Int[Tensor, "K"],
    winners: Integer[Tensor, "K n"],
) -> Float[Tensor, "m D"]:
    """For every key token the weighted sum of the query tokens (rows of `table`) that chose it."""
    rows = torch.empty(int(lengths.sum()), table.shape[1], dtype=table.dtype, device=table.device)
    ends = lengths.cumsum(0)

    def scatter(parts: list[slice]) -> None:
        for part in parts:
            keys = torch.arange(part.start, part.stop, device=owner.device)
            keys = keys[lengths[keys] > 0]
            first = lengths[keys].cumsum(0) - lengths[keys]
            end = int(ends[part.stop - 1])
            start = end - int(lengths[keys].sum())
            if start == end:
                continue
            choices = torch.bincount((winners[keys] + first[:, None]).flatten(), minlength=end - start)
            order = _order(winners[keys])
            weights = (gradient.T[keys[:, None], owner[order]] * share[order]).flatten()
            offsets, index = choices.cumsum(0) - choices, order.flatten()
            rows[start:end] = F.embedding_bag(index, table, offsets, mode="sum", per_sample_weights=weights)

    _shared(scatter, list(_slices(len(winners), PAIRS // len(owner), cores())))
    return rows


def _order(winners: Integer[Tensor, "K n"]) -> Int[Tensor, "K n"]:
    """The indices that sort each row, stable. numpy sorts numbers of one or two bytes by digits, 30 times as fast."""
    if winners.device.type == "cpu":
        return torch.from_numpy(np.argsort(winners.numpy(), axis=1, kind="stable"))
    return winners.sort(dim=1, stable=True).indices
