"""The survey of a repository: what its tables say is what the files hold, and little of them is asked for."""

import io
import json
import logging
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import huggingface_hub
import polars as pl
import pyarrow.parquet
import pytest

from tests.support.loopback import COMMIT, REPOSITORY, Hub, serve
from tests.support.vaani_hub import parquet_bytes, settings
from ves.sources.hub import footers, remote, retry
from ves.sources.hub.errors import HubError
from ves.sources.vaani import survey

OLD, NEW = "audio/Goa/North/train-00000-of-00001", "audio/Bihar/Jamui/train-00000-of-00001"
PICTURES = "images/train-00000-of-00001"
SECONDS = {OLD: [0.5, 1.5, 2.0, 1.0, 3.0], NEW: [1.0] * 7}
TABLE = ["source_row", *survey.TEXTS, "duration_s", "estimated_s"]


def clips(name: str, **columns: list) -> pl.DataFrame:
    audio = [{"bytes": bytes(44 + round(32_000 * s)), "path": f"{n}.wav"} for n, s in enumerate(SECONDS[name])]
    return pl.DataFrame({"audio": audio} | columns)


def repository() -> dict[str, bytes]:
    """Two schema eras and a shard of pictures; stored as it is, so that the bytes of audio count."""
    old = clips(
        OLD,
        Language=[" Hindi ", "Konkani", "Hindi", None, "Hindi"],
        **{"stay(years)": ["2"] * 5, "referenceImage": ["/Images/a.jpg", "Images/b.jpg", "", None, "c"]},
    )
    new = clips(
        NEW,
        language=["Maithili"] * 7,
        duration=[1.0] * 7,
        speaker_id=list(range(7)),
        state=["Bihar"] * 7,
        district=["Jamui"] * 7,
        reference_image=["Images/a.jpg"] * 7,
    )
    pictures = pl.DataFrame({"image": [{"bytes": bytes(50_000), "path": name} for name in ("Images/a.jpg", "b.png")]})
    options = {"compression": "uncompressed", "row_group_size": 2}
    frames = {OLD: old, NEW: new, PICTURES: pictures}
    return {f"{name}.parquet": parquet_bytes(frame, **options) for name, frame in frames.items()}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.001)
    with serve(repository()) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        yield server
    huggingface_hub.close_session()


def run(folder: Path) -> dict[str, Any]:
    survey.survey(settings(), folder / "survey", folder / "survey.json")
    return json.loads((folder / "survey.json").read_text())


def every_file(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_summary_says_what_each_file_is(hub: Hub, tmp_path: Path):
    summary = run(tmp_path)
    assert (summary["repository"], summary["revision"]) == (REPOSITORY, COMMIT)
    assert [(entry["name"], entry["part"]) for entry in summary["files"]] == [
        (NEW, "audio"), (OLD, "audio"), (PICTURES, "images"),
    ]  # fmt: skip
    new, old, pictures = summary["files"]
    for entry in summary["files"]:
        content = hub.files[f"{entry['name']}.parquet"]
        assert (entry["bytes"], entry["sha256"]) == (len(content), hub.sha256(f"{entry['name']}.parquet"))
    assert [(entry["rows"], entry["row_groups"]) for entry in summary["files"]] == [(7, 4), (5, 3), (2, 1)]
    assert old["media_bytes"] == pytest.approx(5 * 44 + 8 * 32_000, abs=1000)
    assert new["media_bytes_stored"] == pytest.approx(7 * 32_044, abs=1000)
    assert pictures["media_bytes"] == pytest.approx(100_000, abs=1000)
    assert list(old["columns"]) == ["audio", "Language", "stay(years)", "referenceImage"]
    assert (new["columns"]["duration"], new["columns"]["speaker_id"]) == ("double", "int64")
    assert new["columns"]["audio"].startswith("struct<bytes: ")


def test_the_tables_hold_the_columns_of_text(hub: Hub, tmp_path: Path):
    run(tmp_path)
    old = pl.read_parquet(tmp_path / f"survey/{OLD}.parquet")
    assert old.columns == TABLE
    assert old.schema == pl.Schema(
        {"source_row": pl.UInt32} | dict.fromkeys(survey.TEXTS, pl.String)
        | {"duration_s": pl.Float64, "estimated_s": pl.Float64}
    )  # fmt: skip
    assert old["source_row"].to_list() == [0, 1, 2, 3, 4]
    assert old["language"].to_list() == ["Hindi", "Konkani", "Hindi", None, "Hindi"]
    assert old["image_reference"].to_list() == ["/Images/a.jpg", "Images/b.jpg", "", None, "c"]
    assert old["duration_s"].null_count() == old["speaker"].null_count() == 5
    assert old["estimated_s"].to_list() == pytest.approx([1.0, 1.0, 1.5, 1.5, 3.0], abs=0.01)  # of its row group
    new = pl.read_parquet(tmp_path / f"survey/{NEW}.parquet")
    assert new["speaker"].to_list() == [str(row) for row in range(7)]
    assert new["duration_s"].to_list() == [1.0] * 7
    assert set(new["district"]) == {"Jamui"}
    pictures = pl.read_parquet(tmp_path / f"survey/{PICTURES}.parquet")
    assert pictures.rows() == [(0, "Images/a.jpg"), (1, "b.png")]
    assert pictures.schema["source_row"] == pl.UInt32
    metadata = pl.read_parquet_metadata(tmp_path / f"survey/{PICTURES}.parquet")
    assert metadata["sha256"] == hub.sha256(f"{PICTURES}.parquet")


def test_no_audio_and_no_picture_is_asked_for(hub: Hub, tmp_path: Path, monkeypatch, caplog):
    monkeypatch.setattr("ves.sources.hub.remote.HOLE", 256)
    many = pl.concat([clips(NEW, language=["Tulu"] * 7, referenceImage=["x"] * 7)] * 20)
    hub.files[f"{NEW}.parquet"] = parquet_bytes(many, compression="uncompressed", row_group_size=28, statistics=False)
    with caplog.at_level(logging.INFO):
        run(tmp_path)
    assert sum(map(len, hub.files.values())) > 4_500_000
    assert hub.sent < 3 * remote.TAIL + 10_000
    assert sum(NEW in unquote(request.path) for request in hub.downloads()) == 1 + 4  # the footer, 5 row groups, of
    # which the last is in the tail
    assert f"took {len(hub.downloads())} requests and 0.2 MB" in caplog.text
    assert "HTTP Request" not in caplog.text  # nor their addresses, which are signed


def test_a_survey_that_broke_off_goes_on_and_gives_the_same_bytes(hub: Hub, tmp_path: Path):
    run(tmp_path / "undisturbed")
    (tmp_path / "again" / "survey").mkdir(parents=True)
    hub.files[f"{PICTURES}.parquet"], whole = b"no parquet at all", hub.files[f"{PICTURES}.parquet"]
    with pytest.raises(ValueError, match=rf"{PICTURES}.parquet: not a complete parquet file: it ends in b' all'"):
        run(tmp_path / "again")
    assert not (tmp_path / "again" / "survey.json").exists()
    hub.files[f"{PICTURES}.parquet"] = whole
    run(tmp_path / "again")
    assert every_file(tmp_path / "again") == every_file(tmp_path / "undisturbed")
    before = len(hub.downloads())
    run(tmp_path / "again")
    assert len(hub.downloads()) == before  # nothing is asked twice
    assert every_file(tmp_path / "again") == every_file(tmp_path / "undisturbed")


def test_another_content_and_a_damaged_table_are_surveyed_anew(hub: Hub, tmp_path: Path):
    run(tmp_path)
    wanted = every_file(tmp_path)
    (tmp_path / f"survey/{OLD}.parquet").write_bytes(b"PAR1 torn")
    hub.files[f"{NEW}.parquet"] = parquet_bytes(clips(NEW, language=["Tulu"] * 7, referenceImage=["x"] * 7))
    before = len(hub.downloads())
    assert run(tmp_path)["files"][0]["columns"].keys() == {"audio", "language", "referenceImage"}
    asked = {request.path.partition("audio/")[2].partition("/")[0] for request in hub.downloads()[before:]}
    assert asked == {"Goa", "Bihar"}
    assert every_file(tmp_path)[f"survey/{OLD}.parquet"] == wanted[f"survey/{OLD}.parquet"]
    assert set(pl.read_parquet(tmp_path / f"survey/{NEW}.parquet")["language"]) == {"Tulu"}


@pytest.mark.parametrize("fault", ["429", "503", "reset", "shifted", "end"])
def test_a_hub_in_trouble_changes_nothing(hub: Hub, tmp_path: Path, fault: str):
    run(tmp_path / "undisturbed")
    hub.faults, hub.page_faults, hub.cut = [fault] * 5, ["503", "reset"], 10
    run(tmp_path / "disturbed")
    assert not hub.faults
    assert every_file(tmp_path / "disturbed") == every_file(tmp_path / "undisturbed")


def test_a_hub_without_ranges_is_an_error_that_names_a_file(hub: Hub, tmp_path: Path):
    hub.faults = ["no ranges"] * 9
    with pytest.raises(HubError, match=r"train-00000-of-00001.parquet.*in pieces"):
        run(tmp_path)
    assert not (tmp_path / "survey.json").exists()


def empty(columns: dict[str, Any]) -> pl.DataFrame:
    return clips(NEW, language=["Tulu"] * 7, referenceImage=["x"] * 7).with_columns(**columns)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (
            clips(NEW, language=["Tulu"] * 7),
            "no column referenceImage or reference_image or .*; it has audio, language",
        ),
        (clips(NEW, referenceImage=["x"] * 7), "no column language; it has audio, referenceImage"),
        (empty({"Language": pl.lit("a")}), "columns language and Language may both be"),
        (empty({"audio": pl.lit(b"RIFF")}), "no column audio of bytes and path; it has audio as"),
        (empty({}).drop("audio"), "no column audio of bytes and path; it has language, referenceImage"),
        (empty({"language": pl.lit([["a"]]).first()}), "column language is .*list.*; it has to be text or a number"),
        (empty({"speakerID": pl.lit(b"a")}), "column speakerID is .*binary"),
    ],
)
def test_a_file_that_is_not_vaani_s_is_named(hub: Hub, tmp_path: Path, frame: pl.DataFrame, words: str):
    hub.files[f"{NEW}.parquet"] = parquet_bytes(frame)
    with pytest.raises(ValueError, match=f"{NEW}.parquet: {words}"):
        run(tmp_path)


def test_a_file_without_rows_has_a_table_without_rows(hub: Hub, tmp_path: Path):
    hub.files[f"{NEW}.parquet"] = parquet_bytes(empty({}).clear())
    assert run(tmp_path)["files"][0]["rows"] == 0
    table = pl.read_parquet(tmp_path / f"survey/{NEW}.parquet")
    assert (table.columns, len(table)) == (TABLE, 0)


def test_a_row_group_without_rows_is_none(hub: Hub, tmp_path: Path):
    """As pyarrow writes a table without rows: one row group, whose columns point to byte 0."""
    pyarrow.parquet.write_table(empty({}).clear().to_arrow(), buffer := io.BytesIO())
    assert pyarrow.parquet.ParquetFile(buffer).num_row_groups == 1
    hub.files[f"{NEW}.parquet"] = buffer.getvalue()
    assert run(tmp_path)["files"][0]["rows"] == 0
    assert pl.read_parquet(tmp_path / f"survey/{NEW}.parquet").is_empty()


def test_durations_of_no_unit_are_null(hub: Hub, tmp_path: Path):
    hub.files[f"{NEW}.parquet"] = parquet_bytes(empty({"duration": pl.Series([4_700_000] * 7).cast(pl.Duration("us"))}))
    run(tmp_path)
    assert pl.read_parquet(tmp_path / f"survey/{NEW}.parquet")["duration_s"].null_count() == 7


def test_durations_that_are_text_are_numbers_and_what_is_none_is_null(hub: Hub, tmp_path: Path):
    hub.files[f"{NEW}.parquet"] = parquet_bytes(empty({"Duration": pl.Series(["1.5"] * 6 + ["long"])}))
    run(tmp_path)
    assert pl.read_parquet(tmp_path / f"survey/{NEW}.parquet")["duration_s"].to_list() == [1.5] * 6 + [None]


def damage(content: bytes, kind: str) -> bytes:
    length = struct.unpack("<I", content[-8:-4])[0]
    if kind == "cut off":
        return content[: len(content) // 2]
    if kind == "footer beyond the file":
        return content[:-8] + struct.pack("<I", len(content) + 1) + b"PAR1"
    if kind == "footer is noise":
        return content[: -8 - length] + b"\xff" * length + content[-8:]
    return b"PAR1"


@pytest.mark.parametrize("kind", ["cut off", "footer beyond the file", "footer is noise", "too short"])
def test_a_damaged_file_is_named(hub: Hub, tmp_path: Path, kind: str):
    hub.files[f"{OLD}.parquet"] = damage(hub.files[f"{OLD}.parquet"], kind)
    with pytest.raises(ValueError, match=f"{OLD}.parquet: (not a complete parquet file|its footer of)"):
        run(tmp_path)


def test_a_footer_that_promises_too_much_is_refused(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A run of one value packs millions of rows into a few bytes."""
    frame = pl.DataFrame({"audio": [{"bytes": b"", "path": ""}], "language": ["a"], "referenceImage": ["b"]})
    hub.files[f"{NEW}.parquet"] = parquet_bytes(pl.concat([frame] * 10).sample(300_000, with_replacement=True, seed=1))
    with pytest.raises(ValueError, match=f"{NEW}.parquet: its footer claims 300000 rows"):
        run(tmp_path)
    hub.files[f"{NEW}.parquet"] = parquet_bytes(empty({}))
    monkeypatch.setattr(footers, "MOST_BYTES", 20)
    with pytest.raises(ValueError, match=r"unpack to \d+ bytes, at most 20 are read"):
        run(tmp_path)
