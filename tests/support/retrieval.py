"""Reports of both directions of retrieval from one matrix of scores."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ves.evaluation.retrieval.chance import Report
from ves.evaluation.retrieval.metrics import rank_by_image, report


def both_directions(scores: Float[Tensor, "A V"], clip_image: Int[Tensor, "A"]) -> dict[str, Report]:
    """A2V (a clip looks for its image) and V2A (an image looks for any of its clips); clip_image holds columns."""
    image = torch.arange(scores.shape[1], device=clip_image.device)
    a2v, v2a = rank_by_image(scores, clip_image, image), rank_by_image(scores.T, image, clip_image)
    return {"A2V": report(*a2v, scores.shape[1]), "V2A": report(*v2a, scores.shape[0])}
