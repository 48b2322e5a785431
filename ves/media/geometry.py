"""The square that the vision backbone sees, where a picture lies in it, and the way from patches back to the picture.

Coordinates are pixels, x to the right and y down, with the origin at the picture's upper left corner; the centre of the
first pixel is (0.5, 0.5). Patches are numbered row by row: patch = row * columns + column. The two axes do not mix, so
everything is said once, along one axis.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from PIL import Image

FITS = ("stretch", "pad", "crop")
RESAMPLE = Image.Resampling.BICUBIC  # as in DINOv2's preprocessor; PIL low-passes when it makes a picture smaller


@dataclass(frozen=True)
class _Axis:
    """Along one axis: the picture's interval [start, stop) fills the square's pixels [first, last)."""

    pixels: int
    start: float
    stop: float
    size: int
    first: int
    last: int

    def to_picture(self, at: np.ndarray) -> np.ndarray:
        """Places in the picture from places in the square (those in the padding come out outside of the picture)."""
        return self.start + (at - self.first) * (self.stop - self.start) / (self.last - self.first)

    def to_square(self, at: np.ndarray) -> np.ndarray:
        """The inverse of to_picture."""
        return self.first + (at - self.start) * (self.last - self.first) / (self.stop - self.start)

    def edges(self, count: int) -> np.ndarray:
        """float [count + 1]: where the patches begin and end in the square, in pixels."""
        return np.arange(count + 1) * self.size / count

    def mask(self, count: int) -> np.ndarray:
        """bool [count]: patches that show some of the picture, not only padding."""
        edges = self.edges(count)
        return (edges[1:] > self.first) & (edges[:-1] < self.last)

    def shows(self, at: np.ndarray) -> np.ndarray:
        """Which places of the picture are in the square (`crop` leaves some out)."""
        return (self.start <= at) & (at < self.stop)

    def patch_of(self, at: np.ndarray, count: int) -> np.ndarray:
        """For each place of the picture that the square shows: the patch that shows it."""
        place = np.floor(self.to_square(at) * count / self.size).astype(int)
        within = np.flatnonzero(self.mask(count))
        return np.clip(place, within[0], within[-1])

    def weights(self, count: int) -> np.ndarray:
        """float [pixels, count]: how much each patch counts at pixel centres, linear in between; 0 for padding."""
        return _weights(self, count)

    def nearest(self, at: float) -> int:
        """Of the pixels that the square shows, the one whose centre is nearest to `at`."""
        centres = np.arange(self.pixels) + 0.5
        return int(np.where(self.shows(centres), np.abs(centres - at), np.inf).argmin())


@lru_cache(maxsize=16)  # films lay hundreds of heatmaps over one picture
def _weights(axis: _Axis, count: int) -> np.ndarray:
    centres = axis.to_square(np.arange(axis.pixels) + 0.5) * count / axis.size
    weights = linear_weights(centres, axis.mask(count))
    weights.flags.writeable = False
    return weights


def linear_weights(at: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """float [len(at), patches]: linear interpolation between the centres of the patches that show some of the picture.

    `at` counts in patches from the edge of the square (the first patch has its centre at 0.5); beyond the outermost
    centres the value is that of the outermost patch. `mask` is bool [patches]; patches outside of it have no weight.
    """
    within = np.flatnonzero(mask)
    place = np.clip(at - 0.5, within[0], within[-1])
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(len(mask))))


@dataclass(frozen=True)
class Geometry:
    """How a picture of width x height pixels lies in the square of `size`, and back.

    stretch: the picture is resized to the square and loses its aspect ratio. pad: the longer side fits, with black bars
    beside the shorter one. crop: the shorter side fits, and of the longer one the middle stays. Raises ValueError for
    another fit.
    """

    width: int
    height: int
    size: int
    fit: str

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise ValueError(f"fit: {self.fit!r} is not one of {', '.join(FITS)}")

    def _axis(self, pixels: int, other: int) -> _Axis:
        if self.fit == "crop":
            start = max(pixels - other, 0) / 2
            return _Axis(pixels, start, pixels - start, self.size, 0, self.size)
        if self.fit == "pad":
            filled = max(1, round(pixels * self.size / max(pixels, other)))
            first = (self.size - filled) // 2
            return _Axis(pixels, 0.0, float(pixels), self.size, first, first + filled)
        return _Axis(pixels, 0.0, float(pixels), self.size, 0, self.size)

    @cached_property
    def x(self) -> _Axis:
        return self._axis(self.width, self.height)

    @cached_property
    def y(self) -> _Axis:
        return self._axis(self.height, self.width)

    def square(self, picture: Image.Image) -> Image.Image:
        """The picture as the backbone sees it, size x size. Raises ValueError if it is not width x height."""
        if picture.size != (self.width, self.height):
            raise ValueError(f"a picture of {picture.size} pixels, but the geometry is of {(self.width, self.height)}")
        x, y = self.x, self.y
        inner = (x.last - x.first, y.last - y.first)
        small = picture.resize(inner, RESAMPLE, box=(x.start, y.start, x.stop, y.stop))
        canvas = Image.new("RGB", (self.size, self.size))
        canvas.paste(small, (x.first, y.first))
        return canvas

    def patch_boxes(self, rows: int, cols: int) -> np.ndarray:
        """float [P, 4]: x0, y0, x1, y1 of each patch in pixels of the picture; those of padding lie outside of it."""
        x, y = self.x.to_picture(self.x.edges(cols)), self.y.to_picture(self.y.edges(rows))
        row, col = np.divmod(np.arange(rows * cols), cols)
        return np.stack([x[col], y[row], x[col + 1], y[row + 1]], axis=1)

    def patch_mask(self, rows: int, cols: int) -> np.ndarray:
        """bool [P]: patches that show some of the picture; all of them, unless fit is `pad`."""
        return np.outer(self.y.mask(rows), self.x.mask(cols)).ravel()

    def patch_of(self, x: float | int, y: float | int, rows: int, cols: int) -> int | None:
        """The patch that shows the point (x, y) of the picture; None where the square does not show it."""
        at_x, at_y = np.array([x]), np.array([y])
        if not (self.x.shows(at_x) & self.y.shows(at_y)).all():
            return None
        return int((self.y.patch_of(at_y, rows) * cols + self.x.patch_of(at_x, cols))[0])

    def _crop_to_nan(self, overlay: np.ndarray) -> np.ndarray:
        y, x = (axis.shows(np.arange(axis.pixels) + 0.5) for axis in (self.y, self.x))
        return overlay if y.all() and x.all() else np.where(np.outer(y, x), overlay, np.nan)

    def patches_to_picture(self, values: np.ndarray) -> np.ndarray:
        """float [height, width]: each pixel has the value of the patch (values: [rows, cols]) that its centre lies in;
        NaN where the square does not show it."""
        y, x = (
            axis.patch_of(np.arange(axis.pixels) + 0.5, count)
            for axis, count in zip((self.y, self.x), values.shape, strict=True)
        )
        return self._crop_to_nan(values[np.ix_(y, x)])

    def on_picture(self, heat: np.ndarray) -> np.ndarray:
        """float [height, width]: a heatmap [rows, cols] over the whole picture, bilinear between patch centres.

        NaN where the square does not show the picture; patches of padding do not count. The pixel nearest to the centre
        of the greatest patch gets its full value, since at pixel centres alone a lesser patch could win.
        """
        rows, cols = heat.shape
        scores = np.where(self.patch_mask(rows, cols).reshape(rows, cols), heat, -np.inf)
        overlay = self.y.weights(rows) @ np.where(np.isneginf(scores), 0.0, scores) @ self.x.weights(cols).T
        x0, y0, x1, y1 = self.patch_boxes(rows, cols)[best := scores.argmax()]
        overlay[self.y.nearest((y0 + y1) / 2), self.x.nearest((x0 + x1) / 2)] = heat.flat[best]
        return self._crop_to_nan(overlay)
