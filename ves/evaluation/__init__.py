"""Numbers about a checkpoint; besides report, the only package that may open the truth.

`evaluate` scores any checkpoint. The metrics are in `retrieval` and `localisation`, computed from what `embed` writes
with the batches and towers of training. `bootstrap` has the intervals of both; `retrieval.intervals` those of
differences between models, over seeds too.
"""

from typing import TYPE_CHECKING

from ves.base.lazy import face

if TYPE_CHECKING:
    from ves.evaluation.any_checkpoint import evaluate as evaluate

__getattr__, __dir__ = face(
    __name__,
    {
        "evaluate": "ves.evaluation.any_checkpoint",
    },
)
