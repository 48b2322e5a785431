"""Ids as numbers: there and back, in the same order."""

import hashlib

import polars as pl

from ves.base import ids

TEXTS = [hashlib.sha256(str(i).encode()).hexdigest()[:32] for i in range(2_000)] + ["0" * 32, "f" * 32, "0" * 31 + "1"]


def test_there_and_back_in_the_same_order():
    frame = pl.DataFrame({"id": TEXTS})
    numbers = frame.select(ids.number("id"))
    assert numbers["id"].to_list() == [int(text, 16) for text in TEXTS]
    assert numbers.select(ids.text("id"))["id"].to_list() == TEXTS
    assert numbers.sort("id").lazy().select(ids.text("id")).collect(engine="streaming")["id"].to_list() == sorted(TEXTS)


def test_the_head_is_the_first_half():
    numbers = pl.DataFrame({"id": TEXTS}).select(ids.number("id"))["id"]
    assert ids.heads(numbers).tolist() == [int(text[:16], 16) for text in TEXTS]


def test_nothing_and_null():
    empty = pl.DataFrame({"id": []}, schema={"id": pl.String}).select(ids.number("id"))
    assert empty.select(ids.text("id"))["id"].to_list() == []
    assert ids.heads(empty["id"]).tolist() == []
    assert pl.DataFrame({"id": [None]}, schema={"id": pl.String}).select(ids.number("id"))["id"].to_list() == [None]
