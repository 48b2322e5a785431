"""The pointing game: is the hottest patch of a spoken noun on the object that it names?

A hit is strict: the pixel of the original picture under the centre of the hottest patch belongs to that object's mask
(pixels of a thing in front of it do not). `overlaps` is the lenient variant: the patch touches any pixel of the mask.

Dimension key
    P image patches    H, W pixels of a picture
"""

import numpy as np
from jaxtyping import Bool, Float


def hottest(heat: Float[np.ndarray, "P"], shown: Bool[np.ndarray, "P"]) -> int:
    """The hottest patch among those that show some of the picture; of several, the one of lowest index.

    Raises ValueError for a heat that is not finite, or when no patch shows anything.
    """
    if not np.isfinite(heat).all() or not shown.any():
        finite, visible = np.isfinite(heat).sum(), shown.sum()
        raise ValueError(
            f"no hottest patch: of {len(heat)}, {finite} have a finite heat and {visible} show the picture"
        )
    return int(np.where(shown, heat, -np.inf).argmax())


def centres_inside(boxes: Float[np.ndarray, "P 4"], mask: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "P"]:
    """Whether the pixel under the centre of each patch belongs to the mask; a centre outside the picture does not."""
    x = np.floor((boxes[:, 0] + boxes[:, 2]) / 2).astype(int)
    y = np.floor((boxes[:, 1] + boxes[:, 3]) / 2).astype(int)
    height, width = mask.shape
    within = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return within & mask[y.clip(0, height - 1), x.clip(0, width - 1)]


def overlaps(box: Float[np.ndarray, "4"], mask: Bool[np.ndarray, "H W"]) -> bool:
    """Whether a patch touches any pixel of the mask, however little of that pixel it covers."""
    left, top = np.floor(box[:2]).clip(0).astype(int)
    right, bottom = np.ceil(box[2:]).clip(0).astype(int)
    return bool(mask[top:bottom, left:right].any())


def central(boxes: Float[np.ndarray, "P 4"], width: int, height: int) -> Bool[np.ndarray, "P"]:
    """The patch whose centre is nearest to the picture's, in units of patches; in an even grid, all that tie."""
    offset = (boxes[:, :2] + boxes[:, 2:]) / 2 - np.array([width, height]) / 2
    distance = np.linalg.norm(offset / (boxes[:, 2:] - boxes[:, :2]), axis=1)
    return np.isclose(distance, distance.min(), atol=1e-6)
