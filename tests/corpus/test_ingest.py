"""One shard through ingest: what is taken, what is refused and why, in the layout and the drifts of Vaani."""

import hashlib
import io
import re
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import soundfile
from PIL import Image

from ves.base.files import write_json
from ves.commands import corpus as commands
from ves.config.corpus import CorpusSettings, VaaniConfig
from ves.corpus import ingest, recordings, shard_reader
from ves.corpus.ingest import ingest_audio, ingest_images
from ves.media import images
from ves.store.audio import AudioStore

SHARD, PICTURES = "audio/Goa/North/train-00000-of-00001", "images/train-00000-of-00001"


def corpus(keep_seconds: float | None = None, most: float = 1.0) -> CorpusSettings:
    none = dict.fromkeys(
        ("shards_per_district", "languages", "districts", "clips", "clips_per_language", "clips_per_image")
    )
    vaani = VaaniConfig(repository="a/b", revision="0" * 40, audio=["a"], images=["i"], seed=0, **none)
    return CorpusSettings(name="t", kind="vaani", keep_seconds=keep_seconds, labels=None, max_refused=most, vaani=vaani)


def wav(seed: int, seconds: float = 0.5, rate: int = 16_000) -> bytes:
    samples = np.random.default_rng(seed).integers(-9_000, 9_000, round(seconds * rate), dtype=np.int16)
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def jpeg(seed: int, size: tuple[int, int] = (40, 30)) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize(size).save(file, "JPEG")
    return file.getvalue()


def clip(content: bytes | None, path: str | None = "c.wav", **texts) -> dict:
    texts = {"language": "Hindi", "speakerID": "S1", "referenceImage": "Images/a.jpg"} | texts
    return {"audio": {"bytes": content, "path": path}, **texts}


def write(path: Path, rows: list[dict], **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(path, **options)
    return path


def audio_part(folder: Path, rows: list[dict], keep_seconds: float | None = None) -> pl.DataFrame:
    source = write(folder / "source.parquet", rows, row_group_size=3)
    ingest_audio(corpus(keep_seconds), SHARD, source, folder / "audio.zarr", folder / "part.parquet")
    return pl.read_parquet(folder / "part.parquet")


def test_every_row_is_taken_or_refused_with_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shard_reader, "BATCH", 2)
    whole = wav(9)
    rows = [
        (clip(wav(0)), None),
        (clip(None), "empty"),
        (clip(b""), "empty"),
        (clip(b"not audio at all" * 9), "unreadable"),
        (clip(wav(1), language=None), "no_language"),
        (clip(wav(2), language="  "), "no_language"),
        (clip(wav(3), referenceImage=None), "no_reference"),
        (clip(wav(4), referenceImage=""), "no_reference"),
        (clip(wav(5, 0.0)), "zero_length"),
        (clip(whole[:5_000]), "truncated"),
        (clip(wav(6, 0.7, 8_000), path=None), None),
        (clip(wav(7, 0.05)), "too_short"),
        (clip(wav(8)), None),
        (clip(wav(10), "a/../../c.wav"), "unsafe_name"),
        (clip(wav(11), referenceImage="..\\a.jpg"), "unsafe_name"),
        (clip(wav(12), referenceImage="C:\\a.jpg"), "unsafe_name"),
        (clip(wav(13), "c\0.wav"), "unsafe_name"),
        ({**clip(wav(14)), "audio": None}, "empty"),
        (clip(wav(15), "/..c/c..wav"), None),
    ]
    part = audio_part(tmp_path, [row for row, _ in rows])
    assert part["reason"].to_list() == [reason for _, reason in rows]
    assert part["source_row"].to_list() == list(range(len(rows)))
    assert part["row"].to_list() == [0, *[None] * 9, 1, None, 2, *[None] * 5, 3]
    refused = pl.col("reason").is_not_null()
    assert part.filter(refused)["detail"].null_count() == 0
    assert part.filter(~refused)["duration_s"].to_list() == [0.5, 0.7, 0.5, 0.5]
    assert part.schema == ingest.CLIPS
    store = AudioStore(tmp_path / "audio.zarr")
    for row, content in ((0, wav(0)), (2, wav(8))):
        np.testing.assert_array_equal(store.read(SHARD, row), soundfile.read(io.BytesIO(content), dtype="int16")[0])
    assert len(store.read(SHARD, 1)) == 11_200  # 0.7 s, now at 16 kHz


def test_the_log_counts_clips_whose_channels_cancel(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    voice = np.random.default_rng(0).integers(-9_000, 9_000, 8_000, dtype=np.int16)
    file = io.BytesIO()
    soundfile.write(file, np.stack([voice, -voice], 1), 16_000, format="WAV", subtype="PCM_16")
    with caplog.at_level("INFO"):
        part = audio_part(tmp_path, [clip(file.getvalue()), clip(wav(1))])
    assert part["reason"].to_list() == [None, None]
    assert "of 1 clips: channels that cancel: the loudest was taken" in caplog.text
    np.testing.assert_array_equal(AudioStore(tmp_path / "audio.zarr").read(SHARD, 0), voice)


def test_columns_may_be_absent_or_of_another_type(tmp_path: Path):
    row = {"audio": {"bytes": wav(0), "path": "c.wav"}, "language": "Hindi", "referenceImage": "a.jpg", "pincode": 7}
    part = audio_part(tmp_path, [row])
    assert part.select("reason", "district", "speaker").row(0) == (None, None, None)
    part = audio_part(tmp_path, [row | {"speakerID": 17, "district": "NorthGoa", "state": "Goa", "gender": "F"}])
    assert part.select("speaker", "district", "state").row(0) == ("17", "NorthGoa", "Goa")
    part = audio_part(
        tmp_path, [{"Audio": row["audio"], "Language": "Hindi", "reference_image": "a", "Speaker ID": 3.0}]
    )
    assert part.select("reason", "language", "image_reference", "speaker").row(0) == (None, "Hindi", "a", "3")


def test_speakers_without_a_name_are_unknown(tmp_path: Path):
    rows = [clip(wav(i), speakerID=name) for i, name in enumerate(["NA", "", None, " S2 ", "na", "nana", "17.0"])]
    assert audio_part(tmp_path, rows)["speaker"].to_list() == [None, None, None, "S2", None, "nana", "17"]


def test_keep_seconds_caps_what_is_stored_not_what_is_known(tmp_path: Path):
    part = audio_part(tmp_path, [clip(wav(0, 1.5)), clip(wav(1, 0.4))], keep_seconds=0.75)
    store = AudioStore(tmp_path / "audio.zarr")
    assert [len(store.read(SHARD, row)) for row in (0, 1)] == [12_000, 6_400]
    assert part["duration_s"].to_list() == [1.5, 0.4]


def test_other_samples_make_another_part(tmp_path: Path):
    """The store is sealed anew after a part that changed; only the samples differ here, no row does."""
    rows = [clip(wav(0, 1.5))]
    one, other = (audio_part(tmp_path / str(kept), rows, keep_seconds=kept) for kept in (0.5, 0.75))
    assert one.equals(other)
    assert (tmp_path / "0.5/part.parquet").read_bytes() != (tmp_path / "0.75/part.parquet").read_bytes()


def test_a_second_run_gives_the_same_bytes(tmp_path: Path):
    rows = [clip(wav(i)) for i in range(9)] + [clip(b"x")]
    for name in ("a", "b"):
        audio_part(tmp_path / name, rows)
    files = [p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()]
    assert Path("part.parquet") in files
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95, 0.999])
def test_a_cut_off_shard_is_named(tmp_path: Path, share: float):
    source = write(tmp_path / "s.parquet", [clip(wav(i)) for i in range(8)], row_group_size=2)
    source.write_bytes(source.read_bytes()[: int(share * source.stat().st_size)])
    with pytest.raises(ValueError, match=r"s\.parquet: not a complete parquet file .*delete it and run again"):
        ingest_audio(corpus(), SHARD, source, tmp_path / "audio.zarr", tmp_path / "part.parquet")
    assert not (tmp_path / "part.parquet").exists()
    assert not (tmp_path / "audio.zarr" / SHARD).exists()


def test_a_shard_of_which_too_much_is_refused_leaves_nothing(tmp_path: Path):
    rows = [clip(wav(0)), clip(b"x" * 99, "x.wav"), clip(wav(1), language=None), clip(b"", "y.wav"), clip(wav(2))]
    source = write(tmp_path / "s.parquet", [*rows, clip(b"", "z.wav")])
    paths = source, tmp_path / "audio.zarr", tmp_path / "part.parquet"
    with pytest.raises(ValueError, match="^audio/Goa/.*: 4 of 6 rows refused, more than corpus.max_refused") as caught:
        ingest_audio(corpus(most=0.5), SHARD, *paths)
    shown = "(0.5): empty 2, such as row 3, y.wav: 0 bytes; unreadable 1, such as row 1, x.wav: .*; no_language 1, "
    assert re.search(re.escape(shown).replace(r"\.\*", ".*"), str(caught.value))
    assert str(caught.value).endswith("to use the other rows all the same, raise corpus.max_refused")
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path != source]
    ingest_audio(corpus(most=4 / 6), SHARD, *paths)
    assert (tmp_path / "audio.zarr" / SHARD / "zarr.json").is_file()


def test_what_the_source_refuses_counts_too(tmp_path: Path):
    rows = [clip(wav(0)), clip(None, refused="missing_file", refusedDetail="there is no c.wav")]
    with pytest.raises(
        ValueError, match="1 of 2 rows refused.*missing_file 1, such as row 1, c.wav: there is no c.wav"
    ):
        ingest_audio(
            corpus(most=0.4), SHARD, write(tmp_path / "s.parquet", rows), tmp_path / "a.zarr", tmp_path / "p.parquet"
        )


def test_only_chosen_rows_are_taken_and_others_are_no_refusals(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    rows = [clip(wav(i)) if i % 3 else clip(b"", f"{i}.wav") for i in range(11)]
    source = write(tmp_path / "source.parquet", rows, row_group_size=3)
    chosen = np.array([1, 6, 7, 10], np.uint32)
    with caplog.at_level("INFO"):
        ingest_audio(corpus(), SHARD, source, tmp_path / "audio.zarr", tmp_path / "part.parquet", chosen)
    part = pl.read_parquet(tmp_path / "part.parquet")
    assert part["source_row"].to_list() == [1, 6, 7, 10]
    assert part["reason"].to_list() == [None, "empty", None, None]
    assert part["row"].to_list() == [0, None, 1, 2]
    assert "4 rows, 1 refused (empty 1), 7 not chosen" in caplog.text
    samples = AudioStore(tmp_path / "audio.zarr").read(SHARD, 1)
    np.testing.assert_array_equal(samples, soundfile.read(io.BytesIO(wav(7)), dtype="int16")[0])


def test_the_stage_takes_what_the_listing_says_was_chosen(tmp_path: Path):
    source = write(tmp_path / "source.parquet", [clip(wav(i)) for i in range(5)])
    numbers = np.array([1, 4], "<u4")
    write(tmp_path / f"chosen/{SHARD}.parquet", [{"source_row": n} for n in numbers])
    chosen = {"rows": 2, "sha256": hashlib.sha256(numbers.tobytes()).hexdigest()}
    write_json(tmp_path / "shards.json", {"shards": [{"name": SHARD, "part": "audio", "chosen": chosen}]})
    write_json(tmp_path / "corpus.json", corpus().model_dump(mode="json"))
    commands.ingest_audio(
        corpus=tmp_path / "corpus.json", listing=tmp_path / "shards.json", shard=SHARD, source=source,
        store=tmp_path / "audio.zarr", part=tmp_path / "part.parquet",
    )  # fmt: skip
    assert pl.read_parquet(tmp_path / "part.parquet")["source_row"].to_list() == [1, 4]


def test_what_is_said_goes_to_the_truth_and_nowhere_else(tmp_path: Path):
    said = [" नमस्ते <pause> ", "", None, "refused"]
    rows = [clip(wav(i) if text != "refused" else b"", transcript=text) for i, text in enumerate(said)]
    source, paths = write(tmp_path / "s.parquet", rows), (tmp_path / "a.zarr", tmp_path / "part.parquet")
    ingest_audio(corpus(), SHARD, source, *paths, truth=tmp_path / "truth/x.parquet")
    part, truth = pl.read_parquet(paths[1]), pl.read_parquet(tmp_path / "truth/x.parquet")
    assert truth.rows() == [(part["clip_id"][0], "नमस्ते <pause>")]
    assert truth.schema == ingest.TRUTH
    assert part.schema == ingest.CLIPS
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "truth" and path != source]
    assert not [path for path in files if "नमस्ते".encode() in path.read_bytes()]


def image_part(folder: Path, rows: list[tuple[bytes | None, str | None]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    source = write(folder / "s.parquet", [{"image": {"bytes": b, "path": p}} for b, p in rows], row_group_size=7)
    ingest_images(corpus(), PICTURES, source, folder / "pictures.parquet", folder / "part.parquet")
    return pl.read_parquet(folder / "part.parquet"), pl.read_parquet(folder / "pictures.parquet")


def test_pictures_are_kept_once_by_content(tmp_path: Path):
    a, b, c = jpeg(1), jpeg(2, (20, 50)), jpeg(3)
    part, pictures = image_part(
        tmp_path,
        [(a, "a.jpg"), (b"broken", "x.jpg"), (b, "b.jpg"), (a, "a2.jpg"), (None, "y.jpg"), (c, None), (c, "c.jpg")],
    )
    assert part["reason"].is_not_null().to_list() == [False, True, False, False, True, True, False]
    assert part["reason"].to_list()[4:6] == ["empty", "no_name"]
    assert part["row_in_shard"].to_list() == [0, None, 1, 0, None, None, 2]
    assert part.schema == ingest.PICTURES
    assert pictures["bytes"].to_list() == [a, b, c]
    assert pictures["image_id"].to_list() == part["image_id"].gather([0, 2, 6]).to_list()
    assert part.select("width", "height", "phash").row(2) == (20, 50, images.phash(images.decode(b)))
    assert part["image_id"][0] == part["image_id"][3]


def test_many_pictures_keep_their_order_in_row_groups(tmp_path: Path):
    contents = [jpeg(seed, (16, 16)) for seed in range(150)]
    part, pictures = image_part(tmp_path, [(content, f"{i}.jpg") for i, content in enumerate(contents)])
    assert pictures["bytes"].to_list() == contents
    assert part["row_in_shard"].to_list() == list(range(150))
    again = image_part(tmp_path / "again", [(content, f"{i}.jpg") for i, content in enumerate(contents)])
    assert again[1].equals(pictures)
    assert (tmp_path / "again/pictures.parquet").read_bytes() == (tmp_path / "pictures.parquet").read_bytes()


def test_a_shard_without_any_good_picture(tmp_path: Path):
    part, pictures = image_part(tmp_path, [(b"broken", "x.jpg")])
    assert (len(part), len(pictures)) == (1, 0)
    assert pictures.schema == {"image_id": pl.String, "bytes": pl.Binary}


def test_pictures_with_names_that_leave_their_folder_are_refused(tmp_path: Path):
    names = ["../a.jpg", "a/..", "C:/a.jpg", "a\n.jpg", "/a.jpg", "..a/b...jpg"]
    part, pictures = image_part(tmp_path, [(jpeg(i), name) for i, name in enumerate(names)])
    assert part["reason"].to_list() == ["unsafe_name"] * 4 + [None] * 2
    assert part["detail"][0] == "image.path '../a.jpg' has a component .."
    assert pictures["bytes"].to_list() == [jpeg(4), jpeg(5)]


def test_too_many_refused_pictures_leave_nothing(tmp_path: Path):
    source = write(tmp_path / "s.parquet", [{"image": {"bytes": b"x", "path": "x.jpg"}}] * 70)
    with pytest.raises(
        ValueError, match=r"^images/train.*: 70 of 70 rows refused, more .* \(0\.9\): unreadable 70, such"
    ):
        ingest_images(corpus(most=0.9), PICTURES, source, tmp_path / "pictures.parquet", tmp_path / "part.parquet")
    assert [path.name for path in tmp_path.rglob("*")] == ["s.parquet"]


def test_large_pictures_make_small_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    contents = [jpeg(seed, (16, 16)) for seed in range(9)]
    monkeypatch.setattr(ingest, "ROW_GROUP_BYTES", 2 * len(contents[0]) + 100)
    image_part(tmp_path, [(content, f"{i}.jpg") for i, content in enumerate(contents)])
    file = pq.ParquetFile(tmp_path / "pictures.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [3, 3, 3]
    shard = images.read_encoded(tmp_path, "pictures", [7, 2])
    assert [content for _, content in shard] == [contents[7], contents[2]]


FILM = {"recordingID": "film", "segment": 0, "frames": ["x.jpg", "Images/a.jpg"]}


def test_what_a_shard_says_of_recordings_is_in_its_part(tmp_path: Path):
    rows = [
        (FILM, None),
        (FILM | {"segment": None, "frames": None}, None),
        ({"recordingID": None, "segment": None, "frames": [" Images/a.jpg "]}, None),
        (FILM | {"recordingID": None}, "bad_segment"),
        (FILM | {"recordingID": " "}, "bad_segment"),
        (FILM | {"segment": -1}, "bad_segment"),
        (FILM | {"segment": 2**32}, "bad_segment"),
        (FILM | {"frames": []}, "bad_frames"),
        (FILM | {"frames": ["x.jpg", "y.jpg"]}, "bad_frames"),
        (FILM | {"frames": ["Images/a.jpg", None]}, "bad_frames"),
        (FILM | {"frames": ["Images/a.jpg", " "]}, "bad_frames"),
        (FILM | {"frames": ["Images/a.jpg", "../x.jpg"]}, "unsafe_name"),
        (FILM | {"language": None, "segment": -7}, "no_language"),
    ]
    part = audio_part(tmp_path, [clip(wav(n), **said) for n, (said, _) in enumerate(rows)])
    assert part["reason"].to_list() == [reason for _, reason in rows]
    assert part.schema == ingest.CLIPS | recordings.COLUMNS
    assert part.select(*recordings.COLUMNS).head(3).rows() == [
        ("film", 0, ["x.jpg", "Images/a.jpg"]),
        ("film", None, None),
        (None, None, ["Images/a.jpg"]),
    ]
    assert part.tail(-3).select(*recordings.COLUMNS).unique().rows() == [(None, None, None)]
    assert part["detail"].to_list()[3:12] == [
        "segment is 0, but the clip is of no recording",
        "segment is 0, but the clip is of no recording",
        "segment is -1; it has to be a whole number from 0",
        "segment is 4294967296; it has to be a whole number from 0",
        "frames is an empty list; null means that there is one picture, that of the reference",
        "the picture of the reference, Images/a.jpg, is none of the frames",
        "frame 1 of 2 has no name",
        "frame 1 of 2 has no name",
        "frames: '../x.jpg' has a component ..",
    ]


def test_segments_may_be_written_as_pandas_writes_them(tmp_path: Path):
    said = [{"recordingID": 17.0, "segment": value} for value in (3.0, None, float("nan"), 0.5)]
    part = audio_part(tmp_path, [clip(wav(n), **texts) for n, texts in enumerate(said)])
    assert part.select("recording_id", "segment", "reason").rows() == [
        ("17", 3, None), ("17", None, None), ("17", None, None), (None, None, "bad_segment")
    ]  # fmt: skip


@pytest.mark.parametrize("column", ["recordingID", "frames"])
def test_one_column_is_enough_for_all_three(tmp_path: Path, column: str):
    part = audio_part(tmp_path, [clip(wav(0), **{column: FILM[column]})])
    assert part.schema == ingest.CLIPS | recordings.COLUMNS
    assert part["reason"].null_count() == 1
