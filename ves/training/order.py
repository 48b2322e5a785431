"""The order in which training reads its clips: a seeded permutation for each epoch, computed place by place.

Nothing is shuffled: the clip at a place is a formula of (seed, epoch, place). So 24 M clips need no array of 24 M
numbers (clips of recordings do, to be found by recording), and a run that resumes at any step has its clips at once.
The formula is a Feistel network over the smallest even number of bits that holds the clips (a bijection whatever its
round function; Luby and Rackoff 1988); places that it sends beyond the last clip go through it again (cycle walking;
Black and Rogaway 2002).
"""

import numpy as np
from jaxtyping import Int64, UInt64

from ves.base.hashing import splitmix64

ROUNDS = 6
CIRCLE, SEGMENTS = 1, 2  # streams: numbers other than 0, which SeedSequence does not tell from no number
LEAST_BITS = 2  # in each half: a network of single bits has few permutations


class Order:
    """The endless sequence of epochs over `clips` clips. Another `stream` of the same seed is another sequence."""

    def __init__(self, clips: int, seed: int, stream: int | None = None) -> None:
        self.clips, self.key = clips, (seed, stream)
        self.half = np.uint64(max(LEAST_BITS, ((clips - 1).bit_length() + 1) // 2))

    def take(self, start: int, count: int) -> Int64[np.ndarray, " count"]:
        """Clip indices at places start .. start + count of the sequence."""
        return self.at(np.arange(start, start + count))

    def at(self, places: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """Clip indices at any places of the sequence."""
        epochs, places = places // self.clips, (places % self.clips).astype(np.uint64)
        clips = np.empty(len(places), np.int64)
        for epoch in np.unique(epochs).tolist():
            here = epochs == epoch
            clips[here] = self._permuted(places[here], self._keys(epoch))
        return clips

    def _keys(self, epoch: int) -> UInt64[np.ndarray, " rounds"]:
        seed, stream = self.key
        entropy = [seed, epoch] if stream is None else [seed, epoch, stream]
        return np.random.SeedSequence(entropy).generate_state(ROUNDS, np.uint64)

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


class RecordingOrder:
    """The endless sequence of passes over recordings, in batches of which none has two clips of one recording.

    In each pass every recording has one clip, and in as many passes as it has clips each clip once, in an order of its
    own. A pass has as many whole batches as it can, in an order of its own. Which recordings are left over goes round
    in a fixed circle: pass e leaves out the `rest` recordings at places e * rest, e * rest + 1, ... of the circle.
    As soon as these fill a batch, over one or more passes, it follows the pass that filled it. It is a stretch of the
    circle no longer than the circle, so its recordings differ. Nothing is lost, and a clip is late by batch_size / rest
    passes at most (rounded up).
    """

    def __init__(self, recording: Int64[np.ndarray, " clips"], batch_size: int, seed: int) -> None:
        """`recording` has a number for each clip, from 0 and without gaps.

        Raises ValueError if a batch needs more recordings than there are.
        """
        self.counts, self.batch_size = np.bincount(recording), batch_size
        self.recordings = len(self.counts)
        if batch_size > self.recordings:
            raise ValueError(
                f"train.batch_size: {batch_size} is more than the {self.recordings} recordings of the training clips, "
                "and no two clips of a batch may be of one recording; lower it"
            )
        self.rest = self.recordings % batch_size
        self.passes = Order(self.recordings - self.rest, seed)
        self.circle = Order(self.recordings, seed, CIRCLE)
        shuffled = Order(len(recording), seed, SEGMENTS).take(0, len(recording))
        self.clips = shuffled[np.argsort(recording[shuffled], kind="stable")]  # of recording 0, of recording 1, ...
        self.first = np.cumsum(self.counts) - self.counts

    def take(self, start: int, count: int) -> Int64[np.ndarray, " count"]:
        """Clip indices at places start .. start + count of the batches, one batch after the other."""
        batch, slot = np.divmod(np.arange(start, start + count), self.batch_size)
        turn = -(-(batch + 1) * self.batch_size // self.recordings) - 1  # the pass: the first that makes so many whole
        number = batch - turn * self.recordings // self.batch_size  # of the batch in its pass
        whole = number < self.recordings // self.batch_size
        place = number * self.batch_size + slot
        inner = self.passes.at(turn * self.passes.clips + np.where(whole, place, 0))
        filled = (turn + 1) * self.rest // self.batch_size - 1  # the number of the batch of leftovers
        on_circle = np.where(whole, (turn + 1) * self.rest + inner, filled * self.batch_size + slot)
        turn = np.where(whole, turn, on_circle // max(1, self.rest))  # leftovers are of the pass that left them
        recording = self.circle.at(on_circle % self.recordings)
        return self.clips[self.first[recording] + turn % self.counts[recording]]
