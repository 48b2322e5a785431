"""What training minimises, from a matrix of similarities.

`LOSSES` are functions of logits and of a mask of pairs that are no negatives of each other, by name; `info_nce` is one.
Each returns (loss, metrics). `CHANCE` has what some of them are where all logits are equal. `REGULARISERS` are added to
them.
"""

from typing import TYPE_CHECKING

from ves.base.lazy import face

if TYPE_CHECKING:
    from ves.losses.chance import CHANCE as CHANCE
    from ves.losses.contrastive import LOSSES as LOSSES
    from ves.losses.contrastive import info_nce as info_nce
    from ves.losses.regularisers import REGULARISERS as REGULARISERS

__getattr__, __dir__ = face(
    __name__,
    {
        "CHANCE": "ves.losses.chance",
        "LOSSES": "ves.losses.contrastive",
        "REGULARISERS": "ves.losses.regularisers",
        "info_nce": "ves.losses.contrastive",
    },
)
