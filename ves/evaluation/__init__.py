"""Numbers about a checkpoint; the only package below report that may open the truth.

`evaluate` scores any checkpoint. The metrics are in `retrieval` and `localisation`, one file for each protocol; what
they are computed from is written by `embed`.
"""

from typing import TYPE_CHECKING

from ves.base.lazy import face

if TYPE_CHECKING:
    from ves.evaluation.checkpoint import evaluate as evaluate

__getattr__, __dir__ = face(
    __name__,
    {
        "evaluate": "ves.evaluation.checkpoint",
    },
)
