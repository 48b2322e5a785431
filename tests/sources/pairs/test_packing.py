"""Own pairs: whatever table names them, every row is packed as it is or refused by name, and goes Vaani's way."""

import io
import json
import os
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
from PIL import Image

from ves.commands.preflight import validate_batches, validate_source
from ves.config import slices
from ves.config.check import read_yaml, validate
from ves.config.corpus import CorpusConfig, PairsConfig
from ves.config.experiment import SplitConfig
from ves.corpus.ingest import ingest_audio, ingest_images
from ves.corpus.manifest import merge
from ves.corpus.splits import write as write_splits
from ves.media import images
from ves.report.tables.splits import page_of
from ves.sources.pairs import packing as pairs
from ves.sources.pairs import tables as pair_tables

ROOT = Path(__file__).parents[3]
SPLIT = {"seed": 0, "val": 3, "tune": 2, "held_out_speakers": 0.4, "near_duplicate_bits": 0, "high": 0.5, "mid": 0.85}


def settings(folder: Path, *tables: str, size: int = 4) -> PairsConfig:
    return PairsConfig(
        folder=str(folder), tables=list(tables or ["pairs.csv"]), language="unknown", rows_per_shard=size
    )


def recording(path: Path, seed: int = 0, rate: int = 16_000, channels: int = 1, seconds: float = 0.4) -> None:
    """A chord of three notes, other for every seed, in the format that the suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    notes = np.random.default_rng(seed).uniform(200, 3_000, 3)
    time = np.arange(round(seconds * rate)) / rate
    mono = 0.2 * np.sin(2 * np.pi * notes[:, None] * time).sum(0)
    soundfile.write(path, np.stack([mono] * channels, 1), rate)


def picture(path: Path, seed: int = 0, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((48, 40)).save(path, **options)


def table(folder: Path, rows: list[dict[str, Any]], name: str = "pairs.csv") -> PairsConfig:
    frame = pl.DataFrame(rows, infer_schema_length=None)
    if name.endswith(".csv"):
        frame.write_csv(folder / name)
    elif name.endswith(".parquet"):
        frame.write_parquet(folder / name)
    else:
        (folder / name).write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return settings(folder, name)


def pack_all(block: PairsConfig, folder: Path, part: str) -> pl.DataFrame:
    """All shards of one part, joined."""
    frames = []
    for shard in pairs.list_shards(block):
        if shard["part"] == part:
            pairs.fetch(block, shard["name"], folder / f"{shard['name']}.parquet")
            frames.append(pl.read_parquet(folder / f"{shard['name']}.parquet"))
    return pl.concat(frames)


def through(block: PairsConfig, folder: Path) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Manifest, refused and images after the stages that every corpus goes through."""
    corpus = CorpusConfig(
        name="own", kind="pairs", keep_source=False, keep_seconds=None, labels=None, max_refused=1.0, pairs=block
    )
    parts: dict[str, list[Path]] = {"audio": [], "images": []}
    for shard in pairs.list_shards(block):
        name = shard["name"]
        source, part = folder / f"source/{name}.parquet", folder / f"parts/{name}.parquet"
        pairs.fetch(block, name, source)
        if shard["part"] == "audio":
            ingest_audio(corpus, name, source, folder / "audio.zarr", part)
        else:
            ingest_images(corpus, name, source, folder / f"images/{name}.parquet", part)
        parts[shard["part"]].append(part)
    paths = [folder / f"{name}.parquet" for name in ("manifest", "refused", "images")]
    merge(parts["audio"], parts["images"], *paths)
    return tuple(pl.read_parquet(path) for path in paths)  # pyright: ignore[reportReturnType]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with a recording and a picture."""
    recording(tmp_path / "own/a.wav")
    picture(tmp_path / "own/a.png")
    return tmp_path / "own"


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.parquet", "pairs.json"])
def test_every_kind_of_table_says_the_same(own: Path, name: str):
    row = {"audio": "a.wav", "image": " a.png ", "language": "Tulu", "speaker": "7", "split": "Train"}
    block = table(own, [row, row | {"language": None, "speaker": "", "split": None}], name)
    expected = [(name, 1, "a.wav", "a.png", "Tulu", "7", "train"), (name, 2, "a.wav", "a.png", None, None, None)]
    assert pair_tables.read(block).rows() == expected
    clips = pack_all(block, own.parent, "audio")
    assert clips["audio"].to_list() == [{"bytes": (own / "a.wav").read_bytes(), "path": "a.wav"}] * 2
    assert clips.drop("audio").rows() == [
        ("Tulu", "7", "a.png", "train", None, None),
        ("unknown", None, "a.png", None, None, None),
    ]
    assert pack_all(block, own.parent, "images").rows() == [
        ({"bytes": (own / "a.png").read_bytes(), "path": "a.png"}, None, None)
    ]


def test_the_reference_code_s_lists_are_read_as_it_reads_them(own: Path):
    item = {"audioFileName": "/a.wav", "imageFileName": "/a.png", "duration": 3}
    for name, items in {"train_1": [item] * 2, "train_0": [item], "validation_set": [item]}.items():
        (own / f"{name}.json").write_text(json.dumps(items))
    rows = pair_tables.read(settings(own, "train_*.json", "validation_set.json"))
    assert rows["table"].to_list() == ["train_0.json", "train_1.json", "train_1.json", "validation_set.json"]
    assert rows["row"].to_list() == [1, 1, 2, 1]
    assert rows["split"].to_list() == ["train", "train", "train", "val"]
    assert set(rows["audio"]) == {"a.wav"}


def test_names_have_one_spelling(tmp_path: Path):
    root = str(tmp_path)
    spelt = {"a/b.wav": "a/b.wav", "./a//b.wav": "a/b.wav", "a/../b.wav": "b.wav", "/a.wav": "a.wav", "..": ".."}
    spelt |= {
        f"{root}/x/y.wav": "x/y.wav",
        "a/../../x": "../x",
        "/../x": "x",
        "..a/b": "..a/b",
        "बिल्ली.wav": "बिल्ली.wav",
    }
    assert {name: pair_tables.relative(name, root) for name in spelt} == spelt


def test_rows_that_cannot_be_used_are_refused_by_name(own: Path):
    (own.parent / "secret.wav").write_bytes((own / "a.wav").read_bytes())
    (own.parent / "secret.png").write_bytes((own / "a.png").read_bytes())
    (own / "text.wav").write_text("no sound at all, but some text" * 9)
    recording(own / "b.wav", 1)
    recording(own / "c.wav", 2)
    rows = [
        ("a.wav", "a.png", None, None),
        ("gone.wav", "a.png", "missing_file", "pairs.csv row 2: there is no file gone.wav in the folder of the corpus"),
        ("../secret.wav", "a.png", "outside", "pairs.csv row 3: ../secret.wav leaves the folder of the corpus"),
        (None, "a.png", "no_audio", "pairs.csv row 4: it names no audio"),
        ("b.wav", None, "no_reference", "pairs.csv row 5: it names no image"),
        ("b.wav", "gone.png", "missing_file", "pairs.csv row 6: there is no file gone.png in the folder of the corpus"),
        ("b.wav", "../secret.png", "outside", "pairs.csv row 7: ../secret.png leaves the folder of the corpus"),
        ("text.wav", "a.png", "unreadable", None),
        (".", "a.png", "missing_file", "pairs.csv row 9: there is no file . in the folder of the corpus"),
        (
            "a" * 300,
            "a.png",
            "missing_file",
            f"pairs.csv row 10: {'a' * 300} cannot be looked for in the folder of the corpus (File name too long)",
        ),
        ("c.wav", "x/../a.png", None, None),
    ]
    block = table(own, [{"audio": audio, "image": image} for audio, image, _, _ in rows])
    manifest, refused, kept = through(block, own.parent / "data")
    assert sorted(manifest["source_path"]) == ["a.wav", "c.wav"]
    assert set(manifest["language"]) == {"unknown"}
    clips = refused.filter(item="clip").select("source_path", "reason", "detail").rows()
    assert [row[:2] for row in clips] == [(audio, reason) for audio, _, reason, _ in rows if reason]
    assert all(
        detail is None or detail == row[2] for row, (*_, detail) in zip(clips, [r for r in rows if r[2]], strict=True)
    )
    assert refused.filter(item="image").select("source_path", "reason").rows() == [
        ("gone.png", "missing_file"),
        ("../secret.png", "outside"),
    ]
    assert kept["source_paths"].to_list() == [["a.png"]]


def test_pictures_of_one_base_name_stay_two_and_one_of_many_clips_is_stored_once(own: Path):
    rows = []
    for i, name in enumerate(["x/photo.jpg", "y/photo.jpg", "x/photo.jpg", "./x//photo.jpg", "X/photo.jpg"]):
        recording(own / f"{i}.wav", i)
        picture(
            own / name, ["x/photo.jpg", "y/photo.jpg", "X/photo.jpg"].index(name.replace("./", "").replace("//", "/"))
        )
        rows.append({"audio": f"{i}.wav", "image": name})
    block = table(own, rows)
    assert [row["path"] for row in pack_all(block, own.parent, "images")["image"]] == [
        "x/photo.jpg",
        "y/photo.jpg",
        "X/photo.jpg",
    ]
    manifest, refused, kept = through(block, own.parent / "data")
    assert refused.is_empty()
    names = manifest.join(kept, on="image_id").sort("source_path")["source_paths"].to_list()
    assert names == [["x/photo.jpg"], ["y/photo.jpg"], ["x/photo.jpg"], ["x/photo.jpg"], ["X/photo.jpg"]]


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg", "aiff"])
def test_stereo_of_any_rate_becomes_16_khz(own: Path, suffix: str):
    recording(own / f"ध्वनि-é.{suffix}", rate=44_100, channels=2, seconds=1.0)
    block = table(own, [{"audio": f"ध्वनि-é.{suffix}", "image": "a.png"}])
    manifest, refused, _ = through(block, own.parent / "data")
    assert refused.is_empty()
    assert manifest["source_path"].to_list() == [f"ध्वनि-é.{suffix}"]
    assert manifest["duration_s"][0] == pytest.approx(1.0, abs=0.1)  # MP3 pads


def encode_noise(mode: str, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (32, 24), dtype=np.uint8)
    image = Image.fromarray(noise.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(noise).convert(mode)
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "TIFF"), ("CMYK", "TIFF"), ("RGBA", "TGA"), ("1", "TIFF"), ("RGB", "PPM"), ("RGB", "ICO")],
)
def test_what_else_pillow_reads_becomes_png(mode: str, kind: str):
    given = encode_noise(mode, kind)
    with Image.open(io.BytesIO(given)) as whole:
        expected = np.asarray(whole.convert("RGB"))
    np.testing.assert_array_equal(np.asarray(images.decode(pairs.as_known_format(given))), expected)


@pytest.mark.filterwarnings("ignore:Truncated File Read:UserWarning")
def test_what_ingest_reads_or_nobody_does_is_left_as_it_is():
    for content in (
        encode_noise("RGB", "JPEG"),
        encode_noise("RGB", "WEBP"),
        b"no picture",
        encode_noise("RGB", "TIFF")[:60],
        b"",
    ):
        assert pairs.as_known_format(content) == content
    assert images.decode(pairs.as_known_format(encode_noise("I;16", "TIFF"))).size == (24, 32)


def test_a_picture_whose_white_is_unknown_is_refused_with_that_reason(own: Path):
    (own / "float.tiff").write_bytes(encode_noise("F", "TIFF"))
    block = table(own, [{"audio": "a.wav", "image": "float.tiff"}])
    row = pack_all(block, own.parent, "images").row(0, named=True)
    assert (row["refused"], row["image"]["bytes"]) == ("unsupported", None)
    assert "convert it to 8 or 16 bits" in row["refusedDetail"]


def test_shards_hold_so_many_rows_and_appended_rows_leave_full_ones_alone(own: Path):
    rows = []
    for i in range(9):
        recording(own / f"{i}.wav", i)
        picture(own / f"{i}.png", i)
        rows.append({"audio": f"{i}.wav", "image": f"{i // 2}.png"})
    block = table(own, rows[:7])
    names = [shard["name"] for shard in pairs.list_shards(block)]
    assert names == ["audio/rows-00000000", "audio/rows-00000004", "images/rows-00000000"]
    before = pairs.origins(block)
    assert pairs.origins(block) == before
    after = pairs.origins(table(own, rows))
    changed = [name for name, origin in after.items() if before.get(name) != origin]
    assert changed == ["audio/rows-00000004", "audio/rows-00000008", "images/rows-00000004"]
    os.utime(own / "2.png", (1, 1))
    touched = pairs.origins(table(own, rows))
    assert [name for name in touched if touched[name] != after[name]] == ["images/rows-00000000"]
    (own / "0.wav").unlink()
    gone = pairs.origins(table(own, rows))
    assert [name for name in gone if gone[name] != touched[name]] == ["audio/rows-00000000"]


def test_a_shard_is_the_same_bytes_every_time_and_unknown_ones_are_named(own: Path):
    block = table(own, [{"audio": "a.wav", "image": "a.png"}] * 40)
    block = block.model_copy(update={"rows_per_shard": 40})
    for name in ("one", "two"):
        pairs.fetch(block, "audio/rows-00000000", own.parent / name)
    assert (own.parent / "one").read_bytes() == (own.parent / "two").read_bytes()
    with pytest.raises(ValueError, match=r"no shard 'audio/rows-00000001': the tables of .* make 2; list them again"):
        pairs.fetch(block, "audio/rows-00000001", own.parent / "three")


def test_a_file_that_cannot_be_read_stops_the_shard_and_leaves_nothing(own: Path, monkeypatch: pytest.MonkeyPatch):
    block = table(own, [{"audio": "a.wav", "image": "a.png"}])

    def fail(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(PermissionError, match=r"a\.wav"):
        pairs.fetch(block, "audio/rows-00000000", own.parent / "out/shard.parquet")
    assert list((own.parent / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "pairs.csv",
            "sound,image\na.wav,a.png\n",
            r"pairs\.csv has no column audio or audioFileName; .*: sound, image",
        ),
        ("pairs.csv", "audio,image\n", r"pairs\.csv of .* have no row"),
        ("pairs.csv", "audio,image\na.wav,\n", r"no row of pairs\.csv names an image"),
        ("pairs.csv", "", r"pairs\.csv cannot be read as csv"),
        ("pairs.csv", "audio,image,audioFileName\na,b,c\n", "has both audio and audioFileName; keep one"),
        (
            "pairs.csv",
            "audio,image,split\na,b,train\nc,d,test\n",
            r"pairs\.csv row 2: split 'test' is not one of train, tune",
        ),
        (
            "pairs.csv",
            "audio,image,speakr\na,b,c\n",
            r"pairs\.csv: column 'speakr' is not used; .*'speaker', rename it",
        ),
        (
            "pairs.csv",
            "audio,image,speaker\na,b,c\n\nd,e\n",
            r"pairs\.csv row 3: no field for the column 'speaker' \(2 of 3\); write the commas",
        ),
        ("pairs.csv", "audio,image,audio\na,b,c\n", r"pairs\.csv: the header has the column audio 2 times; keep one"),
        ("pairs.csv", f"audio,image\n{'a' * 200_000},b\n", r"pairs\.csv cannot be read as csv \(field larger"),
        ("pairs.json", '{"audio": 1}', r"pairs\.json cannot be read as json \(it is not a list of objects\)"),
        ("pairs.json", "[{", r"pairs\.json cannot be read as json"),
        ("pairs.json", "[" * 100_000, r"pairs\.json cannot be read as json"),
        ("pairs.json", "[]", r"pairs\.json has no column audio or audioFileName; its columns: none"),
        ("pairs.parquet", "PAR1", r"pairs\.parquet cannot be read as parquet"),
        ("pairs.xlsx", "x", r"pairs\.xlsx ends in none of \.csv, \.parquet, \.json; convert it"),
        ("other.csv", "audio,image\n", r"'pairs\.csv' matches no file in .*; name a table that is there"),
    ],
)
def test_a_table_at_fault_is_named_before_any_job(tmp_path: Path, name: str, content: str, words: str):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=rf"^corpus\.pairs\.tables: .*{words}"):
        pairs.list_shards(settings(tmp_path, "pairs.csv" if name == "other.csv" else name))


def test_columns_of_the_user_s_own_are_left_alone(tmp_path: Path):
    (tmp_path / "pairs.csv").write_text("audio,image,age,transcript,images,audio_id\na.wav,b.png,4,x,y,z\n")
    assert len(pairs.list_shards(settings(tmp_path))) == 2


def own_config(block: PairsConfig, **split: int):
    """The example configuration, about these pairs."""
    from snakemake.utils import update_config

    files = [ROOT / "config.yaml", ROOT / "config/pairs.yaml"]
    content = read_yaml(files[0])
    update_config(content, read_yaml(files[1]))
    update_config(content, {"corpus": {"pairs": block.model_dump()}, "split": split})
    return validate(content, files)


def test_fewer_pictures_than_pairs_to_draw_are_said_before_any_job(tmp_path: Path):
    block = table(tmp_path, [{"audio": f"{i}.wav", "image": f"{i // 2}.png"} for i in range(20)])
    validate_source(own_config(block, val=6, tune=4))
    with pytest.raises(
        ValueError, match=r"^split\.val: val and tune need 11 pairs, .* the tables name only 10 pictures"
    ):
        validate_source(own_config(block, val=7, tune=4))
    block = table(tmp_path, [{"audio": f"{i}.wav", "image": f"{i}.png", "split": "val"} for i in range(5)])
    validate_source(own_config(block, val=700, tune=4))  # none is drawn where they are given


def test_a_table_that_grew_says_nothing_about_batches_of_the_old_split(tmp_path: Path):
    block = table(tmp_path, [{"audio": f"{i}.wav", "image": f"{i}.png"} for i in range(20)])
    config = own_config(block, val=6, tune=4)
    for name, section in (("corpus", slices.corpus(config)), ("split", config.split)):
        (tmp_path / f"{name}.json").write_text(section.model_dump_json())
    pl.DataFrame({"split": ["train"]}).write_parquet(tmp_path / "splits.parquet")
    os.utime(tmp_path / "pairs.csv", (1, 1))
    with pytest.raises(ValueError, match="more than the 1 training clips"):
        validate_batches(config, tmp_path)
    os.utime(tmp_path / "pairs.csv")
    validate_batches(config, tmp_path)


def test_sound_instead_of_names_is_explained(tmp_path: Path):
    pl.DataFrame([{"audio": {"bytes": b"", "path": "a"}, "image": "a.png"}]).write_parquet(tmp_path / "p.parquet")
    with pytest.raises(ValueError, match=r"column audio is Struct.*it has to be text: file names"):
        pairs.list_shards(settings(tmp_path, "p.parquet"))


def test_the_example_configuration_is_valid_and_misses_only_its_folder(tmp_path: Path):
    from snakemake.utils import update_config

    files = [ROOT / "config.yaml", ROOT / "config/pairs.yaml"]
    content = read_yaml(files[0])
    update_config(content, read_yaml(files[1]))
    config = validate(content, files)
    assert slices.corpus(config).scenes is None
    with pytest.raises(ValueError, match=r"^corpus\.pairs\.folder: there is no folder 'my-pairs' .*the path of yours"):
        validate_source(config)


def build(folder: Path, clips: int, **columns: Any) -> tuple[PairsConfig, Path]:
    """A corpus of so many clips, two for each picture; `columns` are functions of the number of a clip."""
    rows = []
    for i in range(clips):
        recording(folder / f"own/{i}.wav", i)
        picture(folder / f"own/{i // 2}.jpg", i // 2)
        row = {"audio": f"{i}.wav", "image": f"{i // 2}.jpg", "language": "Tulu"}
        rows.append(row | {name: of(i) for name, of in columns.items()})
    return table(folder / "own", rows), folder / "data"


def splits_of(block: PairsConfig, data: Path) -> tuple[pl.DataFrame, str]:
    """The split of every clip beside its name, and the page."""
    manifest, refused, _ = through(block, data)
    assert refused.is_empty()
    paths = [data / f"{name}.parquet" for name in ("manifest", "images", "splits")]
    page, plot = data / "splits.md", data / "splits.png"
    split = SplitConfig.model_validate(SPLIT)
    write_splits(paths[0], paths[1], split, paths[2], page_of(split, page, plot))
    splits = (
        pl.read_parquet(paths[2])
        .join(manifest, on="clip_id")
        .sort(pl.col("source_path").str.len_chars(), "source_path")
    )
    return splits, page.read_text()


def test_from_the_table_to_the_splits_without_speakers(tmp_path: Path):
    splits, page = splits_of(*build(tmp_path, 24))
    counts = dict(splits["split"].value_counts().iter_rows())
    assert counts == {"val": 3, "tune": 2, "val_more": 3, "dropped": 2, "train": 14}
    assert "No clip has a known speaker" in page
    assert "The corpus gives" not in page


def test_a_given_split_is_kept(tmp_path: Path):
    given = {0: "val", 1: "val", 2: "val", 5: "tune", 8: "train", 9: "val"}
    splits, page = splits_of(*build(tmp_path, 24, speaker=lambda i: f"S{i % 4}", split=given.get))
    found = splits["split"].to_list()
    assert sorted(found[:2]) == ["val", "val_more"]
    assert (found[2], found[3]) == ("val", "val_more")  # the other clip of a picture follows it
    assert (found[4], found[5]) == ("dropped", "tune")
    assert (found[8], found[9]) == ("val_more", "val")  # a leak between the given splits: not trained on
    assert set(found[6:8] + found[10:]) == {"train"}
    assert "The corpus gives the split of 6 of 24 clips: 1 train, 1 tune, 4 val." in page
    assert "1 clips given train are about pictures of val or tune" in page
    assert "known speakers of val also speak in train" in page
    assert "Val is given, so no speaker is held out" in page


def test_tune_is_drawn_from_train_where_only_val_is_given(tmp_path: Path):
    splits, _ = splits_of(*build(tmp_path, 24, split=lambda i: "val" if i < 6 else "train"))
    assert splits["split"].to_list()[:6].count("val") == 3
    counts = dict(splits["split"].value_counts().iter_rows())
    assert counts == {"val": 3, "val_more": 3, "tune": 2, "dropped": 2, "train": 14}


def test_val_is_drawn_among_rows_without_a_split_and_clips_given_train_stay(tmp_path: Path):
    splits, _ = splits_of(
        *build(tmp_path, 40, speaker=lambda i: f"S{i % 5}", split=lambda i: "train" if i % 5 == 0 or i > 29 else None)
    )
    pairs = splits.filter(pl.col("split").is_in(["val", "tune"]))
    assert pairs["given_split"].null_count() == len(pairs) == 5
    assert splits.filter(given_split="train", reason="speaker_held_out").is_empty()


def test_a_speaker_is_one_in_every_kind_of_table(own: Path):
    """Of a CSV the text, of pandas' parquet a number beside a missing one, of JSON either."""
    names = ["audio", "image", "speaker"]
    row = {"audio": "a.wav", "image": "a.png"}
    (own / "a.csv").write_text("\n".join([",".join(names), "a.wav,a.png,17", "a.wav,a.png,17.0", "a.wav,a.png,nan"]))
    pl.DataFrame([row | {"speaker": 17.0}, row | {"speaker": float("nan")}, row | {"speaker": None}]).write_parquet(
        own / "b.parquet"
    )
    cells = [17, 17.0, "17.0", float("nan"), None, "<NA>"]
    (own / "c.json").write_text(json.dumps([row | {"speaker": cell} for cell in cells]))
    found = pair_tables.read(settings(own, "a.csv", "b.parquet", "c.json"))["speaker"].to_list()
    assert found == ["17", "17", None, "17", None, None, "17", "17", "17", None, None, None]


def test_rows_of_an_unknown_language_have_none(own: Path):
    rows = [{"audio": "a.wav", "image": "a.png", "language": name} for name in ("nan", "NA", " unknown", "Tulu ")]
    for name in ("pairs.csv", "pairs.parquet", "pairs.json"):
        languages = pair_tables.read(table(own, rows, name))["language"].to_list()
        assert languages == [None, None, None, "Tulu"], name


def test_a_field_of_several_lines_and_an_empty_line_are_no_fault(own: Path):
    (own / "pairs.csv").write_text('audio,image,note\na.wav,a.png,"two\nlines"\n\na.wav,a.png,\n')
    assert pair_tables.read(settings(own))["audio"].to_list() == ["a.wav", None, "a.wav"]


def test_a_number_that_is_missing_is_no_language_and_no_split(own: Path):
    row = {"audio": "a.wav", "image": "a.png", "language": float("nan"), "split": float("nan")}
    for name in ("pairs.parquet", "pairs.json"):
        assert pair_tables.read(table(own, [row], name)).select("language", "split").row(0) == (None, None)


@pytest.mark.parametrize(("in_table", "on_disk"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_find_each_other_in_both_forms_of_unicode(own: Path, in_table: Any, on_disk: Any):
    folder, sound, photo = "Jos\u00e9/h\u00e9", "\u00e9.wav", "\u00e9.png"

    def spelt(name: str, form: Any) -> str:
        return unicodedata.normalize(form, name)

    recording(own / spelt(f"{folder}/{sound}", on_disk), 3)
    picture(own / spelt(f"{folder}/{photo}", on_disk), 3)
    block = table(own, [{"audio": spelt(f"{folder}/{name}", in_table), "image": image} for name, image in
                        [(sound, spelt(f"{folder}/{photo}", in_table))]])  # fmt: skip
    before = pairs.origins(block)
    manifest, refused, kept = through(block, own.parent / "data")
    assert (len(manifest), len(refused), len(kept)) == (1, 0, 1)
    picture(own / spelt(f"{folder}/{photo}", on_disk), 4)
    assert pairs.origins(block) != before
    block = table(own, [{"audio": "a.wav", "image": spelt("n\u00e9ant.png", in_table)}])
    assert pack_all(block, own.parent, "audio")["refused"].to_list() == ["missing_file"]


def test_of_two_files_that_differ_in_their_form_only_each_keeps_its_name(own: Path):
    spellings = [unicodedata.normalize(form, "\u00e9.png") for form in ("NFC", "NFD")]  # pyright: ignore[reportArgumentType]
    for seed, name in enumerate(spellings):
        picture(own / name, seed)
    block = table(own, [{"audio": "a.wav", "image": name} for name in spellings])
    found = pack_all(block, own.parent, "images")["image"].to_list()
    assert [file["bytes"] for file in found] == [(own / name).read_bytes() for name in spellings]
