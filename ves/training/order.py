"""The order in which training reads its clips: a seeded permutation for each epoch, computed place by place.

Nothing is shuffled or stored: the clip at a place is a formula of (seed, epoch, place). So 24 M clips need no array of
24 M numbers, and a run that resumes at any step has its clips at once. The formula is a Feistel network
over the smallest even number of bits that holds the clips (a bijection whatever its round function; Luby and Rackoff
1988); places that it sends beyond the last clip go through it again (cycle walking; Black and Rogaway 2002).
"""

import numpy as np
from jaxtyping import Int64, UInt64

from ves.base.hashing import splitmix64

ROUNDS = 6
LEAST_BITS = 2  # in each half: a network of single bits has few permutations


class Order:
    """The endless sequence of epochs over `clips` clips."""

    def __init__(self, clips: int, seed: int) -> None:
        self.clips, self.seed = clips, seed
        self.half = np.uint64(max(LEAST_BITS, ((clips - 1).bit_length() + 1) // 2))

    def take(self, start: int, count: int) -> Int64[np.ndarray, " count"]:
        """Clip indices at places start .. start + count of the sequence."""
        places = np.arange(start, start + count)
        epochs, places = places // self.clips, (places % self.clips).astype(np.uint64)
        clips = np.empty(count, np.int64)
        for epoch in np.unique(epochs).tolist():
            here = epochs == epoch
            clips[here] = self._permuted(places[here], self._keys(epoch))
        return clips

    def _keys(self, epoch: int) -> UInt64[np.ndarray, " rounds"]:
        return np.random.SeedSequence([self.seed, epoch]).generate_state(ROUNDS, np.uint64)

    def _permuted(self, places: UInt64[np.ndarray, " n"], keys: UInt64[np.ndarray, " rounds"]) -> np.ndarray:
        """The clip at each place: what the network gives, applied again while that is beyond the last clip.

        At most three quarters of a large domain are.
        """
        places = self._network(places, keys)
        while (beyond := places >= self.clips).any():
            places[beyond] = self._network(places[beyond], keys)
        return places.astype(np.int64)

    def _network(self, places: UInt64[np.ndarray, " n"], keys: UInt64[np.ndarray, " rounds"]) -> np.ndarray:
        mask = (np.uint64(1) << self.half) - np.uint64(1)
        left, right = places >> self.half, places & mask
        for key in keys:
            left, right = right, left ^ (splitmix64(right ^ key) & mask)
        return (left << self.half) | right
