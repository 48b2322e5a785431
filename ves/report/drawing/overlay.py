"""What lies over a picture: the outline of an object, the mark of a patch, the exact values of a heatmap as colours.

Heat is drawn as a spotlight (ves.report.drawing.spotlight); colours are for who asks for values. The picture beneath
them is grey and of low contrast, so that every hue and nearly all brightness are heat. They are matplotlib's magma:
perceptually uniform, and ascending in lightness (for print and colour blindness). A value has the same colour in every
panel that shares a scale; no panel is stretched by itself.

Dimension key
    H, W pixels of the panel
"""

from collections.abc import Iterable
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from PIL import Image, ImageChops, ImageFilter

Box = tuple[int, int, int, int]  # x0, y0, x1, y1

HEAT = 0.64  # opacity of the heatmap
SOFT = (70, 185)  # the range of greys of the picture beneath it
OBJECT, MARK, HALO = "#41e6ff", "#ffffff", "#000000"
FINE = 3  # outlines are drawn at this many times the size
COLOURS = (np.asarray(mpl.colormaps["magma"](np.linspace(0, 1, 256)))[:, :3] * 255).round().astype(np.uint8)

LAID = (HEAT * COLOURS).astype(np.float32)  # what heat adds to the grey beneath it


@dataclass(frozen=True)
class Scale:
    """What panels that are compared have in common: the least and the greatest value, which are the ends of the
    colours, and the greatest rise of a heatmap above its own median, which is shown with the strongest contrast."""

    low: float
    high: float
    rise: float

    def places(self, values: np.ndarray) -> np.ndarray:
        """int [...]: the place of each value among COLOURS; values beyond an end are at it, NaN at the lower one."""
        place = (np.nan_to_num(values, nan=self.low) - self.low) / max(self.high - self.low, 1e-6)
        return (place.clip(0, 1) * 255).round().astype(np.intp)


def scale_of(heats: Iterable[Float[np.ndarray, "... P"]]) -> Scale:
    """That of all these heatmaps together, each a line of the values of its patches."""
    each = list(heats)
    rises = np.concatenate([(heat.max(-1) - np.median(heat, axis=-1)).ravel() for heat in each])
    together = np.concatenate([heat.ravel() for heat in each])
    return Scale(float(together.min()), float(together.max()), float(rises.max()))


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


def outline(panel: Image.Image, mask: Image.Image, colour: str | tuple[int, int, int] = OBJECT) -> None:
    """A thin line around an object (mask: mode L, of any size), with a dark halo that sets it off from any colour."""
    fine = mask.resize((FINE * panel.width, FINE * panel.height)).filter(ImageFilter.BoxBlur(1))
    shape = fine.point([0] * 128 + [255] * 128)
    line = _grown(shape, 4)
    for ink, outer, inner in ((HALO, _grown(line, 3), line), (colour, line, shape)):
        band = ImageChops.subtract(outer, inner).resize(panel.size, Image.Resampling.BOX)  # smooth at the panel's size
        panel.paste(ink, (0, 0), band)


def mark(panel: Image.Image, box: Float[np.ndarray, "4"]) -> None:
    """A dot on the centre of a patch (x0, y0, x1, y1), inside the panel: on that point the pointing game decides."""
    radius = max(2.5, max(panel.size) / 75)
    x, y = (
        min(max((box[axis] + box[axis + 2]) / 2, radius + 1), max(length - radius - 1, 0))
        for axis, length in enumerate(panel.size)
    )
    rows, columns = np.ogrid[: panel.height, : panel.width]
    distance = np.hypot(columns + 0.5 - x, rows + 0.5 - y)
    for ink, reach in ((HALO, radius + 1), (MARK, radius)):
        covered = (reach + 0.5 - distance).clip(0, 1)  # smooth at its edge
        panel.paste(ink, (0, 0), Image.fromarray((255 * covered).astype(np.uint8)))


def colour_bar(width: int, height: int) -> Image.Image:
    """The colours of a scale from low to high, as they look over the middle grey of a picture."""
    heat = np.broadcast_to(np.linspace(0, 1, width), (height, width))
    return tint(Image.new("L", (width, height), 128), heat, Scale(0.0, 1.0, 1.0))
