"""A decoded picture of a film as people see it: in its colours, with square pixels, the right way up."""

from typing import Any

import numpy as np
from PIL import Image
from PIL.Image import Transpose

from ves.media.film_events import BadFilm

UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
HD_LINES = 720  # from here on, players take an unstated colour matrix for BT.709, below for BT.601
NEARLY_SQUARE = 0.01  # such a pixel aspect is a rounded 1
TURNS = {  # signs of a, b, c, d in the display matrix [a b; c d], which takes stored to shown places
    (1, 0, 0, 1): None,
    (-1, 0, 0, 1): Transpose.FLIP_LEFT_RIGHT,
    (-1, 0, 0, -1): Transpose.ROTATE_180,
    (1, 0, 0, -1): Transpose.FLIP_TOP_BOTTOM,
    (0, 1, 1, 0): Transpose.TRANSPOSE,
    (0, 1, -1, 0): Transpose.ROTATE_270,
    (0, -1, -1, 0): Transpose.TRANSVERSE,
    (0, -1, 1, 0): Transpose.ROTATE_90,
}


def to_picture(frame: Any, pixel_aspect: float, side: int | None) -> Image.Image:
    """An av.VideoFrame as RGB, its longer side at most `side` pixels. A stored pixel is `pixel_aspect` times as wide as
    it is high. Raises BadFilm `rotation` for a display matrix that turns by no multiple of 90 degrees."""
    matrix = 1 if frame.height >= HD_LINES else 5  # ITU709, ITU601
    colours = {"src_colorspace": matrix} if frame.colorspace == UNSPECIFIED else {}
    picture = Image.fromarray(frame.reformat(format="rgb24", threads=1, **colours).to_ndarray())
    width, height = float(frame.width), float(frame.height)
    if pixel_aspect > 1 + NEARLY_SQUARE:
        width *= pixel_aspect
    elif pixel_aspect < 1 - NEARLY_SQUARE:
        height /= pixel_aspect
    scale = 1.0 if side is None else min(1.0, side / max(width, height))
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    turn = _turn(frame)
    return picture if turn is None else picture.transpose(turn)


def _turn(frame: Any) -> Transpose | None:
    """What brings a frame upright, by its display matrix (9 numbers of 32 bits; the third of each row is not used)."""
    from av.sidedata.sidedata import Type

    if (side_data := frame.side_data.get(Type.DISPLAYMATRIX)) is None:
        return None
    a, b, _, c, d, *_ = np.frombuffer(bytes(side_data), np.int32).astype(np.int64).tolist()
    least = max(map(abs, (a, b, c, d))) / 100
    signs = [0 if abs(number) <= least else (1 if number > 0 else -1) for number in (a, b, c, d)]
    if (known := (signs[0], signs[1], signs[2], signs[3])) not in TURNS:
        raise BadFilm(
            "rotation", f"it is shown turned by a matrix {(a, b, c, d)}; only multiples of 90 degrees are read"
        )
    return TURNS[known]
