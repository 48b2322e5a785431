"""Retrieval metrics: pure functions of a score matrix and of which pairs are right.

Protocol of the VeS paper: every validation clip ranks all images (A2V) and every image ranks all clips (V2A); the
rank is 1 + the number of gallery items scored strictly above the query's best right one. Equal scores therefore
favour the model: how many negatives tie is counted, and the median under the opposite rule is reported beside it.

The reference code (SajayR/VeS, evaluation/) scores every model, the hybrid too, under max_mean and under mean_mean and
never under a weighted sum. Here a run's own row is the weighted sum that it was trained for; the plain two are
`others`. Its rank on the diagonal is this one when a clip has one image and an image one clip.

Dimension key
    Q queries    G gallery items    A utterances    V images
"""

import hashlib
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ves.embeddings import Embeddings, load
from ves.files import write_json
from ves.progress import track
from ves.similarity import score

CUTOFFS = (1, 5, 10, 50)
CLIPS = 32  # scored at once
OTHERS = ("max_mean", "mean_mean")  # the plain similarities under which every run is also reported


def _best_positive(scores: Float[Tensor, "Q G"], positives: Bool[Tensor, "Q G"]) -> Float[Tensor, "Q 1"]:
    """The score of each query's best right item. Raises ValueError for NaN and for a query without a right item."""
    if scores.isnan().any():
        query, item = scores.isnan().nonzero()[0].tolist()
        raise ValueError(f"score of query {query} and gallery item {item} is NaN; a rank is undefined")
    if not (has := positives.any(1)).all():
        raise ValueError(f"query {int((~has).nonzero()[0])} has no right item in the gallery; leave it out")
    return scores.masked_fill(~positives, -torch.inf).amax(1, keepdim=True)


def ranks(scores: Float[Tensor, "Q G"], positives: Bool[Tensor, "Q G"]) -> Int[Tensor, "Q"]:
    """1 + the number of gallery items scored strictly above the query's best positive; 1 is a perfect query."""
    return 1 + (scores > _best_positive(scores, positives)).sum(1)


def ties(scores: Float[Tensor, "Q G"], positives: Bool[Tensor, "Q G"]) -> Int[Tensor, "Q"]:
    """The number of wrong items scored exactly as the query's best positive; rank + ties is the pessimistic rank."""
    return ((scores == _best_positive(scores, positives)) & ~positives).sum(1)


def summary(ranks: Int[Tensor, "Q"]) -> dict[str, float]:
    """R@k in percent, mean and median rank (of an even number, the mean of the middle two), number of queries."""
    if not len(ranks):
        raise ValueError("no queries: there is nothing to summarise")
    recalls = {f"R@{k}": 100 * (ranks <= k).double().mean().item() for k in CUTOFFS}
    middle = ranks.double().quantile(0.5).item()
    return recalls | {"mean_rank": ranks.double().mean().item(), "median_rank": middle, "n": len(ranks)}


def chance(n: int) -> dict[str, float]:
    """`summary` in expectation for n queries, each with one right item among n in random order: exact, not sampled."""
    if n < 1:
        raise ValueError(f"a gallery of {n} items has no chance level")
    recalls = {f"R@{k}": 100 * min(k, n) / n for k in CUTOFFS}
    return recalls | {"mean_rank": (n + 1) / 2, "median_rank": (n + 1) / 2, "n": n}


def _direction(scores: Float[Tensor, "Q G"], positives: Bool[Tensor, "Q G"]) -> dict[str, float]:
    """Everything that is reported of one direction."""
    best, tied = ranks(scores, positives), ties(scores, positives)
    return summary(best) | {
        "gallery": scores.shape[1],
        "queries_with_ties": int((tied > 0).sum()),
        "pessimistic_median_rank": summary(best + tied)["median_rank"],
    }


def both_directions(scores: Float[Tensor, "A V"], clip_image: Int[Tensor, "A"]) -> dict[str, dict[str, float]]:
    """A2V (a clip looks for its image) and V2A (an image looks for any of its clips); clip_image holds columns."""
    right = clip_image[:, None] == torch.arange(scores.shape[1], device=clip_image.device)
    return {"A2V": _direction(scores, right), "V2A": _direction(scores.T, right.T)}


def pairs_digest(embeddings: Embeddings) -> str:
    """Names the set of pairs, in any order: two runs are comparable when it agrees."""
    images = [embeddings.image_id[image] for image in embeddings.clip_image]
    pairs = sorted(f"{clip} {image}" for clip, image in zip(embeddings.clip_id, images, strict=True))
    return hashlib.sha256("\n".join(pairs).encode()).hexdigest()


def all_pairs(name: str, stored: Embeddings) -> Float[Tensor, "A V"]:
    """One plain similarity of every clip and image.

    Clips of like length are scored together and cut to the longest of them: padding, a third of all tokens where clips
    are short, is not multiplied. Memory beside the embeddings is that of the images in fp32, and does not grow with A.
    """
    mask, image = stored.audio_mask, stored.image_tokens.float()
    image_mask = None if stored.image_mask.all() else stored.image_mask  # a mask that keeps all costs a third more
    last = (mask * torch.arange(1, mask.shape[1] + 1)).amax(1).clamp(min=1)  # tokens up to the last that counts
    scores = torch.empty(len(mask), len(image))
    for rows in track(last.argsort(stable=True).split(CLIPS), label=f"score {name}", unit="batch"):
        heard = slice(int(last[rows].max()))
        audio = stored.audio_tokens[rows, heard].float()
        scores[rows] = score({name: 1.0}, audio, mask[rows, heard], image, image_mask)
    return scores


def evaluate(embeddings: Path, out: Path) -> None:
    """Write retrieval.json: the run under its own objective (a weighted sum of similarities) and the plain ones."""
    stored = load(embeddings)
    objective: dict[str, float] = stored.attrs["objective"]
    # each costs seconds to minutes, so each is computed once, and the weighted sum is formed of them
    plain = {name: all_pairs(name, stored) for name in {**objective, **dict.fromkeys(OTHERS)}}
    own = torch.stack([weight * plain[name] for name, weight in objective.items()]).sum(0)
    result: dict[str, Any] = {key: stored.attrs[key] for key in ("run", "split", "objective", "model_sha256")}
    result |= {"pairs": pairs_digest(stored)} | both_directions(own, stored.clip_image)
    write_json(out, result | {"others": {name: both_directions(plain[name], stored.clip_image) for name in OTHERS}})
