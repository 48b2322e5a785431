"""Chances that do not depend on order."""

import hashlib

import numpy as np
import polars as pl

from ves.base.hashing import chance_of_hashes, chance_of_names, chance_of_rows
from ves.base.ids import number

TEXTS = pl.Series("id", [hashlib.sha256(str(i).encode()).hexdigest()[:32] for i in range(4_000)])
IDS = TEXTS.to_frame().select(number("id")).to_series()


def test_chances_are_uniform_and_of_the_id_alone():
    for chance, ids in ((chance_of_hashes, IDS), (chance_of_names, TEXTS.str.head(9))):
        values = chance(ids, 7, "clip")
        assert 0 < values.min() < 0.01
        assert 0.99 < values.max() < 1
        assert abs(values.mean() - 0.5) < 0.02
        np.testing.assert_array_equal(chance(ids[::-1], 7, "clip"), values[::-1])
        for other in (chance(ids, 8, "clip"), chance(ids, 7, "image")):
            assert abs(np.corrcoef(values, other)[0, 1]) < 0.05
            assert (values != other).all()


def test_ids_that_differ_in_one_bit_have_unrelated_chances():
    ids = pl.DataFrame({"id": [f"{i:016x}{0:016x}" for i in range(4_000)]}).select(number("id"))
    values = chance_of_hashes(ids["id"], 0, "clip")
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.05
    assert abs(values.mean() - 0.5) < 0.02


def test_chances_of_rows_are_those_of_a_generator_for_each_file() -> None:
    """SplitMix64 in whole numbers, begun by the file's name; any order and any other files give the same."""
    names, file, row = ["b", "a"], np.array([0, 1, 1, 0], np.uint32), np.array([0, 5, 2**31, 7], np.uint32)
    found = chance_of_rows(names, file, row, 3, "p")
    for place, at, chance in zip(file.tolist(), row.tolist(), found.tolist(), strict=True):
        key = hashlib.blake2b(f"3:p:{names[place]}".encode(), digest_size=8).digest()
        bits = (int.from_bytes(key, "little") + (at + 1) * 0x9E3779B97F4A7C15) % 2**64
        bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        bits = (bits ^ bits >> 27) * 0x94D049BB133111EB % 2**64
        assert chance == (((bits ^ bits >> 31) >> 11) + 0.5) / 2**53
    alone = chance_of_rows(["a"], np.array([0], np.uint32), np.array([5], np.uint32), 3, "p")
    assert alone.tolist() == found[1:2].tolist()
