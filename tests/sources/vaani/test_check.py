"""A repository compared with what VeS assumes of it: right ones pass, each wrong one is told by the row it concerns."""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import polars as pl
import pytest
import soundfile
from PIL import Image

from tests.support.loopback import REPOSITORY, Hub, serve
from tests.support.vaani_hub import parquet_bytes, settings
from ves.sources.hub import retry
from ves.sources.hub.errors import HubError
from ves.sources.vaani import assumptions, check, survey

CLIPS, OTHER = "audio/Goa/North/train-00000-of-00002.parquet", "audio/Goa/North/train-00001-of-00002.parquet"
PICTURES, MORE = "images/train-00000-of-00002.parquet", "images/train-00001-of-00002.parquet"
SPELLINGS = pl.DataFrame({"column": ["language"] * 2 + ["district", "state"], "old": ["Oriya", "Khariboli", "N", "G"]})
SPELLINGS = SPELLINGS.with_columns(new=pl.Series(["Odia", "Hindi", "North", "Goa"]))


def wav(seed: int, rate: int = 16_000, channels: int = 1, seconds: float = 1.0) -> bytes:
    samples = np.random.default_rng(seed).integers(-9_000, 9_000, (round(seconds * rate), channels), dtype=np.int16)
    soundfile.write(file := io.BytesIO(), samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def jpeg(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((40 + seed, 30)).save(file := io.BytesIO(), "JPEG")
    return file.getvalue()


def clips(seed: int, rows: int = 4) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "audio": [
                {"bytes": wav(seed + row, seconds=1 + row / 4), "path": f"{seed}_{row}.wav"} for row in range(rows)
            ],
            "language": ["Odia", "Hindi"] * (rows // 2),
            "duration": [1 + row / 4 for row in range(rows)],
            "speakerID": [f"S{row}" for row in range(rows)],
            "state": ["Goa"] * rows,
            "district": ["North"] * rows,
            "isTranscriptionAvailable": ["Yes", "No"] * (rows // 2),
            "transcript": ["<pause>"] * rows,
            "referenceImage": ["/Images/a0.jpg", "Images/a1.jpg", "Images/more0.jpg", "Images/more1.JPG"] * (rows // 4),
        }
    )


def pictures(name: str, seed: int, rows: int = 2) -> pl.DataFrame:
    files = [{"bytes": jpeg(seed + row), "path": f"Images/{name}{row}.jpg"} for row in range(rows)]
    return pl.DataFrame({"image": files})


def in_small_groups(frame: pl.DataFrame) -> bytes:
    return parquet_bytes(frame, row_group_size=4, compression="uncompressed")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(assumptions, "SHARD_BYTES", (1e4, 1e7))
    files = {CLIPS: in_small_groups(clips(0)), OTHER: in_small_groups(clips(10, 40))}
    files |= {PICTURES: in_small_groups(pictures("a", 0)), MORE: in_small_groups(pictures("more", 5, 9))}
    with serve(files) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        yield server
    huggingface_hub.close_session()


def rows(page: Path) -> dict[str, list[str]]:
    """The table: expected, found and verdict of each assumption."""
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.replace("\\|", "/").strip("|").split(" | ")] for line in lines]
    return {name: rest for name, *rest in cells[2:]}  # after the header and its line


def run(folder: Path, spellings: pl.DataFrame = SPELLINGS, **changes: Any) -> tuple[dict[str, list[str]], str]:
    """The table, and the message of the error or ""."""
    message = ""
    try:
        check.check(settings(**changes), spellings, folder / "survey", folder / "check.md")
    except ValueError as error:
        message = str(error)
    return rows(folder / "check.md"), message


def differing(table: dict[str, list[str]]) -> set[str]:
    return {name for name, (_, _, verdict) in table.items() if verdict == "differs"}


def test_a_right_repository_has_no_difference(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    table, message = run(tmp_path)
    assert (differing(table), message) == (set(), "")
    assert len(table) == len(assumptions.ASSUMPTIONS)
    unknown = {name for name, (_, _, verdict) in table.items() if verdict == "unknown"}
    assert unknown == {"image references resolve"}  # of two shards of pictures, the names of one are known
    assert "2 x image_missing" in table["image references resolve"][1]
    assert "among 2 names of only one shard of pictures: run the survey" in table["image references resolve"][1]
    assert "4 x WAV, 16000 Hz, 16 bits, 1 channel, PCM" in table["audio.bytes"][1]
    assert table["pictures decode"][1] == "2 of 2: 40 x 30 to 41 x 30"
    assert (tmp_path / "check.md").read_text() in capsys.readouterr().out


def test_only_the_smallest_shards_are_asked_for_and_of_them_one_row_group(hub: Hub, tmp_path: Path):
    small, large = clips(0), pl.concat([clips(20), clips(30)]).with_columns(pl.col("audio").reverse())
    hub.files[CLIPS] = in_small_groups(pl.concat([large, small]))  # of three row groups, of the same size
    run(tmp_path)
    asked = {request.path.rpartition("/")[2] for request in hub.downloads()}
    assert asked == {"train-00000-of-00002.parquet"}
    assert hub.sent < 1.2 * len(hub.files[CLIPS]) / 3 + len(hub.files[PICTURES]) + 2**16


def test_a_survey_of_another_folder_is_found(hub: Hub, tmp_path: Path):
    """The survey puts its tables below images/, wherever the repository has the files."""
    for path in (PICTURES, MORE):
        hub.files[path.replace("images/", "data/photos-")] = hub.files.pop(path)
    survey.survey(settings(images=["data/photos-*"]), tmp_path / "survey", tmp_path / "survey.json")
    table, _ = run(tmp_path, images=["data/photos-*"])
    assert "among 11 names of all pictures" in table["image references resolve"][1]


def test_with_a_survey_references_are_judged(hub: Hub, tmp_path: Path):
    survey.survey(settings(), tmp_path / "survey", tmp_path / "survey.json")
    table, message = run(tmp_path)
    assert message == ""
    assert "among 11 names of all pictures" in table["image references resolve"][1]
    assert table["image references resolve"][2] == "ok"
    hub.files[MORE] = in_small_groups(pictures("other", 5, 9))  # the survey is of another content now
    assert run(tmp_path)[0]["image references resolve"][2] == "unknown"
    survey.survey(settings(), tmp_path / "survey", tmp_path / "survey.json")
    table, message = run(tmp_path)
    assert "2 x image_missing" in table["image references resolve"][1]
    assert f"1 of {len(table)} assumptions differ from {REPOSITORY} (image references resolve)" in message
    assert str(tmp_path / "check.md") in message


def clip(**changes: Any) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda frame: frame.with_columns(**changes)


def audio(contents: list[bytes | None]) -> Callable[[pl.DataFrame], pl.DataFrame]:
    files = pl.Series([{"bytes": content, "path": f"{n}.wav"} for n, content in enumerate(contents)])
    return clip(audio=files)


DURATION, SPEAKER = "audio has a column for duration_s", "audio has a column for speaker"
OF_COLUMNS = {f"audio has a column for {name}" for name in (*survey.TEXTS, "duration_s", "transcript")}
LABELS = {f"labels of {name}" for name in ("language", "district", "state")}
BY_NAME = OF_COLUMNS | LABELS | {"speakers", "durations", "image references", "image references resolve"}
OF_SAMPLES = {"audio.bytes", "durations", "hours by size"}
OF_AUDIO = OF_SAMPLES | {"column of audio", "audio.path", "clips are distinct"}


@pytest.mark.parametrize(
    ("change", "where", "words"),
    [
        (lambda frame: frame.rename({"speakerID": "speaker"}), set(), ""),
        (lambda frame: frame.rename({"audio": "Audio"}), set(), ""),
        (lambda frame: frame.drop("isTranscriptionAvailable"), set(), ""),
        (lambda frame: frame.drop("duration"), {DURATION, "durations"}, "absent; there are"),
        (clip(duration=pl.col("duration").cast(pl.String)), {DURATION}, "duration: .*string"),
        (clip(duration=pl.col("duration") * 1000), {"durations"}, "difference is 1748.250 s"),
        (clip(speakerID=pl.lit("NA")), {"speakers"}, "0 of 4 rows"),
        (clip(Speaker_ID=pl.lit("x")), BY_NAME, "may both be"),
        (clip(referenceImage=pl.lit(None, pl.String)), {"image references"}, "0 of 4 rows"),
        (clip(language=pl.lit("Khari boli")), {"labels of language"}, "lacks: Khari boli"),
        (clip(isTranscriptionAvailable=pl.lit(True)), {"isTranscriptionAvailable"}, "4 x True"),
        (audio([wav(n, rate=8_000, seconds=1 + n / 4) for n in range(4)]), {"audio.bytes", "hours by size"}, "8000 Hz"),
        (audio([wav(0), b"fLaC....", None, wav(3, seconds=1.75)[:-9]]), {"audio.bytes"}, "1 x no WAV: .*fLaC"),
        (audio([b"", None, b"x", None]), OF_SAMPLES, "3 x empty|no clip has"),
        (audio([wav(0)] * 4), {"clips are distinct", "durations"}, "3 of 4 rows repeat"),
        (lambda frame: frame.rename({"audio": "sound"}), OF_AUDIO, "no column audio of bytes and path"),
        (clip(audio=pl.lit([1, 2])), OF_AUDIO, "audio as .*list"),
        (clip(audio=pl.lit("x.wav")), OF_AUDIO, "audio as .*string"),
    ],
)
def test_each_difference_is_told_where_it_is(hub: Hub, tmp_path: Path, change, where: set[str], words: str):
    hub.files[CLIPS] = in_small_groups(change(clips(0)))
    table, message = run(tmp_path)
    assert differing(table) == where
    assert bool(message) == bool(differing(table))
    assert re.search(words, " ".join(table[name][1] for name in differing(table)))
    assert table["pictures decode"][2] == "ok"  # the rest is still looked at


def test_a_shard_without_rows_is_told_wherever_rows_are_needed(hub: Hub, tmp_path: Path):
    hub.files[CLIPS] = in_small_groups(clips(0).clear())
    table, message = run(tmp_path)
    assert message
    assert "no rows" in " ".join(table[name][1] for name in differing(table))
    assert table["pictures decode"][2] == "ok"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no parquet at all, whatever it is called", "not a complete parquet file"),
        (in_small_groups(clips(0))[:-20], "not a complete"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_difference(hub: Hub, tmp_path: Path, content: bytes, words: str):
    hub.files[CLIPS] = content
    table, message = run(tmp_path)
    assert OF_AUDIO | OF_COLUMNS | {"ranges", "row groups of audio"} <= differing(table)
    assert words in table["ranges"][1]
    assert table["pictures decode"][2] == "ok"
    assert "assumptions differ" in message


def test_pictures_that_cannot_be_read_are_counted(hub: Hub, tmp_path: Path):
    files = [{"bytes": jpeg(0), "path": "a0.jpg"}, {"bytes": b"GIF8", "path": "a1"}, {"bytes": None, "path": None}]
    hub.files[PICTURES] = in_small_groups(pl.DataFrame({"image": files}))
    table, _ = run(tmp_path)
    assert table["pictures decode"][1] == "1 of 3: 40 x 30 1 x unreadable; 1 x empty"
    assert differing(table) == {"pictures decode", "image.path"}


def test_labels_that_are_new_are_unknown_not_wrong(hub: Hub, tmp_path: Path):
    hub.files[CLIPS] = in_small_groups(clips(0).with_columns(language=pl.lit("Tulu")))
    table, message = run(tmp_path)
    assert (table["labels of language"][1:], message) == (["not in the table: Tulu", "unknown"], "")


def test_a_server_without_ranges_is_a_difference_and_sends_no_shard(hub: Hub, tmp_path: Path):
    hub.faults = ["no ranges"] * 99
    table, _ = run(tmp_path)
    assert "sends the whole file instead of a part" in table["ranges"][1]
    assert table["commit"][2] == table["sha256"][2] == "ok"
    assert len(hub.downloads()) == 2  # a failure is not tried again for every assumption


def test_patterns_that_match_nothing_are_a_difference(hub: Hub, tmp_path: Path):
    table, message = run(tmp_path, images=["pictures/*"])
    assert "'pictures/*' matches no .parquet file of the repository; folders of" in table["files of pictures"][1]
    assert table["audio.bytes"][2] == "ok"
    assert table["pictures decode"][1:] == ["no file to look at", "unknown"]  # said once is enough
    assert "files of pictures" in message
    assert "pictures decode" not in message


def test_a_file_without_a_sha256_is_named(hub: Hub, tmp_path: Path):
    hub.extra_entries = [{"type": "file", "path": "audio/Goa/x.parquet", "size": 10**9, "oid": "1" * 40}]
    table, _ = run(tmp_path)
    assert table["sha256"][1:] == ["4 of 5 (not audio/Goa/x.parquet)", "differs"]


def test_what_a_repository_says_cannot_break_the_table_or_the_terminal(hub: Hub, tmp_path: Path):
    label = "a | b\n\x1b[2J" + "x" * 1000
    hub.files[CLIPS] = in_small_groups(clips(0).with_columns(language=pl.lit(label)))
    table, _ = run(tmp_path)
    assert len(table) == len(assumptions.ASSUMPTIONS)
    page = (tmp_path / "check.md").read_text()
    assert "\x1b" not in page
    assert "a \\| b \\x1b[2Jxxx" in page
    assert max(map(len, page.splitlines())) < 600


def test_without_a_listing_there_is_nothing_to_compare(hub: Hub, tmp_path: Path):
    hub.gated = True
    with pytest.raises(HubError, match="gated"):
        check.check(settings(), SPELLINGS, tmp_path, tmp_path / "check.md")
    with pytest.raises(ValueError, match="corpus.vaani.revision is not set; `hf datasets info"):
        check.check(settings(revision=None), SPELLINGS, tmp_path, tmp_path / "check.md")
    assert not (tmp_path / "check.md").exists()
