"""Chances by hash: each depends on what is hashed, never on the order of the rows."""

import hashlib

import numpy as np
import polars as pl
from jaxtyping import Float64, UInt32, UInt64

from ves.base import ids


def _salt(seed: int, purpose: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}:{purpose}".encode(), digest_size=8).digest(), "little")


def _unit(bits: UInt64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """The upper 53 bits as a number in (0, 1)."""
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def splitmix64(bits: UInt64[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    """The finaliser of SplitMix64 (Steele et al. 2014)."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def chance_of_hashes(hashes: pl.Series, seed: int, purpose: str) -> Float64[np.ndarray, " n"]:
    """A number in (0, 1) for each id (a hash, as in ves.base.ids), different for every seed and purpose.

    It is SplitMix64's finaliser of the first half of the hash; 24 M ids take about a second.
    """
    return _unit(splitmix64(ids.heads(hashes) ^ np.uint64(_salt(seed, purpose))))


def chance_of_rows(
    names: list[str], file: UInt32[np.ndarray, " n"], row: UInt32[np.ndarray, " n"], seed: int, purpose: str
) -> Float64[np.ndarray, " n"]:
    """The same for rows of files: `file` is the place in `names` of the file that each `row` is in.

    Each file has its own SplitMix64 generator, which its name seeds; row n takes the generator's n-th number.
    """
    seeds = np.array([_salt(seed, f"{purpose}:{name}") for name in names], np.uint64)
    return _unit(splitmix64(seeds[file] + (row.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)))


def chance_of_names(names: pl.Series, seed: int, purpose: str) -> Float64[np.ndarray, " n"]:
    """The same for any texts; for few of them (a microsecond each)."""
    salt = _salt(seed, purpose).to_bytes(8, "little")
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8, key=salt).digest() for name in names)
    return _unit(np.frombuffer(digests, "<u8"))
