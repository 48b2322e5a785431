"""Arrays that zarr wrote, seen as files: chunks come as zarr reads them, whatever compressed them; damage is named."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from awscrt.checksums import crc32c
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, ZstdCodec

from tests.support.small_stores import flip
from ves.store.verify.arrays import Fault, StoredArray, merge_neighbours, read_document, unlike

NUMBERS = np.random.default_rng(0).integers(0, 7, (10, 4, 8)).astype(np.float32)


def write_array(folder: Path, *compressors) -> StoredArray:
    zarr.create_array(
        folder, data=NUMBERS, chunks=(1, 4, 8), shards=(4, 4, 8), compressors=[*compressors, Crc32cCodec()]
    )
    document, faults = read_document(folder / "zarr.json", ends=[""])
    assert document and faults == []
    return StoredArray(folder, document)


def check(array: StoredArray) -> tuple[dict[int, np.ndarray], list[Fault]]:
    """Every chunk by its row, and the faults."""
    seen: dict[int, np.ndarray] = {}

    def look(row: int, content: bytes) -> None:
        seen[row] = np.frombuffer(content, np.float32).reshape(4, 8)

    faults = [fault for number in range(len(array.files)) for fault in array.check_file(number, look, b"")]
    return seen, faults


@pytest.mark.parametrize("codec", [(), (ZstdCodec(),), (BloscCodec(cname="lz4", typesize=4),), (GzipCodec(),)])
def test_chunks_are_shown_as_zarr_reads_them(tmp_path: Path, codec: tuple) -> None:
    array = write_array(tmp_path / "a", *codec)
    assert (array.chunk_rows, array.inner_rows, array.row_bytes, array.raw) == (4, 1, 128, not codec)
    seen, faults = check(array)
    assert faults == [] and array.strays() == []
    np.testing.assert_array_equal(np.stack([seen[row] for row in range(10)]), NUMBERS)


@pytest.mark.parametrize("codec", [(), (ZstdCodec(),)])
def test_every_flipped_bit_is_found_and_the_other_rows_are_read(tmp_path: Path, codec: tuple) -> None:
    array = write_array(tmp_path / "a", *codec)
    size = array.files[0].stat().st_size
    for bit in range(0, 8 * size, 97):
        flip(array.files[0], bit)
        seen, faults = check(array)
        flip(array.files[0], bit)
        assert len(faults) == 1 and faults[0].file == array.files[0]
        if faults[0].what == "wrong checksum":
            assert faults[0].first == faults[0].last
            assert sorted(seen) == [row for row in range(10) if row != faults[0].first]
        else:
            assert bit // 8 >= size - 4 * 16 - 4
            assert str(faults[0]) == f"{array.files[0]}: rows 0-3: its index has a wrong checksum"


def test_missing_short_and_mixed_up_files_are_found(tmp_path: Path) -> None:
    array = write_array(tmp_path / "a")
    other = write_array(tmp_path / "b", ZstdCodec())
    array.files[0].write_bytes(array.files[2].read_bytes())  # a whole shard, of two rows
    array.files[1].unlink()
    array.files[2].write_bytes(b"short")
    assert [fault.what for fault in check(array)[1]] == [
        "2 of 4 chunks are missing, the first at row 2", "missing", "shorter than its index",
    ]  # fmt: skip
    array.files[0].write_bytes(other.files[0].read_bytes())
    assert [fault.what.split(" ", 1)[1] for fault in check(array)[1][:4]] == ["bytes, not 128"] * 4
    whole = other.files[1].read_bytes()
    other.files[1].write_bytes(whole[:30] + bytes(4) + whole[30:])
    assert "do not fill it" in check(other)[1][0].what
    other.files[1].write_bytes(whole)
    other.files[2].write_bytes(whole)
    assert [fault.what for fault in check(other)[1]] == ["has chunks beyond the rows of the array"]


def test_what_cannot_be_unpacked_is_a_fault(tmp_path: Path) -> None:
    """A chunk with the right checksum of no zstd at all."""
    array = write_array(tmp_path / "a", ZstdCodec())
    content = bytearray(array.files[0].read_bytes())
    begin, length = np.frombuffer(content[-68:-4], "<u8").reshape(4, 2)[1]
    wrong = bytes(length - 4)
    content[begin : begin + length] = wrong + crc32c(wrong).to_bytes(4, "little")
    array.files[0].write_bytes(content)
    seen, (fault,) = check(array)
    assert fault.what.startswith("cannot be decompressed") and (fault.first, fault.last) == (1, 1)
    assert sorted(seen) == [0, *range(2, 10)]


def test_a_folder_in_the_place_of_a_file_is_a_fault(tmp_path: Path) -> None:
    array = write_array(tmp_path / "a")
    array.files[1].unlink()
    array.files[1].mkdir()
    assert [fault.what for fault in check(array)[1]] == ["cannot be read (Is a directory)"]


def test_rows_that_follow_each_other_are_one_fault() -> None:
    a, b = Path("a"), Path("b")
    faults = [Fault(a, "x", 1, 1), Fault(a, "x", 2, 4), Fault(a, "y", 5, 5), Fault(b, "y", 6, 6), Fault(b, "z")]
    assert list(map(str, merge_neighbours([*faults, Fault(b, "z")]))) == [
        "a: rows 1-4: x", "a: row 5: y", "b: row 6: y", "b: z", "b: z",
    ]  # fmt: skip


def test_documents_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert "cannot be read" in str(read_document(tmp_path)[1][0])
    assert "missing" in str(read_document(path)[1][0])
    for content, said in (
        ('{\n  "a": 1\n}\n', None),
        ('{\n  "a": 1\n}', "not laid out as it was written"),
        ('{\n  "a": 1,\n  "a": 1\n}\n', "not laid out as it was written"),
        ("{", "not valid JSON"),
        ("[]\n", "not a JSON object"),
        (b"\xff", "not valid JSON"),
    ):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        document, faults = read_document(path)
        assert (document == {"a": 1}) == (said is None)
        assert said is None or said in str(faults[0])


def test_another_layout_is_told_by_its_keys(tmp_path: Path) -> None:
    raw, packed = write_array(tmp_path / "a").metadata, write_array(tmp_path / "b", ZstdCodec()).metadata
    assert unlike(tmp_path, raw, raw) == []
    assert "VeS writes it: codecs" in str(*unlike(tmp_path, packed, raw))
    other = raw | {"fill_value": 1}
    assert "dimension_names, fill_value" in str(*unlike(tmp_path, other, raw | {"dimension_names": []}))
