"""The square in which localisation is measured: heat and truth of one picture on the same 224 x 224 pixels.

Both published protocols are measured there. DenseAV (@2221b8c, eval_utils.py) brings a patch heatmap to the size of the
mask by bilinear interpolation (torch, align_corners=False) and the mask to the model's input of 224 by nearest
neighbour; "Localizing Visual Sounds the Hard Way" (@8fe8cbb, test.py) resizes the heatmap to 224 x 224 by cv2's
INTER_LINEAR, which is the same interpolation, and draws boxes there. So every picture weighs the same, whatever its
size. The square is the one that the model saw: of a cropped picture what was cut away does not count, and the black
bars of a padded one are no pixels of it.

Dimension key
    P patches, row by row    S pixels of the square that show the picture, row by row    H, W pixels of the picture
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Float32

from ves.media.geometry import Geometry, linear_weights

SIDE = 224  # pixels of the square


@dataclass(frozen=True)
class Square:
    """One picture, seen through its geometry, and the patches [rows, columns] of the model."""

    geometry: Geometry
    rows: int
    columns: int

    @cached_property
    def _centres(self) -> Float[np.ndarray, " 224"]:
        """Centres of the square's pixels, in pixels of the square that the model saw."""
        return (np.arange(SIDE) + 0.5) * self.geometry.size / SIDE

    @cached_property
    def _seen(self) -> tuple[Bool[np.ndarray, " 224"], Bool[np.ndarray, " 224"]]:
        """Rows and columns of the square that show some of the picture."""
        y, x = self.geometry.y, self.geometry.x
        return y.seen(y.to_picture(self._centres)), x.seen(x.to_picture(self._centres))

    @cached_property
    def _weights(self) -> tuple[Float[np.ndarray, "R rows"], Float[np.ndarray, "C columns"]]:
        """Bilinear interpolation between patch centres, for the rows and the columns seen; padding gives nothing."""
        axes = (self.geometry.y, self.geometry.x)
        down, across = (
            linear_weights((np.arange(SIDE)[seen] + 0.5) * count / SIDE, axis.shown(count))
            for axis, seen, count in zip(axes, self._seen, (self.rows, self.columns), strict=True)
        )
        return down, across

    @cached_property
    def _within(self) -> tuple[Float32[np.ndarray, "R rows"], Float32[np.ndarray, "C columns"]]:
        """1 where the centre of a row, or column, of the pixels seen lies in one of the patches, else 0."""
        row, column = (
            ((2 * np.arange(SIDE)[seen, None] + 1) * count // (2 * SIDE) == np.arange(count)).astype(np.float32)
            for seen, count in zip(self._seen, (self.rows, self.columns), strict=True)
        )
        return row, column

    def lay(self, heat: Float[np.ndarray, " P"]) -> Float[np.ndarray, " S"]:
        """A heatmap of the patches, bilinear on the pixels. Patches of padding have no part in it, whatever they hold.

        In float32: ties of the patches stay ties, and no metric depends on the bits beyond.
        """
        down, across = self._weights
        shown = self.geometry.patch_mask(self.rows, self.columns)
        grid = np.where(shown, heat, 0.0).reshape(self.rows, self.columns)
        return (down @ grid @ across.T).astype(np.float32).ravel()

    def mask(self, mask: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, " S"]:
        """Pixels of an object: each pixel of the square has what its centre shows (nearest neighbour)."""
        y, x = (
            np.floor(axis.to_picture(self._centres)[seen]).astype(int).clip(0, axis.pixels - 1)
            for axis, seen in zip((self.geometry.y, self.geometry.x), self._seen, strict=True)
        )
        return mask[y][:, x].ravel()

    def box(self, mask: Bool[np.ndarray, " S"]) -> Bool[np.ndarray, " S"]:
        """The smallest box, sides parallel to the square's, around what `mask` says is there; of nothing, nothing."""
        y, x = self._seen
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
        """The blind heat that falls with the distance from the centre of the square: its top half is the centre disc.

        Squared and in whole numbers: pixels at one distance are equal.
        """
        offset = 2 * np.arange(SIDE) + 1 - SIDE
        y, x = (offset[seen] ** 2 for seen in self._seen)
        return -(y[:, None] + x).astype(np.float32).ravel()
