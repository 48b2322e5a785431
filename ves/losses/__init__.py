"""What training minimises, from a matrix of similarities."""

from ves.losses.contrastive import LOSSES, info_nce
from ves.losses.regularisers import REGULARISERS

__all__ = ["LOSSES", "REGULARISERS", "info_nce"]
