"""The grid of 224 x 224 pixels on which localisation is measured: heat and truth of one picture on the same pixels.

Both published protocols use it. DenseAV (@2221b8c, eval_utils.py) brings a patch heatmap to the size of the
mask by bilinear interpolation (torch, align_corners=False) and the mask to the model's input of 224 by nearest
neighbour; "Localizing Visual Sounds the Hard Way" (@8fe8cbb, test.py) resizes the heatmap to 224 x 224 by cv2's
INTER_LINEAR, which is the same interpolation, and draws boxes there. So every picture weighs the same, whatever its
size. The grid covers the square that the model saw: what was cropped away does not count, and neither do the black bars
of a padded picture.

Dimension key
    P patches, row by row    S pixels of the grid that show the picture, row by row    H, W pixels of the picture
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Float32

from ves.media.geometry import Geometry, linear_weights

SIDE = 224  # pixels


@dataclass(frozen=True)
class PixelGrid:
    """The grid over one picture, by its geometry, and the patches [rows, columns] of the model."""

    geometry: Geometry
    rows: int
    columns: int

    @cached_property
    def _centres(self) -> Float[np.ndarray, " 224"]:
        """Centres of the grid's pixels, in pixels of the square that the model saw."""
        return (np.arange(SIDE) + 0.5) * self.geometry.size / SIDE

    @cached_property
    def _visible(self) -> tuple[Bool[np.ndarray, " 224"], Bool[np.ndarray, " 224"]]:
        """Rows and columns of the grid that show some of the picture."""
        y, x = self.geometry.y, self.geometry.x
        return y.shows(y.to_picture(self._centres)), x.shows(x.to_picture(self._centres))

    @cached_property
    def _weights(self) -> tuple[Float[np.ndarray, "R rows"], Float[np.ndarray, "C columns"]]:
        """Bilinear interpolation between patch centres, for the visible rows and columns; padding has no weight."""
        axes = (self.geometry.y, self.geometry.x)
        down, across = (
            linear_weights((np.arange(SIDE)[visible] + 0.5) * count / SIDE, axis.mask(count))
            for axis, visible, count in zip(axes, self._visible, (self.rows, self.columns), strict=True)
        )
        return down, across

    @cached_property
    def _within(self) -> tuple[Float32[np.ndarray, "R rows"], Float32[np.ndarray, "C columns"]]:
        """1 where the centre of a visible row, or column, of pixels lies in one of the patches, else 0."""
        row, column = (
            ((2 * np.arange(SIDE)[visible, None] + 1) * count // (2 * SIDE) == np.arange(count)).astype(np.float32)
            for visible, count in zip(self._visible, (self.rows, self.columns), strict=True)
        )
        return row, column

    def lay(self, heat: Float[np.ndarray, " P"]) -> Float[np.ndarray, " S"]:
        """A heatmap of the patches, interpolated bilinearly at the pixels; patches of padding count for nothing.

        In float32: ties between patches stay ties, and no metric depends on further bits.
        """
        down, across = self._weights
        shown = self.geometry.patch_mask(self.rows, self.columns)
        grid = np.where(shown, heat, 0.0).reshape(self.rows, self.columns)
        return (down @ grid @ across.T).astype(np.float32).ravel()

    def mask(self, mask: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, " S"]:
        """Pixels of an object: each pixel of the grid takes the value under its centre (nearest neighbour)."""
        y, x = (
            np.floor(axis.to_picture(self._centres)[visible]).astype(int).clip(0, axis.pixels - 1)
            for axis, visible in zip((self.geometry.y, self.geometry.x), self._visible, strict=True)
        )
        return mask[y][:, x].ravel()

    def box(self, mask: Bool[np.ndarray, " S"]) -> Bool[np.ndarray, " S"]:
        """The smallest box around the pixels of `mask`, its sides along the grid's; empty for an empty mask."""
        y, x = self._visible
        laid = mask.reshape(y.sum(), x.sum())
        down, across = np.flatnonzero(laid.any(1)), np.flatnonzero(laid.any(0))
        filled = np.zeros_like(laid)
        if len(down):
            filled[down[0] : down[-1] + 1, across[0] : across[-1] + 1] = True
        return filled.ravel()

    def coverage(self, mask: Bool[np.ndarray, " S"]) -> Float[np.ndarray, " P"]:
        """Share of each patch's pixels that the object covers; 0 for a patch that shows nothing."""
        down, across = self._within
        pixels = np.outer(down.sum(0), across.sum(0))
        covered = down.T @ mask.reshape(len(down), len(across)).astype(np.float32) @ across  # whole numbers: exact
        return (covered.astype(float) / np.maximum(pixels, 1)).ravel()

    def from_centre(self) -> Float[np.ndarray, " S"]:
        """A heat that ignores picture and speech and falls with the distance from the centre: its top half is a disc.

        The negative square of the distance, in whole numbers, so that pixels at one distance are equal.
        """
        offset = 2 * np.arange(SIDE) + 1 - SIDE
        y, x = (offset[visible] ** 2 for visible in self._visible)
        return -(y[:, None] + x).astype(np.float32).ravel()
