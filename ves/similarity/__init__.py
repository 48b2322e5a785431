"""How alike a clip and an image are."""

from ves.similarity.pairwise import SIMILARITIES, max_mean, mean_mean, score

__all__ = ["SIMILARITIES", "max_mean", "mean_mean", "score"]
