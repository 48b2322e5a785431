"""Reading a shard row by row: any column layout that drifts, and files that are not what they seem."""

import hashlib
import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ves.corpus import shard_reader
from ves.corpus.shard_reader import chosen_rows, count, rows

FILE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def shard(path: Path, number: int = 10, *, size: int = 9, group: int = 4, **columns: Any) -> Path:
    """A shard of clips whose bytes are their number, with other columns as given."""
    files = [{"bytes": bytes([i]) * size, "path": f"{i}.wav"} for i in range(number)]
    there = {"audio": pa.array(files, FILE), "language": ["Hindi"] * number, "referenceImage": ["a.jpg"] * number}
    there |= columns
    pq.write_table(pa.table({name: column for name, column in there.items() if column is not None}), path, group)
    return path


def test_rows_come_in_order_whatever_the_groups_and_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = shard(tmp_path / "s.parquet", transcript=[" a "] * 10)
    for batch, size in ((64, 1 << 20), (3, 1 << 20), (64, 20)):
        monkeypatch.setattr(shard_reader, "BATCH", batch)
        monkeypatch.setattr(shard_reader, "BATCH_BYTES", size)
        found = list(rows(source, "audio"))
        assert [row["source_row"] for row in found] == list(range(10))
        assert [row["bytes"] for row in found] == [bytes([i]) * 9 for i in range(10)]
        assert [row["source_path"] for row in found] == [f"{i}.wav" for i in range(10)]
        assert {row["transcript"] for row in found} == {"a"}
    assert count(source) == 10


def test_chosen_rows_are_given_and_groups_without_any_are_not_read(tmp_path: Path):
    source = shard(tmp_path / "s.parquet", 12)
    whole = source.read_bytes()
    begin = pq.ParquetFile(source).metadata.row_group(1).column(0).data_page_offset
    source.write_bytes(whole[:begin] + bytes(64) + whole[begin + 64 :])  # the second group, rows 4 to 7, is damaged
    chosen = np.array([0, 3, 9], np.uint32)
    assert [row["source_row"] for row in rows(source, "audio", chosen)] == [0, 3, 9]
    with pytest.raises(ValueError, match=r"s\.parquet: not a complete parquet file .*delete it and run again"):
        list(rows(source, "audio", np.array([0, 5], np.uint32)))
    with pytest.raises(ValueError, match=r"s\.parquet: row 12 was chosen, but it has 12 rows"):
        list(rows(source, "audio", np.array([0, 12], np.uint32)))


def test_chosen_rows_must_be_those_of_the_listing(tmp_path: Path):
    listing, numbers = tmp_path / "shards.json", np.array([2, 5, 70_000], "<u4")
    stated = {"rows": 3, "sha256": hashlib.sha256(numbers.tobytes()).hexdigest()}
    entry = {"name": "audio/Goa/x", "part": "audio", "chosen": stated}
    listing.write_text(json.dumps({"shards": [entry]}))
    path = tmp_path / "chosen/audio/Goa/x.parquet"
    path.parent.mkdir(parents=True)
    pl.DataFrame({"source_row": numbers}).write_parquet(path)
    found = chosen_rows(listing, entry)
    assert found is not None
    assert found.tolist() == [2, 5, 70_000]
    assert chosen_rows(listing, entry | {"chosen": None}) is None
    assert chosen_rows(listing, {"name": "audio/Goa/x", "part": "audio"}) is None
    pl.DataFrame({"source_row": numbers[:2]}).write_parquet(path)
    with pytest.raises(ValueError, match=r"x\.parquet: 2 rows, not the 3 of .*shards\.json; delete the listing"):
        chosen_rows(listing, entry)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"x\.parquet"):
        chosen_rows(listing, entry)


def test_texts_may_be_numbers_or_categories(tmp_path: Path):
    source = shard(
        tmp_path / "s.parquet",
        4,
        speakerID=pa.array([17.0, None, 1.5, 2.0]),
        district=pa.array(["Goa", "Goa", "", " x "]).dictionary_encode(),
        state=pa.array([1, 2, 3, None]),
        language=pa.array(["Hindi"] * 4, pa.large_string()),
        referenceImage=pa.nulls(4),
    )
    found = list(rows(source, "audio"))
    assert [row["speaker"] for row in found] == ["17", None, "1.5", "2"]
    assert [row["district"] for row in found] == ["Goa", "Goa", None, "x"]
    assert [row["state"] for row in found] == ["1", "2", "3", None]
    assert [row["image_reference"] for row in found] == [None] * 4


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"audio": None}, "no column audio of bytes and path; it has language, referenceImage"),
        (
            {"referenceImage": None},
            "no column for the image_reference, called referenceImage or reference_image or imageFileName; "
            "it has audio, language",
        ),
        ({"language": None}, "no column for the language, called language; it has audio, referenceImage"),
        (
            {"speaker": ["a"], "speakerID": ["b"]},
            "columns speaker and speakerID may both be the speaker; rename or drop",
        ),
        ({"Audio": ["a"]}, "columns audio and Audio may both be the audio"),
        ({"district": [["a"]]}, "column district is list<element: string>; it has to be text or numbers"),
        ({"language": [b"a"]}, "column language is binary; it has to be text"),
        ({"audio": ["a.wav"]}, "column audio is string; it has to be a struct of bytes (a whole file) and path"),
        ({"audio": [b"RIFF"]}, "column audio is binary; it has to be a struct"),
        ({"audio": [[0.5, 0.25]]}, "column audio has decoded samples or pixels; it has to be a struct"),
        (
            {"audio": [{"array": [0.5], "path": "a", "sampling_rate": 9}]},
            "column audio has decoded samples or pixels",
        ),
        ({"audio": [{"bytes": "RIFF", "path": "a"}]}, "column audio.bytes is string; it has to be binary"),
        ({"audio": [{"bytes": b"RIFF", "path": b"a"}]}, "column audio.path is binary; it has to be text"),
    ],
)
def test_columns_that_are_missing_or_unfit_are_named(tmp_path: Path, columns: dict[str, Any], words: str):
    source = shard(tmp_path / "s.parquet", 1, **columns)
    with pytest.raises(ValueError, match=rf"s\.parquet: {re.escape(words)}"):
        list(rows(source, "audio"))


def no_utf8(number: int, place: int) -> pa.Array:
    """Texts of which one is none."""
    encoded = pa.array([b"\xff\xfe" if n == place else b"Hindi" for n in range(number)])
    return pa.StringArray.from_buffers(number, *encoded.buffers()[1:])


def test_a_row_with_a_text_that_is_none_is_refused_and_no_other(tmp_path: Path):
    paths = pa.StructArray.from_arrays([pa.array([b"0"] * 10), no_utf8(10, 9)], ["bytes", "path"])
    source = shard(tmp_path / "s.parquet", audio=paths, language=no_utf8(10, 2), speaker=no_utf8(10, 5))
    found = list(rows(source, "audio"))
    assert [row["source_row"] for row in found] == list(range(10))
    assert [row["source_row"] for row in found if row["refused"] == "bad_text"] == [2, 5, 9]
    assert "can't decode byte 0xff" in found[2]["refused_detail"]
    assert found[2]["bytes"] is None
    assert found[3] == found[0] | {"source_row": 3}


def test_names_of_files_may_be_numbers(tmp_path: Path):
    paths = pa.StructArray.from_arrays([pa.array([b"0"] * 10), pa.array(range(10))], ["bytes", "path"])
    assert [row["source_path"] for row in rows(shard(tmp_path / "s.parquet", audio=paths), "audio")][9] == "9"


def test_a_file_that_is_absent_is_no_damaged_one(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"s\.parquet"):
        list(rows(tmp_path / "s.parquet", "audio"))


def test_a_footer_that_promises_what_cannot_be_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bomb = shard(tmp_path / "s.parquet", 200, size=1 << 16)
    pq.write_table(pq.read_table(bomb), bomb, compression="zstd", use_dictionary=False)
    with pytest.raises(
        ValueError, match=r"s\.parquet: its footer claims that \d+ bytes unpack to 131\d{5}; the limits are 100"
    ):
        list(rows(bomb, "audio"))
    pq.write_table(pq.read_table(bomb), bomb, compression="none", use_dictionary=False)
    assert len(list(rows(bomb, "audio"))) == 200
    monkeypatch.setattr(shard_reader, "LARGEST_GROUP", 13_000_000)
    with pytest.raises(ValueError, match=r"13000000 in a row group; it is damaged, or made to fill the memory"):
        list(rows(bomb, "audio"))


def test_a_large_row_group_is_not_read_at_once(tmp_path: Path):
    """Of 64 MB in one row group, one page at a time is in memory, besides what is given out."""
    noise = np.random.default_rng(0)
    files = [{"bytes": noise.bytes(1 << 20), "path": "a"} for _ in range(64)]
    table = pa.table({"audio": pa.array(files, FILE), "language": ["x"] * 64, "referenceImage": ["a"] * 64})
    pq.write_table(table, tmp_path / "s.parquet", write_batch_size=1, use_dictionary=False)
    del table, files
    before, most = pa.total_allocated_bytes(), 0
    for row in rows(tmp_path / "s.parquet", "audio"):
        most = max(most, pa.total_allocated_bytes() - before)
        assert len(row["bytes"]) == 1 << 20
    assert 0 < most < 48 << 20


def test_nothing_of_a_row_is_believed_to_be_there(tmp_path: Path):
    files = [{"bytes": None, "path": None}, None, {"bytes": b"", "path": ""}]
    source = shard(tmp_path / "s.parquet", 3, audio=pa.array(files, FILE), language=[None, "", " "])
    found = [(row["bytes"], row["source_path"], row["language"]) for row in rows(source, "audio")]
    assert found == [(None, None, None), (None, None, None), (b"", "", None)]


def test_a_shard_without_rows_is_empty(tmp_path: Path):
    assert list(rows(shard(tmp_path / "s.parquet", 0), "audio")) == []


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 0.99])
def test_a_cut_off_file_is_named(tmp_path: Path, share: float):
    source = shard(tmp_path / "s.parquet", 40, size=999)
    source.write_bytes(source.read_bytes()[: int(share * source.stat().st_size)])
    with pytest.raises(ValueError, match=r"s\.parquet: not a complete parquet file .*delete it and run again"):
        list(rows(source, "audio"))


def test_a_footer_of_absurd_length_is_named(tmp_path: Path):
    source = shard(tmp_path / "s.parquet")
    source.write_bytes(source.read_bytes()[:-8] + struct.pack("<I", 0x7FFFFFFF) + b"PAR1")
    with pytest.raises(ValueError, match=r"s\.parquet: not a complete parquet file"):
        list(rows(source, "audio"))


def test_what_is_said_of_recordings_is_read_as_it_stands(tmp_path: Path):
    frames = pa.array([["a.jpg", " b.jpg"], [], None, [None]], pa.large_list(pa.string()))
    source = shard(tmp_path / "s.parquet", 4, Recording_ID=[1, 2, 2, None], frames=frames)
    found = [(row["recording_id"], row["segment"], row["frames"]) for row in rows(source, "audio")]
    assert found == [("1", None, ["a.jpg", "b.jpg"]), ("2", None, []), ("2", None, None), (None, None, [None])]
    assert "frames" not in next(rows(shard(tmp_path / "p.parquet"), "audio"))


def test_pictures_have_no_recordings(tmp_path: Path):
    files = pa.array([{"bytes": b"x", "path": "a.jpg"}], FILE)
    pq.write_table(pa.table({"image": files, "segment": ["of a film"]}), tmp_path / "s.parquet")
    assert [row["source_path"] for row in rows(tmp_path / "s.parquet", "image")] == ["a.jpg"]


def test_a_frame_that_is_no_text_is_a_bad_row(tmp_path: Path):
    binary = pa.array([[b"a.jpg"], [b"\xff\xfe"]], pa.list_(pa.binary()))
    source = shard(tmp_path / "s.parquet", 2, frames=binary.view(pa.list_(pa.string())))
    good, bad = rows(source, "audio")
    assert (good["frames"], good["refused"]) == (["a.jpg"], None)
    assert (bad["frames"], bad["refused"]) == (None, "bad_text")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"recordingID": pa.array([["a"]] * 2)}, "column recordingID is list.*; it has to be text or numbers"),
        ({"recordingID": [b"a", b"b"]}, "column recordingID is binary; it has to be text or numbers"),
        ({"recordingID": ["a", "b"], "segment": ["0", "1"]}, "column segment is string; it has to be whole numbers"),
        ({"recordingID": ["a", "b"], "frames": ["x.jpg"] * 2}, "column frames is string; it has to be lists of text"),
        ({"frames": pa.array([[1], [2]])}, "column frames is list.*int64.*; it has to be lists of text"),
        ({"segment": [0, 1]}, "column segment counts the clips of recordings, but there is no column recordingID"),
        ({"recordingID": ["a", "b"], "recording_id": ["a", "b"]}, "may both be the recording_id"),
    ],
)
def test_a_column_of_recordings_of_the_wrong_type_is_named(tmp_path: Path, said: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=rf"s\.parquet: .*{message}"):
        next(rows(shard(tmp_path / "s.parquet", 2, **said), "audio"))
