"""Whole shards: their layout, that they are the same every time, and that clips, pictures and truth fit together."""

import hashlib
import io
import os
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image, UnidentifiedImageError

from tests.support.small_scenes import settings
from ves.sources.scenes import fetch, list_shards
from ves.sources.scenes.assignment import Plan
from ves.sources.scenes.faults import CLIP_FAULTS, IMAGE_FAULTS, IMAGE_ODDITIES, clip_defects, image_defects
from ves.sources.scenes.layout import scene

SETTINGS = settings()
COLUMNS = ["audio", "language", "duration", "speakerID", "gender", "state", "district", "pincode", "stay(years)"]
COLUMNS += ["isTranscriptionAvailable", "transcript", "referenceImage", "givenSplit"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The little corpus, every shard of it."""
    folder = tmp_path_factory.mktemp("scenes")
    for shard in list_shards(SETTINGS):
        make(shard["name"], folder)
    return folder


def make(shard: str, folder: Path, **changes) -> None:
    fetch(settings(**changes), shard, folder / "source" / f"{shard}.parquet", folder / "truth" / f"{shard}.parquet")


def names(part: str) -> list[str]:
    return [shard["name"] for shard in list_shards(SETTINGS) if shard["part"] == part]


def table(folder: Path, kind: str, part: str) -> pl.DataFrame:
    frames = [pl.read_parquet(folder / kind / f"{name}.parquet") for name in names(part)]
    return pl.concat(frames, how="diagonal")


def rows(folder: Path) -> dict[int, dict]:
    """Clip number -> its row; the number is in the file name."""
    return {clip_of(row["audio"]["path"]): row for row in table(folder, "source", "audio").iter_rows(named=True)}


def clip_of(path: str) -> int:
    return next(int(part) for part in path.split("_")[5:] if len(part) == 8 and part.isdecimal() and part[0] == "0")


def test_shards_are_listed_in_vaanis_layout():
    listed = list_shards(SETTINGS)
    assert [shard["part"] for shard in listed] == ["audio"] * 4 + ["images"] * 2
    assert listed[0] == {
        "name": "audio/WestBengal/Darjeeling/train-00000-of-00001", "part": "audio", "bytes": None, "sha256": None
    }  # fmt: skip
    assert listed[-1]["name"] == "images/train-00001-of-00002"


def test_a_shard_that_is_not_listed_is_an_error_that_names_the_others(tmp_path):
    with pytest.raises(ValueError, match=r"no shard 'images/x'.*images/train-00000-of-00002"):
        make("images/x", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_clips_about_pictures_that_training_must_not_see_say_so(folder):
    defects, plan, kept = clip_defects(SETTINGS), Plan(SETTINGS), 0
    for clip, row in rows(folder).items():
        if defects.get(clip) != "duplicate":  # it tells of the picture of the clip that it repeats
            seen = scene(SETTINGS, int(plan.image[clip])).seen
            assert row["givenSplit"] == (None if seen else "held_out")
            kept += not seen
    assert kept > 0


@pytest.mark.parametrize("threads", ["1", "2"])
def test_another_process_makes_the_same_bytes_with_any_number_of_threads(folder, tmp_path, threads):
    """Whatever numpy and Pillow do in parallel, and in whatever order a shard is made."""
    shard = names("images")[-1]
    code = (
        "import sys; from pathlib import Path; from ves.config.corpus import ScenesConfig; "
        "from ves.sources.scenes import fetch; text, shard, out = sys.argv[1:]; "
        "fetch(ScenesConfig.model_validate_json(text), shard, Path(out) / 's.parquet', Path(out) / 't.parquet')"
    )
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
    environment = {**os.environ, **dict.fromkeys(variables, threads), "PYTHONPATH": str(Path.cwd())}
    arguments = [sys.executable, "-c", code, SETTINGS.model_dump_json(), shard, str(tmp_path)]
    subprocess.run(arguments, check=True, env=environment)
    for kind, file in (("source", "s.parquet"), ("truth", "t.parquet")):
        assert (tmp_path / file).read_bytes() == (folder / kind / f"{shard}.parquet").read_bytes()


@pytest.mark.parametrize("part", ["audio", "images"])
def test_the_same_settings_give_the_same_bytes(folder, tmp_path, part):
    shard = names(part)[-1]
    make(shard, tmp_path)
    for kind in ("source", "truth"):
        again, first = (base / kind / f"{shard}.parquet" for base in (tmp_path, folder))
        assert again.read_bytes() == first.read_bytes(), kind
    make(shard, tmp_path, seed=4)
    assert (tmp_path / "source" / f"{shard}.parquet").read_bytes() != first.read_bytes()


def test_columns_are_vaanis_and_one_small_district_has_the_older_ones(folder):
    frames = [pl.read_parquet(folder / "source" / f"{name}.parquet") for name in names("audio")]
    assert all(frame.columns == COLUMNS for frame in frames[:-1])
    assert frames[-1].columns == [column for column in COLUMNS if column not in ("duration", "speakerID")]
    assert len(frames[-1]) < 0.4 * min(len(frame) for frame in frames[:-1])
    schema = frames[0].schema
    assert schema["audio"] == pl.Struct({"bytes": pl.Binary, "path": pl.String})
    assert (schema["pincode"], schema["duration"], schema["transcript"]) == (pl.Int64, pl.Float64, pl.String)
    images = table(folder, "source", "images")
    assert images.schema == {"image": pl.Struct({"bytes": pl.Binary, "path": pl.String})}


def test_every_clip_is_there_once_and_a_few_are_transcribed(folder):
    clips = rows(folder)
    assert sorted(clips) == list(range(SETTINGS.clips))
    written = [row["transcript"] for row in clips.values() if row["isTranscriptionAvailable"] == "Yes"]
    assert 1 <= len(written) <= 0.15 * SETTINGS.clips
    assert all(written)
    assert all(row["transcript"] is None for row in clips.values() if row["isTranscriptionAvailable"] == "No")


def test_sound_clips_are_16_khz_mono_wav_that_last_as_long_as_the_row_says(folder):
    defects = clip_defects(SETTINGS)
    for clip, row in rows(folder).items():
        if defects.get(clip) not in CLIP_FAULTS:
            with wave.open(io.BytesIO(row["audio"]["bytes"])) as file:
                assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
                samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            assert row["duration"] in (None, len(samples) / 16_000)
            assert 0.2 * 32767 < np.abs(samples.astype(int)).max() < 32767
            begin, end = map(int, row["audio"]["path"].removesuffix(".wav").split("_")[-2:])
            assert abs((end - begin) - len(samples) / 16) <= 1


def test_references_meet_a_picture_unless_the_fault_says_otherwise(folder):
    """As ingest may: up to a leading slash, the directory, and case."""
    defects, broken = clip_defects(SETTINGS), image_defects(SETTINGS)
    present = {path.split("/")[-1].lower() for path in table(folder, "source", "images")["image"].struct.field("path")}
    plan, forms = Plan(SETTINGS), set()
    for clip, row in rows(folder).items():
        reference, fault = row["referenceImage"], defects.get(clip)
        if fault == "null_reference":
            assert reference is None
        elif fault == "empty_reference":
            assert reference == ""
        elif fault == "missing_image" or broken.get(int(plan.image[clip])) == "unnamed_image":
            assert reference.split("/")[-1].lower() not in present or fault == "duplicate"
        else:
            assert reference.split("/")[-1].lower() in present
            forms.add((reference.startswith("/"), "/" in reference, reference.endswith(".JPG")))
    assert len(forms) == 4


def test_each_audio_fault_is_what_it_says(folder):
    defects, clips = clip_defects(SETTINGS), rows(folder)
    kinds = {fault: [clips[clip] for clip, kind in defects.items() if kind == fault] for fault in CLIP_FAULTS}
    for row in kinds["garbage_audio"]:
        assert not row["audio"]["bytes"].startswith(b"RIFF")
    assert all(row["audio"]["bytes"] is None for row in kinds["no_audio"])
    for fault, check in (("empty_audio", lambda s: s == b""), ("silent_audio", lambda s: len(s) > 0 and not any(s))):
        for row in kinds[fault]:
            with wave.open(io.BytesIO(row["audio"]["bytes"])) as file:
                assert check(file.readframes(file.getnframes())), fault
    for row in kinds["truncated_audio"]:
        with wave.open(io.BytesIO(row["audio"]["bytes"])) as file:
            assert 2 * file.getnframes() > len(file.readframes(file.getnframes())) > 0
    nobody = [clips[clip] for clip, kind in defects.items() if kind == "unknown_speaker"]
    assert all(row["speakerID"] in ("NA", None) for row in nobody)
    assert {clip for clip, row in clips.items() if row["language"] is None} >= {
        clip for clip, kind in defects.items() if kind == "no_language"
    }


def test_duplicates_repeat_the_bytes_of_an_earlier_clip_and_nothing_else_does(folder):
    defects, seen, repeated = clip_defects(SETTINGS), {}, set()
    for clip, row in sorted(rows(folder).items()):
        content = row["audio"]["bytes"]
        if content is not None and defects.get(clip) not in ("empty_audio", "silent_audio"):
            repeated |= {clip} if (row["district"], content) in seen else set()
            seen[row["district"], content] = clip
    assert repeated == {clip for clip, kind in defects.items() if kind == "duplicate"}


def test_each_image_fault_and_double_is_what_it_says(folder):
    plan, defects = Plan(SETTINGS), image_defects(SETTINGS)
    files = [(row["path"], row["bytes"]) for row in table(folder, "source", "images")["image"]]
    by_path = dict(files)
    assert set(defects.values()) == {*IMAGE_FAULTS, *IMAGE_ODDITIES}
    assert len(files) == SETTINGS.images + sum(kind in IMAGE_ODDITIES for kind in defects.values())
    assert sum(path == "" for path, _ in files) == sum(kind == "unnamed_image" for kind in defects.values())
    for image in range(SETTINGS.images):
        path, defect = plan.image_path(image), defects.get(image)
        assert (path not in by_path) == (defect == "unnamed_image")
        content = by_path.get(path, b"")
        if defect == "garbage_image":
            with pytest.raises(UnidentifiedImageError):
                Image.open(io.BytesIO(content))
        elif defect == "truncated_image":
            with pytest.raises(OSError, match="truncated"):
                Image.open(io.BytesIO(content)).load()
        elif defect != "unnamed_image":
            drawn = scene(SETTINGS, image)
            assert Image.open(io.BytesIO(content)).size == (drawn.width, drawn.height)
    doubles = len(files) - len({hashlib.sha256(content).digest() for _, content in files})
    assert doubles == sum(kind == "twin" for kind in defects.values())


def test_some_clips_speak_of_a_picture_by_its_second_name(folder):
    numbers = [int(row["referenceImage"].split("GENERIC_")[1][:4]) for row in rows(folder).values()
               if row["referenceImage"] and "GENERIC_" in row["referenceImage"]]  # fmt: skip
    assert any(number > SETTINGS.images for number in numbers)


def test_picture_truth_belongs_to_the_file_and_covers_every_thing(folder):
    truth = table(folder, "truth", "images")
    paths = {row["path"]: row["bytes"] for row in table(folder, "source", "images")["image"]}
    plan, defects = Plan(SETTINGS), image_defects(SETTINGS)
    for image in range(SETTINGS.images):
        path = plan.image_path(image)
        known = truth.filter(pl.col("image_path") == path).sort("object")
        if defects.get(image) in IMAGE_FAULTS:
            assert len(known) == 0
            continue
        things = scene(SETTINGS, image).things
        assert known["kind"].to_list() == [thing.kind for thing in things]
        assert known["colour"].to_list() == [thing.colour for thing in things]
        assert known["picture"].to_list() == [thing.picture for thing in things]
        assert known["seen_picture"].to_list() == [thing.seen for thing in things]
        assert set(known["image_id"]) == {hashlib.sha256(paths[path]).hexdigest()}
        for row in known.iter_rows(named=True):
            mask = np.asarray(Image.open(io.BytesIO(row["mask"])))
            left, top, right, bottom = row["box"]
            assert mask.dtype == bool
            assert mask.sum() == mask[top:bottom, left:right].sum() == row["visible_pixels"] > 0
            assert mask[top].any()
            assert mask[bottom - 1].any()
            assert mask[:, left].any()
            assert mask[:, right - 1].any()


def test_word_truth_names_what_is_in_the_clips_picture(folder):
    truth, plan, defects = table(folder, "truth", "audio"), Plan(SETTINGS), clip_defects(SETTINGS)
    with_truth = {clip_of(path) for path in truth["source_path"].unique()}
    unheard = {clip for clip, kind in defects.items() if kind in CLIP_FAULTS and kind != "duplicate"}
    assert with_truth == set(range(SETTINGS.clips)) - unheard
    for (path,), words in truth.group_by("source_path", maintain_order=True):
        assert words["word"].to_list() == list(range(len(words)))
        assert words["snr_db"].n_unique() == 1, "of the clip, not of the word"
        assert SETTINGS.snr_db[0] <= words["snr_db"][0] <= SETTINGS.snr_db[1]
        things = scene(SETTINGS, int(plan.image[clip_of(path)])).things
        if defects.get(clip_of(path)) == "duplicate":
            continue  # tells of the picture of the clip it repeats
        for word in words.iter_rows(named=True):
            match word["role"]:
                case "noun":
                    assert things[word["object"]].kind == word["english"]
                case "colour":
                    assert things[word["object"]].colour == word["english"]
                case role:
                    assert (role, word["object"]) == ("other", -1)
