"""Near-duplicates, pictures that look the same: groups of perceptual hashes that differ in a few bits.

All pairs within a distance are found without comparing every pair. If two hashes differ in at most k bits, at least one
of their four bands of 16 bits differs in at most k // 4. So each band is looked up in the sorted list of that band,
once for every pattern of up to k // 4 flipped bits, and only the matches are compared in full.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from jaxtyping import Int64, UInt64

BANDS, BAND_BITS = 4, 16
CANDIDATES = 4_000_000  # pairs compared at a time, which bounds the memory if many hashes share a band

Pairs = tuple[np.ndarray, np.ndarray]  # int64 [n] each: indices left < right


def groups(hashes: UInt64[np.ndarray, " n"], bits: int) -> Int64[np.ndarray, " n"]:
    """For each hash, the index of the first hash of its group.

    Hashes that differ in at most `bits` bits are linked. A group is a connected component, so two of its hashes may
    differ in more bits.
    """
    distinct, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    order = np.argsort(first)  # distinct hashes in order of first appearance, so that a root is the first of its group
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    roots = _roots(len(order), list(_pairs(distinct[order], bits)))
    return first[order][roots[place[inverse]]]


def joined(group: Int64[np.ndarray, " n"], left: Int64[np.ndarray, " m"], right: Int64[np.ndarray, " m"]):
    """The groups (as `groups` returns them) once left[i] and right[i] are of one group, for each i."""
    return _roots(len(group), [(np.arange(len(group)), group), (left, right)])


def _pairs(hashes: UInt64[np.ndarray, " n"], bits: int) -> Iterator[Pairs]:
    """All pairs within the distance, in blocks; a pair may be in several blocks."""
    flips = [
        sum(1 << b for b in chosen) for n in range(bits // BANDS + 1) for chosen in combinations(range(BAND_BITS), n)
    ]
    for band in range(BANDS):
        values = (hashes >> np.uint64(band * BAND_BITS)).astype(np.int64) & ((1 << BAND_BITS) - 1)
        order = np.argsort(values, kind="stable")
        begin = np.searchsorted(values[order], np.arange((1 << BAND_BITS) + 1))  # of each value in `order`
        for flip in flips:
            partner = values ^ flip
            for left, position in _blocks(begin[partner], begin[partner + 1] - begin[partner]):
                right = order[position]
                near = (left < right) & (np.bitwise_count(hashes[left] ^ hashes[right]) <= bits)
                if near.any():
                    yield left[near], right[near]


def _blocks(begin: Int64[np.ndarray, " n"], count: Int64[np.ndarray, " n"]) -> Iterator[Pairs]:
    """Each i with each of begin[i] ... begin[i] + count[i] - 1, about CANDIDATES at a time."""
    end = np.cumsum(count)
    cuts = np.searchsorted(end, np.arange(0, max(count.sum(), 1), CANDIDATES), side="right")
    for low, high in zip(cuts, [*cuts[1:], len(end)], strict=True):
        n = count[low:high]
        left = np.repeat(np.arange(low, high), n)
        yield left, np.arange(len(left)) - np.repeat(np.cumsum(n) - n, n) + begin[left]


def _roots(n: int, blocks: list[Pairs]) -> Int64[np.ndarray, " n"]:
    """The least member of the connected component of each of n nodes."""
    parent = np.arange(n)
    left, right = (np.concatenate([np.empty(0, np.int64), *(block[side] for block in blocks)]) for side in (0, 1))
    while (parent[left] != parent[right]).any():
        low, high = np.minimum(parent[left], parent[right]), np.maximum(parent[left], parent[right])
        np.minimum.at(parent, high, low)
        while (parent[parent] != parent).any():
            parent = parent[parent]
    return parent
