"""What training minimises, from a matrix of similarities.

`LOSSES` are functions of logits and of a mask of pairs that are no negatives of each other, by name; `info_nce` is one.
Each returns (loss, metrics). `REGULARISERS` are added to them.
"""

from ves.losses.contrastive import LOSSES, info_nce
from ves.losses.regularisers import REGULARISERS

__all__ = ["LOSSES", "REGULARISERS", "info_nce"]
