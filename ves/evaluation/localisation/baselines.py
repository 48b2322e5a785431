"""Heatmaps that know less than a model, or more: what the model's numbers of localisation are compared with.

`shuffled` is a word's own heat with its patches in random order: as sharp as the model's, and in no place (the files
call it `chance`). `mean_mask` is where the objects of all other pictures lie, the best guess without looking or
listening. `oracle` knows the object: the heat of a patch is the share of it that the object covers. It is a reference
for a model that finds the object, and no bound: many other heats on the same grid score a little more in AP, and in the
best IoU of most pictures. There are bounds elsewhere: `oracle` of the pointing game
(ves.evaluation.localisation.measure) and `ceiling` of VGG-SS (ves.evaluation.localisation.vggss).

Dimension key
    N nouns    P image patches
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int


def shuffle_order(shown: Bool[np.ndarray, "N P"], names: Sequence[str]) -> Int[np.ndarray, "N P"]:
    """For each noun its patches in a random order that depends on its name; those of padding stay where they are."""
    order = np.tile(np.arange(shown.shape[1]), (len(shown), 1))
    for row, name in enumerate(names):
        generator = np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))
        order[row, shown[row]] = generator.permutation(np.flatnonzero(shown[row]))
    return order


def mean_mask(coverage: Float[np.ndarray, "N P"], images: Int[np.ndarray, " N"]) -> Float[np.ndarray, "N P"]:
    """Mean coverage over the nouns of all other pictures; NaN where there is no other picture."""
    _, image = np.unique(images, return_inverse=True)
    count = np.bincount(image)
    total = np.stack([np.bincount(image, weights=patch) for patch in coverage.T], axis=1)  # per picture
    others = len(images) - count
    with np.errstate(invalid="ignore"):
        return ((coverage.sum(0) - total) / others[:, None])[image]


def oracle(coverage: Float[np.ndarray, "N P"], columns: int) -> Float[np.ndarray, "N P"]:
    """Coverage, and where patches are equal the nearer to the object's centre is the hotter.

    Without that, the patches that the object does not touch would all tie, and rules that keep a share of the pixels
    would have nothing to keep: more than any trained model can get of them.
    """
    row, column = np.divmod(np.arange(coverage.shape[1]), columns)
    weight = coverage / np.maximum(coverage.sum(1, keepdims=True), 1e-12)
    away = np.hypot(row - (weight @ row)[:, None], column - (weight @ column)[:, None])
    return coverage - 1e-3 * away / columns
