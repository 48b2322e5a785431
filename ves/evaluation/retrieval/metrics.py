"""Retrieval metrics: pure functions of a score matrix and of which gallery items are right.

A clip ranks images (A2V) and an image ranks clips (V2A); items of the query's image are right. The rank is 1 + the
number of gallery items scored strictly above the query's best right one. So equal scores favour the model: wrong items
that tie are counted, and mean and median rank under the opposite rule are reported too.

The paper's protocol is the case of one clip to an image, where the only right item lies on the diagonal. With
several clips to an image the same rule has more right items.

Dimension key
    Q queries    G gallery items
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ves.evaluation.retrieval.chance import CUTOFFS, Report

ROWS = 512  # queries ranked at once, so that no boolean matrix of all pairs is in memory


def _best_positive(scores: Float[Tensor, "Q G"], positives: Bool[Tensor, "Q G"]) -> Float[Tensor, "Q 1"]:
    """The score of each query's best right item. Raises ValueError for NaN and for a query without a right item."""
    if scores.isnan().any():
        query, item = scores.isnan().nonzero()[0].tolist()
        raise ValueError(f"score of query {query} and gallery item {item} is NaN; a rank is undefined")
    if not (has := positives.any(1)).all():
        raise ValueError(f"query {int((~has).nonzero()[0])} has no right item in the gallery; leave it out")
    return scores.masked_fill(~positives, -torch.inf).amax(1, keepdim=True)


def rank_queries(scores: Float[Tensor, "Q G"], positives: Bool[Tensor, "Q G"]) -> Int[Tensor, "Q"]:
    """1 + the number of gallery items scored strictly above the query's best positive; 1 is a perfect query."""
    return 1 + (scores > _best_positive(scores, positives)).sum(1)


def count_ties(scores: Float[Tensor, "Q G"], positives: Bool[Tensor, "Q G"]) -> Int[Tensor, "Q"]:
    """The number of wrong items scored exactly as the query's best positive; rank + ties is the pessimistic rank."""
    return ((scores == _best_positive(scores, positives)) & ~positives).sum(1)


def rank_by_image(
    scores: Float[Tensor, "Q G"], query: Int[Tensor, "Q"], item: Int[Tensor, "G"]
) -> tuple[Int[Tensor, "Q"], Int[Tensor, "Q"]]:
    """Ranks and ties where an item is right if its image is the query's; ROWS queries at a time."""
    pieces = [(scores[i : i + ROWS], query[i : i + ROWS, None] == item) for i in range(0, len(query), ROWS)]
    if not pieces:
        raise ValueError("no queries: there is nothing to rank")
    return torch.cat([rank_queries(*piece) for piece in pieces]), torch.cat([count_ties(*piece) for piece in pieces])


def summary(ranks: Int[Tensor, "Q"]) -> Report:
    """R@k in percent, mean and median rank (of an even number, the mean of the middle two), MRR, number of queries."""
    if not len(ranks):
        raise ValueError("no queries: there is nothing to summarise")
    ordered = ranks.double().sort().values  # a sum depends on its order, in the last bit
    recalls = {f"R@{k}": 100 * (ordered <= k).double().mean().item() for k in CUTOFFS}
    middle = {"mean_rank": ordered.mean().item(), "median_rank": ordered.quantile(0.5).item()}
    return recalls | middle | {"MRR": (1 / ordered).mean().item(), "n": len(ranks)}


def report(ranks: Int[Tensor, "Q"], ties: Int[Tensor, "Q"], gallery: int) -> Report:
    """All metrics of one direction, with the ties."""
    pessimistic = summary(ranks + ties)
    return summary(ranks) | {
        "gallery": gallery,
        "queries_with_ties": int((ties > 0).sum()),
        "ties": int(ties.sum()),
        "pessimistic_mean_rank": pessimistic["mean_rank"],
        "pessimistic_median_rank": pessimistic["median_rank"],
    }
