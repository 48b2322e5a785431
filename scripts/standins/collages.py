"""Collages that the vision stand-in learns from, of cut-outs that the corpus does not have.

Things differ in size, tilt, side, light and hue and hide each other, before textures of `standins.pictures`.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat

import numpy as np
from PIL import Image, ImageFilter

from standins.pictures import texture, thing_picture
from ves.sources.scenes.drawing import turned_hue

SHAPES = 0.15  # share of the things that are a random shape instead
HUE = 0.35  # share of the things whose colours are turned by any angle


def _varied(rng: np.random.Generator, picture: Image.Image, side: float) -> Image.Image:
    """The cut-out [RGBA] at this length of its longer side, mirrored, tilted, in another light, some in another hue."""
    if rng.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    scale = side / max(picture.size)
    small = picture.resize([max(2, round(length * scale)) for length in picture.size], Image.Resampling.BICUBIC)
    pixels = np.array(small.rotate(float(rng.uniform(-25, 25)), Image.Resampling.BILINEAR, expand=True))
    turn = turned_hue(rng.uniform(-np.pi, np.pi) if rng.random() < HUE else rng.normal(0, 0.08))
    light = rng.uniform(0.7, 1.15) * (1 + rng.normal(0, 0.04, 3))
    pixels[..., :3] = np.clip(pixels[..., :3] @ (turn * light), 0, 255)
    return Image.fromarray(pixels)


def collage(seed: int, number: int, pool: list[Image.Image], side: int) -> tuple[np.ndarray, np.ndarray]:
    """Picture `number`: RGB uint8 [side, side, 3], and uint16 [side, side], 1 + the index in `pool` of what is seen.

    Random shapes and the ground behind have 0.
    """
    rng = np.random.default_rng([seed, number])
    ground = texture(rng).resize((side, side), Image.Resampling.BICUBIC)
    canvas = ground.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 4))))
    owner = np.zeros((side, side), np.uint16)
    count = int(rng.integers(5, 11))
    for share in -np.sort(-rng.uniform(0.14, 0.5, count)):  # large things behind
        shape = rng.random() < SHAPES
        index = 0 if shape else int(rng.integers(len(pool)))
        patch = _varied(rng, thing_picture(rng) if shape else pool[index], share * side)
        left, top = (int(rng.uniform(-0.05, 1.05) * side - length / 2) for length in patch.size)
        canvas.paste(patch, (left, top), patch)
        alpha = np.zeros((side, side), bool)
        rows, columns = slice(max(top, 0), max(top + patch.height, 0)), slice(max(left, 0), max(left + patch.width, 0))
        opaque = np.asarray(patch.getchannel("A"))[max(-top, 0) :, max(-left, 0) :] > 127
        alpha[rows, columns] = opaque[: max(side - max(top, 0), 0), : max(side - max(left, 0), 0)]
        owner[alpha] = 0 if shape else index + 1
    pixels = np.asarray(canvas, np.float32) * rng.uniform(0.85, 1.1)
    pixels += rng.normal(0, rng.uniform(0.5, 6), (side, side, 1)).astype(np.float32)
    return np.clip(pixels, 0, 255).astype(np.uint8), owner


def collages(seed: int, numbers: range, pool: list[Image.Image], side: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures [n, side, side, 3] and owners [n, side, side] of these numbers, drawn by a process for each core."""
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), initializer=_keep, initargs=(pool,)) as processes:
        drawn = list(processes.map(_one, repeat(seed), numbers, repeat(side), chunksize=32))
    return np.stack([picture for picture, _ in drawn]), np.stack([owner for _, owner in drawn])


_pool: list[Image.Image] = []


def _keep(pool: list[Image.Image]) -> None:
    _pool[:] = pool


def _one(seed: int, number: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    return collage(seed, number, _pool, side)
