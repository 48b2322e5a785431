"""What each loss is where a model tells no pair from another: the level of chance.

Separate from ves.losses.contrastive: figures need only this, and torch takes seconds to load.
"""

import math
from collections.abc import Callable

# By the name of the loss, a function of the number of pairs B: the loss where all logits are equal. If it depends on
# the logit that they share, it is the least of these values, which is what a model reaches that has learned nothing. A
# loss without an entry has no such level: no line is drawn for it, and no warning says that it has collapsed.
CHANCE: dict[str, Callable[[int], float]] = {"info_nce": math.log}
