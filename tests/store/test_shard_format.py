import os

import numpy as np
import pytest
import zarr
from zarr.codecs import Crc32cCodec

from ves.base.files import read_json
from ves.store.shard import Shard
from ves.store.shard_format import (
    HEADER,
    MAGIC,
    BadStore,
    header,
    metadata,
    sharding,
    with_crc,
    without_crc,
    write_shard,
)

ROWS = np.random.default_rng(0).integers(0, 256, (5, 48)).astype(np.uint8)
HEAD = header(b"these", b" rows")


def read(path, row, *, first=0, slots=8, row_bytes=48):
    out = np.empty(row_bytes, np.uint8)
    Shard(path, first, slots, row_bytes, HEAD).read(row, out)
    return out


def zarr_array(path, rows):
    """The same as zarr writes it: 8 rows to a shard."""
    array = zarr.create_array(
        path,
        shape=(len(rows), 48),
        chunks=(1, 48),
        shards=(8, 48),
        dtype="uint8",
        compressors=[Crc32cCodec()],
        fill_value=0,
        dimension_names=("row", "byte"),
    )
    array[:] = rows
    return array


def test_a_shard_is_what_zarr_writes_byte_for_byte(tmp_path):
    zarr_array(tmp_path / "a", ROWS)
    write_shard(tmp_path / "mine", ROWS, slots=8, head=b"")
    assert (tmp_path / "mine").read_bytes() == (tmp_path / "a" / "c" / "0" / "0").read_bytes()
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_zarr_passes_over_the_header(tmp_path):
    array = zarr_array(tmp_path / "a", ROWS)
    write_shard(tmp_path / "a" / "c" / "0" / "0", ROWS, slots=8, head=HEAD)
    content = (tmp_path / "a" / "c" / "0" / "0").read_bytes()
    assert content.startswith(HEAD) and len(HEAD) == HEADER == 64 and content[HEADER:].startswith(ROWS[0].tobytes())
    np.testing.assert_array_equal(array[:], ROWS)
    np.testing.assert_array_equal(array[3], ROWS[3])
    for row in range(5):
        np.testing.assert_array_equal(read(tmp_path / "a" / "c" / "0" / "0", row), ROWS[row])


def test_the_metadata_is_what_zarr_writes(tmp_path):
    zarr_array(tmp_path / "a", ROWS)
    codec = sharding([1, 48], [])
    codec["configuration"]["codecs"] = [{"name": "bytes"}, {"name": "crc32c"}]  # one byte has no order
    mine = metadata("uint8", [5, 48], 8, 0, [codec], ["row", "byte"])
    assert mine == read_json(tmp_path / "a" / "zarr.json")


def test_rows_that_zarr_wrote_in_its_own_order_are_read(tmp_path):
    """Zarr may lay rows anywhere in a shard; only the index says where."""
    write_shard(tmp_path / "a", ROWS, slots=8, head=HEAD)
    content = (tmp_path / "a").read_bytes()
    end = HEADER + 5 * 52
    chunks, index = content[HEADER:end], np.frombuffer(content[end:-4], "<u8").reshape(8, 2).copy()
    turned = b"".join(chunks[at : at + 52] for at in range(4 * 52, -1, -52))
    index[:5, 0] = index[:5, 0][::-1]
    (tmp_path / "b").write_bytes(HEAD + turned + with_crc(index.tobytes()))
    for row in range(5):
        np.testing.assert_array_equal(read(tmp_path / "b", row), ROWS[row])


def test_rows_are_numbered_from_the_first_of_the_shard(tmp_path):
    write_shard(tmp_path / "a", ROWS, slots=8, head=HEAD)
    np.testing.assert_array_equal(read(tmp_path / "a", 19, first=16), ROWS[3])


def is_refused(path, row) -> bool:
    """Whether a row of the small shard below is refused; if it is not, it must be right."""
    try:
        np.testing.assert_array_equal(read(path, row, slots=2, row_bytes=6), ROWS[row, :6])
    except BadStore:
        return True
    return False


def test_every_flipped_bit_is_found(tmp_path):
    """All bits of a small shard, one at a time: each row is either right or refused, and some row is refused."""
    write_shard(tmp_path / "a", ROWS[:2, :6], slots=2, head=HEAD)
    content = (tmp_path / "a").read_bytes()
    for bit in range(len(content) * 8):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        (tmp_path / "b").write_bytes(damaged)
        assert is_refused(tmp_path / "b", 0) | is_refused(tmp_path / "b", 1)


def test_truncation_zeroes_and_absence_are_found(tmp_path):
    write_shard(tmp_path / "a", ROWS, slots=8, head=HEAD)
    content = (tmp_path / "a").read_bytes()
    for length in range(len(content)):
        (tmp_path / "b").write_bytes(content[:length])
        with pytest.raises(BadStore, match="row"):
            read(tmp_path / "b", 0)
    (tmp_path / "b").write_bytes(bytes(len(content)))
    with pytest.raises(BadStore, match="wrong checksum"):
        read(tmp_path / "b", 0)
    with pytest.raises(BadStore, match=r"nowhere: row 16: the shard of this row is missing"):
        read(tmp_path / "nowhere", 18, first=16)
    with pytest.raises(BadStore, match="row 6: the shard lacks it"):
        read(tmp_path / "a", 6)


def test_a_shard_of_another_store_is_found(tmp_path):
    write_shard(tmp_path / "a", ROWS, slots=8, head=HEAD)
    with pytest.raises(BadStore, match="rows of 47 bytes"):
        read(tmp_path / "a", 0, row_bytes=47)
    for other in (header(b"other", b" rows"), b"", MAGIC, bytes(HEADER)):
        write_shard(tmp_path / "b", ROWS, slots=8, head=other)
        with pytest.raises(BadStore, match=r"/b: row 16: the (header is that of another store|shard has no rows)"):
            read(tmp_path / "b", 16, first=16)


def test_an_open_shard_outlives_its_replacement_and_is_closed(tmp_path):
    write_shard(tmp_path / "a", ROWS, slots=8, head=HEAD)
    shard = Shard(tmp_path / "a", 0, 8, 48, HEAD)
    write_shard(tmp_path / "a", ROWS[::-1], slots=8, head=HEAD)
    out = np.empty(48, np.uint8)
    shard.read(0, out)
    np.testing.assert_array_equal(out, ROWS[0])
    handles = len(os.listdir("/proc/self/fd"))
    del shard
    assert len(os.listdir("/proc/self/fd")) == handles - 1


@pytest.mark.parametrize("count", [0, 9])
def test_a_shard_holds_one_row_to_all_its_slots(tmp_path, count):
    with pytest.raises(ValueError, match=f"{'more than 8' if count else 0} rows for a shard of 8"):
        write_shard(tmp_path / "a", np.zeros((count, 4), np.uint8), slots=8, head=HEAD)
    assert list(tmp_path.iterdir()) == []


def test_checksums_are_those_of_the_standard(tmp_path):
    """CRC32C of "123456789" is e3069283 (RFC 3720)."""
    assert with_crc(b"123456789")[9:] == bytes.fromhex("839206e3")
    assert without_crc(with_crc(b"abc"), tmp_path) == b"abc"
    for damaged in (b"", b"abc", with_crc(b"abc")[:-1] + b"\0"):
        with pytest.raises(BadStore, match="damaged"):
            without_crc(damaged, tmp_path)
