"""How the levels of a picture become the numbers that a vision backbone was trained on.

Apart from ves.media.images, which loads Pillow and polars: a configuration is checked against it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as DINOv2 was trained
LEVEL = 1 / 255  # brings levels of 0 to 255 to 0 to 1

Channels = tuple[float, float, float]


@dataclass(frozen=True)
class Normalisation:
    """(level x rescale - mean) / std, for red, green and blue."""

    mean: Channels
    std: Channels
    rescale: float = LEVEL

    @property
    def recorded(self) -> dict[str, Any]:
        """As the attributes of a store have it; a rescaling to 0 to 1, which nearly all have, is left out."""
        own = {} if self.rescale == LEVEL else {"rescale": self.rescale}
        return {"mean": list(self.mean), "std": list(self.std)} | own


IMAGENET = Normalisation(MEAN, STD)


def of_record(recorded: Mapping[str, Any] | None) -> Normalisation:
    """What attributes record; ImageNet's where they are of a time when there was no other."""
    if recorded is None:
        return IMAGENET
    mean, std = (tuple(map(float, recorded[key])) for key in ("mean", "std"))
    return Normalisation(mean, std, recorded.get("rescale", LEVEL))  # pyright: ignore[reportArgumentType]
