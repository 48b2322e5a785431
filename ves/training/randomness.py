"""Random numbers of training as a function of a key, so that a forward pass can be repeated with the same ones.

Dropout, layer drop and SpecAugment (ves.models.speech) use torch's default generators. For the time of a forward pass
these are seeded from a key, and afterwards they are as before. So random numbers do not depend on earlier ones, and the
key is all that is needed to get them again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def new_key() -> int:
    """A key for `rng_from_key`, from torch's default CPU generator, whose state is in every checkpoint."""
    return int(torch.randint(2**62, ()))


@contextmanager
def rng_from_key(device: torch.device, *key: int) -> Iterator[None]:
    """Inside, torch's random numbers on the CPU and on the device are a function of the key; outside nothing changes.

    A key is one or more numbers from 0. Two keys rarely (2**-32) give the same random numbers: torch's CPU generator
    takes 32 bits of a seed.
    """
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]) >> 1
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
