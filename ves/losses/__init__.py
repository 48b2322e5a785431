"""What training minimises, from a matrix of similarities.

`LOSSES` are functions of logits and of what is no negative, by name; `info_nce` is one. `REGULARISERS` are added to
them.
"""

from ves.losses.contrastive import LOSSES, info_nce
from ves.losses.regularisers import REGULARISERS

__all__ = ["LOSSES", "REGULARISERS", "info_nce"]
