"""Spotlight: the one way in which heat is drawn over its picture, in figures, films and pages.

The picture keeps its colours and is dimmed where its patches are at or below the median of the heatmap; above it the
light returns, smoothly, and a thin warm rim runs about the strongest region. So the eye goes to what is most alike, and
what is least alike is no more than dim. Light is what differs, not hue: it is the same for the colour-blind and in
print.

How much is dimmed follows from how far the heatmap rises above its median, compared with the greatest rise of all that
share its Scale: a model that is weaker than its neighbour dims less. A flat heatmap dims nothing and lights nothing.

ves/report/explorer/page/spotlight.js is the same for a browser, with the numbers of CONSTANTS;
tests/report/explorer/test_page.py compares the two.

Dimension key
    H, W pixels of the panel    P patches that show some of the picture
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from ves.media.geometry import Geometry
from ves.report.drawing import lettering
from ves.report.drawing.overlay import Scale

VEIL, DARKEST = (16, 18, 24), 0.74  # what dims, and how opaque it is where nothing is lit
RIM = (255, 176, 0)  # far from the blue of an object's outline for every kind of colour vision
REGION = 0.5  # the strongest region begins here, from the median (0) to the maximum (1)
LIT = 0.8  # there is full light from here on
FLAT = 0.05  # a heatmap that rises by less than this share of the greatest rise is flat
LEAST = 0.05  # cosine: a rise that is none, however small the others are
UNSEEN, MIST = (64, 64, 70), 0.8  # what lies over the parts of a picture that the model did not see
RIM_SHARE = 150  # the rim is as wide as the panel's longer side divided by this
CONSTANTS = {
    "veil": VEIL, "darkest": DARKEST, "rim": RIM, "region": REGION, "lit": LIT, "flat": FLAT, "least": LEAST,
}  # fmt: skip


@dataclass(frozen=True)
class Spotlight:
    """One heatmap: its median and maximum over the patches, and how strongly it is shown (0: flat, to 1)."""

    median: float
    top: float
    strength: float

    @property
    def flat(self) -> bool:
        return not self.strength > 0

    def level(self, heat: Float[np.ndarray, "H W"]) -> Float[np.ndarray, "H W"]:
        """0 at the median and below, 1 at the maximum."""
        return ((heat - self.median) / max(self.top - self.median, 1e-6)).clip(0, 1)

    def veil(self, heat: Float[np.ndarray, "H W"]) -> Float[np.ndarray, "H W"]:
        """The opacity of what dims the picture."""
        light = (self.level(heat) / LIT).clip(0, 1)
        return DARKEST * self.strength * (1 - light * light * (3 - 2 * light))

    def region(self, heat: Float[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
        """The strongest region: pixels joined (by their sides) to the hottest one that are nearer to the maximum than
        to the median. A flat heatmap has none, and pixels that the model did not see (NaN) are never in it."""
        known = np.isfinite(heat)
        if self.flat or not known.any():
            return np.zeros(heat.shape, bool)
        level = self.level(np.where(known, heat, self.median))
        parts, _ = ndimage.label(known & (level >= REGION))  # pyright: ignore[reportGeneralTypeIssues]
        return parts == parts.flat[np.where(known, heat, -np.inf).argmax()]

    def rim(self, heat: Float[np.ndarray, "H W"]) -> Float[np.ndarray, "H W"]:
        """The opacity of the line about the strongest region, soft on both sides."""
        reach = max(1, round(max(heat.shape) / RIM_SHARE))
        region = Image.fromarray(self.region(heat).astype(np.uint8) * 255)
        soft = region.filter(ImageFilter.BoxBlur(reach)).filter(ImageFilter.BoxBlur(reach))
        inside = np.asarray(soft, np.float32) / 255
        return 4 * inside * (1 - inside) * self.strength**0.5  # it leads the eye where the veil is thin


def spotlight(shown: Float[np.ndarray, "P"], scale: Scale) -> Spotlight:
    """That of a heatmap, from its values at the patches that show some of the picture. Without a value (NaN: a moment
    that does not count) it is flat."""
    if not np.isfinite(shown).all():
        return Spotlight(0.0, 0.0, 0.0)
    median, top = float(np.median(shown)), float(shown.max())
    share = (top - median) / max(scale.rise, LEAST)
    return Spotlight(median, top, float(np.sqrt(np.clip((share - FLAT) / (1 - FLAT), 0, 1))))


def of_patches(heat: Float[np.ndarray, "rows columns"], geometry: Geometry, scale: Scale) -> Spotlight:
    """That of a heatmap of all patches, padding included."""
    return spotlight(heat.ravel()[geometry.patch_mask(*heat.shape)], scale)


def _over(pixels: np.ndarray, colour: tuple[int, int, int], opacity: np.ndarray) -> np.ndarray:
    return pixels + (np.array(colour, np.float32) - pixels) * opacity[..., None].astype(np.float32)


def lit(picture: Image.Image, heat: Float[np.ndarray, "rows columns"], geometry: Geometry, scale: Scale) -> Image.Image:
    """The picture (of the size that the geometry is of) under the spotlight of a heatmap.

    A heatmap without values leaves it as it is; what the model did not see is misty.
    """
    spot, laid = of_patches(heat, geometry, scale), geometry.on_picture(heat).astype(np.float32)
    pixels = np.asarray(picture.convert("RGB"), np.float32)
    unseen = np.isnan(laid)
    if not spot.flat:
        pixels = _over(pixels, VEIL, spot.veil(np.where(unseen, spot.top, laid)))
        pixels = _over(pixels, RIM, np.where(unseen, 0, spot.rim(laid)))
    if unseen.any() and np.isfinite(heat).all():
        pixels = _over(pixels, UNSEEN, MIST * unseen)
    return Image.fromarray((pixels + np.float32(0.5)).astype(np.uint8))


def say_flat(panel: Image.Image) -> None:
    """Write into the lower left corner that nothing stands out here."""
    size = max(11, panel.height // 14)
    extent = lettering.measure("flat", size)
    tag = Image.new("RGB", (extent.width + size, round(1.5 * size)), "#ffffff")
    lettering.draw(tag, (size // 2, round(1.1 * size)), "flat", size, "#1b1b1f")
    panel.paste(tag, (size // 3, panel.height - tag.height - size // 3))


def light_bar(width: int, height: int) -> Image.Image:
    """How dim or lit white is, from the median to the maximum of a heatmap that is shown with full strength."""
    heat = np.broadcast_to(np.linspace(0, 1, width), (height, width))
    white = np.full((height, width, 3), 255, np.float32)
    bar = Image.fromarray(_over(white, VEIL, Spotlight(0.0, 1.0, 1.0).veil(heat)).round().astype(np.uint8))
    ImageDraw.Draw(bar).rectangle((0, 0, width - 1, height - 1), outline="#8b8b96")  # or its end is paper
    return bar
