"""Compressed features: what our writer packs everyone unpacks; what is damaged or foreign is named, never read."""

import hashlib
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorstore
import torch
import zarr
from numcodecs.blosc import get_nthreads, set_nthreads

from tests.support.small_stores import IDS, ROWS, flip, small_shards, some_tokens, write_store
from ves.base.files import read_json, write_json
from ves.store import features_layout, shard_format
from ves.store.compression import CODECS, codec, packed, unpacker
from ves.store.features_layout import shard_path
from ves.store.features_reader import FeatureStore, open_features
from ves.store.features_writer import intact
from ves.store.rows import ShardRows
from ves.store.shard_format import HEADER, BadStore
from ves.store.verify import verify
from ves.store.verify.arrays import FOREIGN

TOKENS = some_tokens()
BIG = (torch.randn(6, 256, 384, generator=torch.Generator().manual_seed(0))).to(torch.bfloat16)


@pytest.fixture(params=CODECS)
def name(request) -> str:
    return request.param


@pytest.fixture
def store(tmp_path: Path, name: str):
    with small_shards():
        yield write_store(tmp_path / "f.zarr", TOKENS, compression=name)


def bits(tokens) -> np.ndarray:
    return np.asarray(tokens).view(np.int16)


def test_our_reader_reads_what_was_written(store: Path) -> None:
    for check in (True, False):
        opened = open_features(store, check=check)
        assert isinstance(opened._rows, ShardRows)  # not by zarr
        rows = [9, 0, 3, 4, 4, 7]
        assert torch.equal(opened.read(rows), TOKENS[rows])
        out = torch.zeros(6, 4, 8, dtype=torch.bfloat16)
        assert opened.read(rows, out) is out and torch.equal(out, TOKENS[rows])
    assert verify(store) == []


def test_zarr_and_tensorstore_read_it(store: Path) -> None:
    array = zarr.open_array(store / "patch_tokens", mode="r")
    np.testing.assert_array_equal(bits(array[:]), TOKENS.view(torch.int16))
    np.testing.assert_array_equal(bits(array[5]), TOKENS[5].view(torch.int16))
    opened = tensorstore.open({"driver": "zarr3", "kvstore": f"file://{store}/patch_tokens/"}).result()
    np.testing.assert_array_equal(bits(opened.read().result()), TOKENS.view(torch.int16))


def test_the_metadata_is_what_zarr_would_write(store: Path) -> None:
    path = store / "patch_tokens"
    array = zarr.open_array(path, mode="r+")
    before = (path / "zarr.json").read_text()
    array.attrs["note"] = 1
    del array.attrs["note"]
    assert (path / "zarr.json").read_text().split() == before.split()


def test_the_bytes_depend_on_the_rows_alone(name: str) -> None:
    """blosc splits its work, and so what it writes, by the number of its threads."""
    rows = BIG.view(torch.int16).numpy().reshape(6, -1).view(np.uint8)
    digests = set()
    threads = get_nthreads()
    try:
        for number in (1, 2, 5):
            set_nthreads(number)
            digests.add(hashlib.sha256(b"".join(packed(rows, name))).hexdigest())
    finally:
        set_nthreads(threads)
    assert len(digests) == 1
    unpack = unpacker(name)
    assert unpack and [unpack(memoryview(row)) for row in packed(rows, name)] == [row.tobytes() for row in rows]
    assert sum(map(len, packed(rows, name))) < 0.95 * rows.nbytes


def test_any_damage_is_named_and_never_read(store: Path) -> None:
    shard = shard_path(store, 1)
    content, size = shard.read_bytes(), shard.stat().st_size
    for bit in range(0, 8 * size, 97):
        flip(shard, bit)
        with pytest.raises(BadStore, match=rf"{re.escape(str(shard))}: row [4-7]: "):
            open_features(store).read(range(ROWS))
        assert shard in {fault.file for fault in verify(store)}
        shard.write_bytes(content)
    for length in range(0, size, 97):
        shard.write_bytes(content[:length])
        with pytest.raises(BadStore, match=re.escape(f"{shard}: row 4: ")):
            open_features(store).read([0, 4])
    assert not intact(store, 1, IDS[4:8], 4, 8)
    shard.unlink()
    with pytest.raises(BadStore, match=re.escape(f"{shard}: row 4: the shard of this row is missing")):
        open_features(store).read([0, 4])


def test_a_file_cut_off_under_the_reader_is_an_error(store: Path) -> None:
    opened = open_features(store)
    opened.read(range(ROWS))
    with open(shard_path(store, 1), "r+b") as handle:
        handle.truncate(HEADER + 10)
    with pytest.raises(BadStore, match="c/1/0/0: row 4: the shard ends within it"):
        opened.read([0, 4])


def rewritten(store: Path, rows: list[bytes]) -> FeatureStore:
    """The store with its second shard holding these packed rows, each with the right checksum."""
    head = shard_path(store, 1).read_bytes()[:HEADER]
    shard_format.write_shard(shard_path(store, 1), rows, features_layout.SHARD_ROWS, head)
    return open_features(store, check=False)


def test_what_cannot_be_unpacked_to_a_row_is_an_error(store: Path, name: str) -> None:
    pack = codec(name).encode
    intact, short = bytes(pack(np.ones(32, np.uint16))), bytes(pack(np.ones(31, np.uint16)))
    assert open_features(store).read([5]).shape == (1, 4, 8)
    with pytest.raises(BadStore, match="c/1/0/0: row 5: cannot be decompressed"):
        rewritten(store, [intact, bytes(40), intact, intact]).read([4, 5])
    with pytest.raises(BadStore, match="c/1/0/0: row 6: 62 bytes, not 64"):
        rewritten(store, [intact, intact, short, intact]).read([6])
    with pytest.raises(BadStore, match="c/1/0/0: row 7: the shard lacks it"):
        rewritten(store, [intact, intact, intact]).read([7])


def test_a_shard_of_another_compression_is_foreign(store: Path, tmp_path: Path) -> None:
    other = write_store(tmp_path / "raw.zarr", TOKENS)
    shutil.copy(shard_path(other, 1), shard_path(store, 1))
    assert FOREIGN in {fault.what for fault in verify(store)}
    with pytest.raises(BadStore, match="c/1/0/0: row 4: the header is that of another store or place"):
        open_features(store).read([4])


def test_attributes_that_tell_of_another_compression_are_found(store: Path, name: str) -> None:
    document = read_json(store / "zarr.json")
    del document["attributes"]["compression"]
    write_json(store / "zarr.json", document)
    assert f"compression None, but stored with {name!r}" in {fault.what for fault in verify(store)}
    with pytest.raises(BadStore, match="attributes or ids are"):
        open_features(store).read([0])
