"""Random numbers of Spoken Scenes: one independent stream per (seed, purpose, index).

A stream depends on nothing that was drawn before it, so any picture or clip can be made alone, in any order, in any
process, and comes out the same.
"""

import zlib

import numpy as np


def generator(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """The stream for one purpose ("scene", "voice", ...) and one index (picture, clip, speaker).

    Their number goes in as well: numpy seeds [1, 2] and [1, 2, 0] alike.
    """
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), len(index), *index])
