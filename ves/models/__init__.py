"""The two towers, their backbones and their features; the Python API to a trained run.

`VeS` is the model, `load(run)` a trained one with both backbones, whose `localise` takes a picture and a voice;
`extract` puts patch tokens of pictures into their store.
"""

from typing import TYPE_CHECKING

from ves.base.lazy import face

if TYPE_CHECKING:
    from ves.models.extraction import extract as extract
    from ves.models.localise import Localisation as Localisation
    from ves.models.localise import Localiser as Localiser
    from ves.models.localise import load as load
    from ves.models.towers import VeS as VeS

__getattr__, __dir__ = face(
    __name__,
    {
        "extract": "ves.models.extraction",
        "Localisation": "ves.models.localise",
        "Localiser": "ves.models.localise",
        "load": "ves.models.localise",
        "VeS": "ves.models.towers",
    },
)
