"""Groups of near-duplicate hashes against comparing every pair."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ves.corpus import near_duplicates
from ves.corpus.near_duplicates import groups


def _slow(hashes: list[int], bits: int) -> list[int]:
    """Flood fill from each hash over all others."""
    group = [-1] * len(hashes)
    for seed in range(len(hashes)):
        reached = [seed] if group[seed] < 0 else []
        while reached:
            here = reached.pop()
            group[here] = seed
            reached += [i for i, h in enumerate(hashes) if group[i] < 0 and (h ^ hashes[here]).bit_count() <= bits]
    return group


def test_by_eye():
    hashes = np.array([0b0000, 0b0011, 0b111 << 40, 0b1111, (0b111 << 40) | 1, 0b0000], np.uint64)
    assert groups(hashes, 0).tolist() == [0, 1, 2, 3, 4, 0]
    assert groups(hashes, 1).tolist() == [0, 1, 2, 3, 2, 0]
    assert groups(hashes, 2).tolist() == [0, 0, 2, 0, 2, 0]  # 0000 and 1111 are linked through 0011


flips = st.lists(st.integers(0, 63), max_size=9)


@settings(max_examples=60, deadline=None)
@given(
    bits=st.integers(0, 9), seed=st.integers(0, 99), chains=st.lists(st.tuples(st.integers(0, 5), flips), max_size=25)
)
def test_equals_comparing_every_pair(bits: int, seed: int, chains: list[tuple[int, list[int]]]):
    base = np.random.default_rng(seed).integers(0, 1 << 63, 6).tolist()
    hashes = list(base)
    for start, positions in chains:  # each a few flips from an earlier one
        hashes.append(hashes[start * (len(hashes) - 1) // 5] ^ sum(1 << p for p in set(positions)))
    assert groups(np.array(hashes, np.uint64), bits).tolist() == _slow(hashes, bits)


@pytest.mark.parametrize("bits", [3, 7])
def test_many_that_share_a_band_are_compared_in_blocks(bits: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(near_duplicates, "CANDIDATES", 100)
    hashes = np.random.default_rng(1).integers(0, 1 << 16, 300).astype(np.uint64)  # three bands are 0 in all
    assert groups(hashes, bits).tolist() == _slow(hashes.tolist(), bits)


def test_nothing_and_one():
    assert groups(np.array([], np.uint64), 3).tolist() == []
    assert groups(np.array([7], np.uint64), 16).tolist() == [0]
