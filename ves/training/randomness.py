"""Randomness of training as a function of numbers, so that a forward pass can be done again with the same draws.

Dropout and layer drop draw from torch's default generators, and so does SpecAugment (ves.models.speech). Here
these are set from a key for as long as a forward pass lasts, and put back: what is drawn does not depend on what was
drawn before, and nothing need be saved to draw it once more, but the key.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def new_key() -> int:
    """A number for `drawn_from`, out of torch's default CPU generator (its state is in every checkpoint)."""
    return int(torch.randint(2**62, ()))


@contextmanager
def drawn_from(device: torch.device, *key: int) -> Iterator[None]:
    """All that torch draws inside, on the CPU and on the device, is a function of the key; outside nothing moves.

    Keys are numbers from 0. Two keys rarely (2**-32) draw the same: torch's CPU generator takes 32 bits of a seed.
    """
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]) >> 1
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
