"""The arithmetic from the levels of a picture to the input of a vision backbone.

It is apart from ves.media.images, which loads Pillow and polars: the check of a configuration needs it, and must be
fast.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as DINOv2 was trained
LEVEL = 1 / 255  # brings levels from 0..255 to 0..1

Channels = tuple[float, float, float]


@dataclass(frozen=True)
class Normalisation:
    """(level x rescale - mean) / std, for red, green and blue."""

    mean: Channels
    std: Channels
    rescale: float = LEVEL

    @property
    def attributes(self) -> dict[str, Any]:
        """For the attributes of a store; LEVEL, the rescaling of nearly all backbones, is left out."""
        rescale = {} if self.rescale == LEVEL else {"rescale": self.rescale}
        return {"mean": list(self.mean), "std": list(self.std)} | rescale


IMAGENET = Normalisation(MEAN, STD)


def from_attributes(attributes: Mapping[str, Any] | None) -> Normalisation:
    """The normalisation in a store's attributes; None are those of older versions, which had only ImageNet's."""
    if attributes is None:
        return IMAGENET
    mean, std = (tuple(map(float, attributes[key])) for key in ("mean", "std"))
    return Normalisation(mean, std, attributes.get("rescale", LEVEL))  # pyright: ignore[reportArgumentType]
