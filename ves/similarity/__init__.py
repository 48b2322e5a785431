"""How alike a clip and an image are.

`SIMILARITIES` are functions of tokens and masks, by name; `max_mean` and `mean_mean` are two of them; `score` is every
clip against every image. They are defined in `pairwise`; `maxsim` computes the dense ones without the whole volume.
"""

from ves.similarity.pairwise import SIMILARITIES, max_mean, mean_mean, score

__all__ = ["SIMILARITIES", "max_mean", "mean_mean", "score"]
