"""Truth files: absent is no fault, half absent is one, and everything is joined to what was embedded."""

import io
import typing
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from ves.config import slices
from ves.config.check import load
from ves.config.corpus import SourceBlocks
from ves.config.experiment import DataPaths
from ves.evaluation.truth import OBJECTS, NoTruth, decode_mask, folder_of, noise, objects, phrases, transcripts, words
from ves.sources.kinds import SOURCES

OVERLAYS = {"pairs": "pairs.yaml", "vaani": "vaani-mini.yaml"}  # files of config/ with a corpus of this kind
CLIPS = pl.DataFrame({"clip_id": ["b", "a"], "shard": ["audio/x", "audio/y"], "source_path": ["1.wav", "1.wav"]})
IMAGES = pl.DataFrame({"image_id": ["i", "j"], "shard": ["images/x", "images/x"]})


def word_table(path: str, *texts: str) -> pl.DataFrame:
    count = len(texts)
    return pl.DataFrame(
        {
            "source_path": [path] * count, "word": range(count), "text": texts, "english": texts,
            "role": ["noun"] * count, "object": [0] * count, "start_s": [0.0] * count, "end_s": [1.0] * count,
        }
    )  # fmt: skip


def manifest(folder: Path) -> Path:
    """The manifest of a corpus of three clips."""
    save(folder / "manifest.parquet", pl.DataFrame({"clip_id": ["a", "b", "c"]}))
    return folder / "manifest.parquet"


def save(path, frame: pl.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path)


def test_words_belong_to_a_shard_and_a_path(tmp_path):
    """Both clips are called 1.wav: the shard tells them apart. Clips keep their order, words that of speech."""
    save(
        tmp_path / "audio/x.parquet", pl.concat([word_table("1.wav", "one", "two")[::-1], word_table("2.wav", "other")])
    )
    save(tmp_path / "audio/y.parquet", word_table("1.wav", "three"))
    found = words(tmp_path, CLIPS)
    assert found["text"].to_list() == ["one", "two", "three"]
    assert found["clip_id"].to_list() == ["b", "b", "a"]


def test_words_of_one_meaning_that_follow_each_other_are_one_phrase(tmp_path):
    said = [  # clip, word, text, english, role, object
        ("1.wav", 0, "इस", "in this picture", "other", -1),
        ("1.wav", 1, "तस्वीर", "in this picture", "other", -1),
        ("1.wav", 2, "है", "is", "other", -1),
        ("1.wav", 3, "लाल", "red", "colour", 2),
        ("1.wav", 4, "चाय", "tea", "noun", 2),
        ("1.wav", 5, "कप", "cup", "noun", 2),  # two words of one object are one noun, whatever each means
        ("1.wav", 6, "कप", "cup", "noun", 0),
        ("1.wav", 8, "कप", "cup", "noun", 0),  # a word lies between: it is named twice
        ("2.wav", 9, "कप", "cup", "noun", 0),  # another clip, whatever its number
    ]
    rows = [dict(zip(("source_path", "word", "text", "english", "role", "object"), row, strict=True)) for row in said]
    times = pl.DataFrame({"start_s": np.arange(9) * 0.5, "end_s": np.arange(9) * 0.5 + 0.4})
    save(tmp_path / "audio/x.parquet", pl.concat([pl.DataFrame(rows), times], how="horizontal"))
    clips = pl.DataFrame({"clip_id": ["a", "b"], "shard": ["audio/x"] * 2, "source_path": ["1.wav", "2.wav"]})
    found = phrases(tmp_path, clips)
    assert found["text"].to_list() == ["इस तस्वीर", "है", "लाल", "चाय कप", "कप", "कप", "कप"]
    assert found["english"].to_list() == ["in this picture", "is", "red", "tea cup", "cup", "cup", "cup"]
    assert found["clip_id"].to_list() == ["a"] * 6 + ["b"]
    assert found.select("start_s", "end_s").row(0) == pytest.approx((0.0, 0.9))


def test_absent_is_no_fault_half_absent_is_one(tmp_path):
    with pytest.raises(NoTruth, match="this corpus has no word timings"):
        words(tmp_path, CLIPS)
    with pytest.raises(NoTruth, match="this corpus has no object masks"):
        objects(tmp_path, IMAGES)
    save(tmp_path / "audio/y.parquet", word_table("1.wav", "three"))
    with pytest.raises(FileNotFoundError, match=r"x\.parquet: absent, while other shards have word timings"):
        words(tmp_path, CLIPS)


def test_transcripts_without_times_are_no_word_timings(tmp_path):
    for shard in ("x", "y"):
        save(tmp_path / f"audio/{shard}.parquet", word_table("1.wav", "one").drop("start_s", "end_s"))
    with pytest.raises(NoTruth, match="no column start_s, end_s"):
        words(tmp_path, CLIPS)


def test_noise_is_of_a_clip_and_may_be_unknown_of_one_or_of_all(tmp_path):
    save(tmp_path / "audio/x.parquet", word_table("1.wav", "a", "b").with_columns(snr_db=12.5))
    save(tmp_path / "audio/y.parquet", word_table("2.wav", "a").with_columns(snr_db=20.0))
    found = noise(tmp_path, CLIPS)
    assert found.select("clip_id", "snr_db").rows() == [("b", 12.5), ("a", None)]
    save(tmp_path / "audio/y.parquet", word_table("2.wav", "a"))
    with pytest.raises(NoTruth, match="no noise levels: its truth has no column snr_db"):
        noise(tmp_path, CLIPS)
    with pytest.raises(NoTruth, match="this corpus has no noise levels"):
        noise(tmp_path / "nowhere", CLIPS)


def test_truth_of_other_clips_is_an_error(tmp_path):
    for shard in ("x", "y"):
        save(tmp_path / f"audio/{shard}.parquet", word_table("elsewhere.wav", "one"))
    with pytest.raises(ValueError, match="no word of 2 clips; corpus and truth do not belong together"):
        words(tmp_path, CLIPS)


def test_noise_levels_of_other_clips_are_an_error(tmp_path):
    for shard in ("x", "y"):
        save(tmp_path / f"audio/{shard}.parquet", word_table("elsewhere.wav", "one").with_columns(snr_db=12.5))
    with pytest.raises(ValueError, match="no noise level of 2 clips; corpus and truth do not belong together"):
        noise(tmp_path, CLIPS)


def test_objects_of_other_pictures_are_an_error(tmp_path):
    thing = {"image_id": "elsewhere", "object": 0, "kind": "cup", "colour": "red", "visible_pixels": 4, "mask": b"m"}
    save(tmp_path / "images/x.parquet", pl.DataFrame([thing]))
    with pytest.raises(ValueError, match="no object of 2 pictures; corpus and truth do not belong together"):
        objects(tmp_path, IMAGES)


def transcribed(folder: Path, *clips: str) -> None:
    """A truth that has the transcripts of these clips, in one of two shards."""
    rows = {"clip_id": clips, "transcript": [f"transcript of {clip}" for clip in clips]}
    schema = dict.fromkeys(rows, pl.String)
    save(folder / "audio/x.parquet", pl.DataFrame(rows, schema))
    save(folder / "audio/y.parquet", pl.DataFrame(schema=schema))


def test_transcripts_of_other_clips_are_an_error(tmp_path):
    transcribed(tmp_path, "elsewhere", "nowhere")
    with pytest.raises(ValueError, match="its 2 transcripts are of no clip in .* do not belong together"):
        transcripts(tmp_path, CLIPS, manifest(tmp_path))


@pytest.mark.parametrize("clips", [(), ("c",)], ids=["of none", "of a clip that is not asked for"])
def test_clips_that_nobody_wrote_down_have_no_transcripts(tmp_path, clips):
    transcribed(tmp_path, *clips)
    assert transcripts(tmp_path, CLIPS, manifest(tmp_path)) == {}


def test_a_picture_with_two_names_has_its_objects_once(tmp_path):
    cup = {"object": 0, "kind": "cup", "colour": "red", "visible_pixels": 4, "mask": b"m", "box": [0] * 4}
    rows = [("1.jpg", "i"), ("2.jpg", "i"), ("3.jpg", "k")]  # the last is of another split
    frame = pl.DataFrame([{"image_path": path, "image_id": image} | cup for path, image in rows])
    save(tmp_path / "images/x.parquet", frame)
    found = objects(tmp_path, IMAGES)
    assert found["image_id"].to_list() == ["i"]
    assert found.columns == OBJECTS


def test_masks_survive_as_one_bit_png():
    mask = np.random.default_rng(0).random((5, 11)) < 0.5
    file = io.BytesIO()
    Image.fromarray(mask).convert("1").save(file, "PNG")
    assert np.array_equal(decode_mask(file.getvalue()), mask)


def test_transcripts_are_those_of_the_clips_asked_for(tmp_path):
    with pytest.raises(NoTruth, match="this corpus has no transcripts"):
        transcripts(tmp_path, CLIPS, manifest(tmp_path))
    transcribed(tmp_path, "b", "c")
    assert transcripts(tmp_path, CLIPS, manifest(tmp_path)) == {"b": "transcript of b"}


def paths(folder: Path) -> DataPaths:
    """A corpus of two shards of clips and one of pictures."""
    shards = pl.Series(["audio/x", "audio/y", "audio/x"], dtype=pl.Categorical)
    save(folder / "manifest.parquet", pl.DataFrame({"shard": shards}))
    save(folder / "images.parquet", pl.DataFrame({"shard": ["images/x"]}))
    files = {name: str(folder / f"{name}.parquet") for name in ("manifest", "splits", "images")}
    return DataPaths(
        corpus="toy", audio=str(folder / "audio.zarr"), features=str(folder / "f.zarr"), input="store", **files
    )


def test_the_truth_of_the_corpus_need_not_be_there(tmp_path, monkeypatch):
    data = paths(tmp_path / "toy")
    own = tmp_path / "toy" / "truth"
    assert folder_of(data, None) == folder_of(data, own) == own
    monkeypatch.chdir(tmp_path)
    assert folder_of(data, Path("toy/truth")) == own  # named in another way, it is the same folder


def settings_of(kind: str, folder: Path) -> Path:
    """corpus.json of a corpus of this kind."""
    config = load(Path("config.yaml"), [Path(f"config/{OVERLAYS[kind]}")] if kind in OVERLAYS else [])
    (file := folder / "corpus.json").write_text(slices.corpus(config).model_dump_json())
    return file


@pytest.mark.parametrize(("kind", "what"), [("scenes", "word timings and object masks"), ("vaani", "transcripts")])
def test_a_corpus_that_has_a_truth_is_not_without_one_because_its_folder_is_gone(tmp_path, kind, what):
    data = paths(tmp_path / "toy")
    own = tmp_path / "toy" / "truth"
    settings = settings_of(kind, tmp_path / "toy")
    for folder in (None, own):
        with pytest.raises(
            ValueError, match=f"^{own}: no truth, but {settings} says .* {kind!r}, which has {what}; put"
        ):
            folder_of(data, folder)
    save(own / "audio" / "x.parquet", word_table("1.wav", "one"))
    assert folder_of(data, None) == own


def test_a_corpus_of_a_kind_without_truth_has_none_and_says_so(tmp_path):
    data = paths(tmp_path / "toy")
    settings_of("pairs", tmp_path / "toy")
    assert folder_of(data, None) == tmp_path / "toy" / "truth"


def test_kinds_that_are_localised_or_have_transcripts_have_a_truth():
    for kind, source in SOURCES.items():
        (block,) = typing.get_args(SourceBlocks.model_fields[kind].annotation)[:1]
        assert (block.truth is not None) == (source.localised or source.downloaded)


def test_another_truth_must_be_there_and_of_the_corpus(tmp_path):
    data = paths(tmp_path / "toy")
    other, own = tmp_path / "other", tmp_path / "toy" / "truth"
    with pytest.raises(ValueError, match=f"^{other}: no such folder; the truth of this corpus is {own}, unless"):
        folder_of(data, other)
    save(other / "audio" / "z.parquet", word_table("1.wav", "one"))
    with pytest.raises(
        ValueError, match=rf"^{other}: not the truth of this corpus: it has no audio/x.parquet \(3 of the corpus's 3"
    ):
        folder_of(data, other)


@pytest.mark.parametrize("shards", [["audio/x", "audio/y"], ["images/x"]], ids=["words", "objects"])
def test_another_truth_may_be_about_clips_or_pictures_alone(tmp_path, shards):
    for shard in shards:
        save(tmp_path / "other" / f"{shard}.parquet", word_table("1.wav", "one"))
    assert folder_of(paths(tmp_path / "toy"), tmp_path / "other") == tmp_path / "other"


def test_another_truth_must_have_all_shards(tmp_path):
    """Every corpus of Spoken Scenes has the first shard's name."""
    for shard in ("audio/x", "images/x"):
        save(tmp_path / "other" / f"{shard}.parquet", word_table("1.wav", "one"))
    with pytest.raises(ValueError, match=r"it has no audio/y.parquet \(1 of the corpus's 3 shards are not there\)"):
        folder_of(paths(tmp_path / "toy"), tmp_path / "other")
