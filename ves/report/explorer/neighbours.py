"""What each model retrieves for a clip of the explorer: the nearest pictures, and the nearest clips to its picture.

Dimension key
    G items of a gallery
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ves.similarity.pairwise import score
from ves.store.embeddings import Embeddings

TOP = 5


@dataclass(frozen=True)
class Retrieved:
    """The TOP items of a gallery, best first, the score of each, and the rank of the right one (1 is best) of `of`."""

    items: list[int]
    scores: list[float]
    right: list[bool]
    rank: int
    of: int


def _retrieved(scores: Float[Tensor, "G"], right: Tensor) -> Retrieved:
    """For one query; of equal scores the item of lower index comes first, and ranks are those of
    ves.evaluation.retrieval.metrics."""
    order = scores.argsort(descending=True, stable=True)[:TOP]
    rank = 1 + int((scores > scores[right].max()).sum())
    items = order.tolist()
    return Retrieved(items, scores[order].tolist(), right[order].tolist(), rank, len(scores))


def pictures_of(stored: Embeddings, clips: Sequence[int]) -> list[Retrieved]:
    """For each clip (row of the embeddings) the images nearest to it, by the run's own objective."""
    rows = torch.tensor(clips)
    image_mask = None if stored.image_mask.all() else stored.image_mask
    audio, images = stored.audio_tokens[rows].float(), stored.image_tokens.float()
    scores = score(stored.attrs["objective"], audio, stored.audio_mask[rows], images, image_mask)
    places = torch.arange(len(images))
    return [_retrieved(line, places == stored.clip_image[row]) for line, row in zip(scores, clips, strict=True)]


def clips_of(stored: Embeddings, clips: Sequence[int]) -> list[Retrieved]:
    """For the image of each clip the nearest clips; all clips of the image are right."""
    shown = stored.clip_image[torch.tensor(clips)].long()
    image_mask = None if stored.image_mask.all() else stored.image_mask[shown]
    audio, images = stored.audio_tokens.float(), stored.image_tokens[shown].float()
    scores = score(stored.attrs["objective"], audio, stored.audio_mask, images, image_mask).T
    return [_retrieved(line, stored.clip_image == image) for line, image in zip(scores, shown, strict=True)]
