"""A heatmap over its picture: colours on one scale for all panels, the outline of an object, the mark of a patch.

The picture beneath is grey and of low contrast, so that every hue and nearly all brightness are heat. The colours are
matplotlib's magma: perceptually uniform, and ascending in lightness (for print and colour blindness). A value has the
same colour in every panel that shares a scale; no panel is stretched by itself.

Dimension key
    H, W pixels of the panel
"""

from collections.abc import Iterable
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Box = tuple[int, int, int, int]  # x0, y0, x1, y1

HEAT = 0.64  # opacity of the heatmap
SOFT = (70, 185)  # the range of greys of the picture beneath it
OBJECT, MARK, HALO = "#41e6ff", "#ffffff", "#000000"
FINE = 3  # outlines are drawn at this many times the size
COLOURS = (np.asarray(mpl.colormaps["magma"](np.linspace(0, 1, 256)))[:, :3] * 255).round().astype(np.uint8)

LAID = (HEAT * COLOURS).astype(np.float32)  # what heat adds to the grey beneath it


@dataclass(frozen=True)
class Scale:
    """The values at both ends of the colours."""

    low: float
    high: float

    def places(self, values: np.ndarray) -> np.ndarray:
        """int [...]: the place of each value among COLOURS; values beyond an end are at it, NaN at the lower one."""
        place = (np.nan_to_num(values, nan=self.low) - self.low) / max(self.high - self.low, 1e-6)
        return (place.clip(0, 1) * 255).round().astype(np.intp)


def scale_of(heats: Iterable[np.ndarray]) -> Scale:
    """From the least to the greatest of all these heatmaps together."""
    together = np.concatenate([heat.ravel() for heat in heats])
    return Scale(float(together.min()), float(together.max()))


def tint(picture: Image.Image, heat: Float[np.ndarray, "H W"], scale: Scale) -> Image.Image:
    """The picture in grey with the heatmap over it; where that is NaN (the model did not see it), grey alone."""
    grey = np.asarray(picture.convert("L"), np.float32)[..., None]
    beneath = SOFT[0] + grey * np.float32((SOFT[1] - SOFT[0]) / 255)
    blended = beneath * np.float32(1 - HEAT) + LAID.take(scale.places(heat), axis=0)
    if not (visible := np.isfinite(heat)).all():
        blended = np.where(visible[..., None], blended, beneath)
    return Image.fromarray((blended + np.float32(0.5)).astype(np.uint8))


def _grown(shape: Image.Image, reach: int) -> Image.Image:
    """The shape (255 inside) and all pixels within `reach` of it: a blur reaches them, much faster than MaxFilter."""
    return shape.filter(ImageFilter.BoxBlur(reach)).point([0] + [255] * 255)


def outline(panel: Image.Image, mask: Image.Image, colour: str = OBJECT) -> None:
    """A thin line around an object (mask: mode L, of any size), with a dark halo that sets it off from any colour."""
    fine = mask.resize((FINE * panel.width, FINE * panel.height)).filter(ImageFilter.BoxBlur(1))
    shape = fine.point([0] * 128 + [255] * 128)
    line = _grown(shape, 4)
    for ink, outer, inner in ((HALO, _grown(line, 3), line), (colour, line, shape)):
        band = ImageChops.subtract(outer, inner).resize(panel.size, Image.Resampling.BOX)  # smooth at the panel's size
        panel.paste(ink, (0, 0), band)


def _inside(low: float, high: float, length: int) -> tuple[int, int]:
    """First and last pixel of an edge, with room for the halo, however little of the patch is in the picture."""
    first = min(max(round(low), 1), length - 5)
    return first, max(min(round(high) - 1, length - 2), first + 3)


def mark(panel: Image.Image, box: Float[np.ndarray, "4"]) -> None:
    """A small square around a patch (x0, y0, x1, y1), inside the panel."""
    (x0, x1), (y0, y1) = _inside(box[0], box[2], panel.width), _inside(box[1], box[3], panel.height)
    pen = ImageDraw.Draw(panel)
    pen.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline=HALO)
    pen.rectangle((x0, y0, x1, y1), outline=MARK, width=2)


def colour_bar(width: int, height: int) -> Image.Image:
    """The colours of a scale from low to high, as they look over the middle grey of a picture."""
    heat = np.broadcast_to(np.linspace(0, 1, width), (height, width))
    return tint(Image.new("L", (width, height), 128), heat, Scale(0.0, 1.0))
