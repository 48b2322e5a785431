"""The split: nothing shared that must not be, every clip accounted for, sizes as asked for, order without effect."""

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ves.base import ids
from ves.config.experiment import SplitConfig
from ves.corpus.splits import COLUMNS, compact, write
from ves.corpus.splits import assign as assign_compact
from ves.report.tables.splits import page_of
from ves.sources.labels import strata

DEFAULT = {
    "seed": 0,
    "val": 1000,
    "tune": 300,
    "held_out_speakers": 0.25,
    "near_duplicate_bits": 3,
    "high": 0.5,
    "mid": 0.85,
}
LANGUAGES = ["hi", "bn", "te", "mr", "ta", "ur", "gu", "kn", "ml", "or", "pa", "ne"]


def config(**changes) -> SplitConfig:
    return SplitConfig.model_validate(DEFAULT | changes)


def assign(manifest: pl.DataFrame, images: pl.DataFrame, split: SplitConfig) -> pl.DataFrame:
    """The rows of splits.parquet."""
    clips = assign_compact(compact(manifest.lazy(), images, split.near_duplicate_bits), split)
    return clips.select(COLUMNS).with_columns(ids.text("clip_id"))


def corpus(clips: int, images: int, speakers: int, languages: int = 12, unknown: float = 0.03, seed: int = 0):
    """Like the embedded corpus: languages and speakers Zipf, 1 to 7 clips an image, some near-duplicate images, some
    clips of unknown speaker."""
    rng = np.random.default_rng(seed)
    zipf = 1 / np.arange(1, languages + 1)
    own = np.concatenate([np.arange(languages), rng.choice(languages, speakers - languages, p=zipf / zipf.sum())])
    speaker = rng.choice(speakers, clips, p=(talk := rng.uniform(0.5, 1.5, speakers)) / talk.sum())
    more = np.repeat(np.arange(images), 6)  # each image has one clip at least, 7 at most
    image = rng.permutation(np.concatenate([np.arange(images), rng.choice(more, clips - images, replace=False)]))
    phash = rng.integers(0, 1 << 63, images).astype(np.uint64)
    twins = rng.choice(images - 1, images // 50, replace=False)
    phash[twins] = phash[twins + 1] ^ np.uint64(0b101)
    second = np.where(rng.random(clips) < 0.1, rng.choice(languages, clips, p=zipf / zipf.sum()), own[speaker])
    digest = [hashlib.sha256(f"{seed} {i}".encode()).hexdigest() for i in range(clips + images)]
    names = [None if rng.random() < unknown else f"S{s}" for s in speaker]
    manifest = pl.DataFrame(
        {"clip_id": [d[:32] for d in digest[:clips]], "image_id": [digest[clips + i] for i in image],
         "language": [LANGUAGES[i] for i in second], "speaker": names, "given_split": None},
        schema_overrides={"speaker": pl.String, "given_split": pl.String},
    )  # fmt: skip
    return manifest, pl.DataFrame({"image_id": digest[clips:], "phash": phash})


def near(images: pl.DataFrame, left: list[str], right: list[str], bits: int) -> bool:
    """Whether any image of the left looks like any of the right, by comparing all."""
    phash = dict(images.select("image_id", "phash").iter_rows())
    a, b = (np.array([phash[i] for i in side], np.uint64) for side in (left, right))
    return bool((np.bitwise_count(a[:, None] ^ b[None, :]) <= bits).any())


def check(manifest: pl.DataFrame, images: pl.DataFrame, split: SplitConfig) -> pl.DataFrame:
    """Every property that a split must have; returns it joined with the manifest."""
    splits = assign(manifest, images, split)
    assert splits["clip_id"].to_list() == sorted(manifest["clip_id"].to_list())
    assert splits["split"].null_count() == splits["stratum"].null_count() == 0
    clips = splits.join(manifest, on="clip_id")
    of = {name: clips.filter(pl.col("split") == name) for name in ("train", "tune", "val", "val_more", "dropped")}
    assert (len(of["val"]), len(of["tune"])) == (split.val, split.tune)
    assert len(of["train"]) > 0
    shown = {name: frame["image_id"].unique().to_list() for name, frame in of.items()}
    for name in ("val", "tune"):
        assert len(shown[name]) == len(of[name])  # one clip an image
        assert not near(images, shown[name], shown["train"], split.near_duplicate_bits)
    assert not near(images, shown["val"], shown["tune"], split.near_duplicate_bits)
    assert not near(images, shown["val_more"], shown["train"], split.near_duplicate_bits)
    known = {name: set(frame["speaker"].drop_nulls()) for name, frame in of.items()}
    assert not known["train"] & (known["val"] | known["tune"])
    if manifest["speaker"].null_count() < len(manifest):
        assert of["val"]["speaker"].null_count() == of["tune"]["speaker"].null_count() == 0
    assert of["dropped"]["reason"].null_count() == 0
    assert clips["reason"].drop_nulls().len() == len(of["dropped"])
    for name in ("val", "val_more"):
        seen = [s and s in known["train"] for s in of[name]["speaker"]]
        assert of[name]["speaker_seen"].to_list() == [None if s is None else s for s in seen]
    return clips


def test_the_embedded_corpus_leaves_enough():
    manifest, images = corpus(14_600, 4_250, 240)
    clips = check(manifest, images, config())
    train = clips.filter(pl.col("split") == "train")
    assert len(train) >= 8_000
    assert train["image_id"].n_unique() >= 2_500
    assert min(train["language"].value_counts()["count"].to_list()) >= 150
    every = manifest["language"].value_counts(normalize=True, name="share")
    for name, n in (("val", 1_000), ("tune", 300)):
        pairs = clips.filter(pl.col("split") == name)["language"].value_counts().join(every, on="language")
        assert len(pairs) == 12
        assert (pairs["count"] - n * pairs["share"]).abs().to_numpy().max() <= 2
    sizes = manifest.group_by("image_id").len("clips")
    reported = clips.filter(pl.col("split") == "val").join(sizes, on="image_id")["clips"].mean()
    assert reported == pytest.approx(sizes["clips"].mean(), rel=0.1)  # images of val have as many clips as any


def test_pictures_that_the_corpus_holds_out_are_never_trained_on():
    """Speakers are held out as ever; each picture that one of these speaks about is likelier to be reported."""
    manifest, images = corpus(3_000, 900, 60)
    kept = images["image_id"].head(60)
    about = pl.col("image_id").is_in(kept.implode())
    manifest = manifest.with_columns(given_split=pl.when(about).then(pl.lit("held_out")))
    split = config(val=150, tune=40)
    clips = check(manifest, images, split)
    theirs = clips.filter(about)
    assert theirs.filter(pl.col("split") == "train").is_empty()
    assert set(theirs.filter(pl.col("split") == "dropped")["reason"]) == {
        "tune_image", "speaker_held_out", "image_held_out"
    }  # fmt: skip
    others = clips.filter(~about & (pl.col("reason") == "image_held_out"))
    assert len(others) < 20, "only near-duplicates of those pictures"
    pairs = clips.filter(pl.col("split").is_in(["val", "tune"]))
    assert pairs.filter(about).height / len(kept) > 2 * pairs.filter(~about).height / (900 - len(kept))
    free = check(manifest.with_columns(given_split=pl.lit(None, pl.String)), images, split)
    held_out = [set(one.filter(pl.col("reason") == "speaker_held_out")["speaker"]) for one in (clips, free)]
    assert held_out[0] & held_out[1], "the same speakers, whatever pictures are held out"


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 5), st.integers(0, 5), st.integers(150, 210), st.integers(35, 60), st.integers(9, 20),
    st.sampled_from([0.0, 0.2, 1.0]), st.integers(0, 4), st.floats(0.2, 0.6),
)  # fmt: skip
def test_nothing_leaks(seed, split_seed, clips, images, speakers, unknown, bits, share):
    manifest, pictures = corpus(clips, images, speakers, 3, unknown, seed)
    split = config(seed=split_seed, val=4, tune=2, held_out_speakers=share, near_duplicate_bits=bits)
    check(manifest, pictures, split)


def films(manifest: pl.DataFrame, images: pl.DataFrame, recordings: int, seed: int) -> pl.DataFrame:
    """The manifest with a recording for most clips and up to three frames for most, all at random. Each recording has
    some images of its own, and a few are in two."""
    rng = np.random.default_rng(seed)
    per = len(images) // recordings
    of_image = dict(zip(images["image_id"], np.arange(len(images)) // per, strict=True))
    recording, frames = [], []
    for image in manifest["image_id"]:
        film = of_image[image]
        recording.append(f"film {film}" if film < recordings and rng.random() < 0.8 else None)
        end = film * per + per + (rng.random() < 0.05)
        more = rng.integers(film * per, min(len(images), end), rng.integers(0, 3))
        frames.append([image, *(images["image_id"][int(i)] for i in more)] if rng.random() < 0.7 else None)
    segment = pl.col("recording_id").cum_count().over("recording_id").cast(pl.UInt32) - 1
    manifest = manifest.with_columns(
        pl.Series("recording_id", recording, pl.String), pl.Series("frame_ids", frames, pl.List(pl.String))
    )
    return manifest.with_columns(segment=pl.when(pl.col("recording_id").is_not_null()).then(segment))


def slow_groups(manifest: pl.DataFrame, images: pl.DataFrame, bits: int) -> dict[str, int]:
    """The group of each image by merging sets until nothing changes."""
    phash = dict(images.iter_rows())
    sets = [{one, *(other for other in phash if (phash[one] ^ phash[other]).bit_count() <= bits)} for one in phash]
    clips = manifest.select("image_id", "recording_id", "frame_ids").rows()
    sets += [{image, *(frames or [])} for image, _, frames in clips]
    for film in {recording for _, recording, _ in clips if recording}:
        sets.append({image for image, recording, _ in clips if recording == film})
    merged: list[set[str]] = []
    for one in sets:
        apart = [other for other in merged if not one & other]
        merged = [*apart, one.union(*(other for other in merged if one & other))]
    return {image: number for number, group in enumerate(merged) for image in group}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 5), st.integers(0, 5), st.integers(25, 40), st.integers(0, 4))
def test_no_recording_is_in_two_splits(seed, split_seed, recordings, bits):
    """Nor any picture that is in a recording, in train and among those held out: each group of images is in one."""
    manifest, images = corpus(300, 120, 24, 3, 0.2, seed)
    manifest = films(manifest, images, recordings, seed)
    split = config(seed=split_seed, val=4, tune=2, held_out_speakers=0.5, near_duplicate_bits=bits)
    clips = check(manifest, images, split)
    group_of = slow_groups(manifest, images, bits)
    assert 5 < len(set(group_of.values())) < len(images) / 2
    shown = {
        name: {
            group_of[image]
            for own, frames in clips.filter(pl.col("split").is_in(names)).select("image_id", "frame_ids").iter_rows()
            for image in (own, *(frames or []))
        }
        for name, names in {"train": ["train"], "tune": ["tune"], "val": ["val"], "more": ["val", "val_more"]}.items()
    }
    assert not shown["train"] & (shown["tune"] | shown["more"])
    assert not shown["tune"] & shown["more"]
    assert shown["more"] == shown["val"]
    assert (len(shown["val"]), len(shown["tune"])) == (4, 2), "one pair of each group"


def test_recordings_and_frames_join_images_by_eye():
    names = [f"{n:064d}" for n in range(8)]
    looks = pl.Series([0, *(0xFF << 8 * n for n in range(1, 7)), 0b111], dtype=pl.UInt64)  # the last is like the first
    images = pl.DataFrame({"image_id": names, "phash": looks})
    said = [(0, "a", None), (2, "a", None), (3, "b", [3, 4]), (4, None, None), (5, None, [1, 5])]
    said += [(6, None, None), (7, None, None)]
    manifest = pl.DataFrame(
        {
            "clip_id": [f"{n:032x}" for n in range(len(said))],
            "image_id": [names[image] for image, _, _ in said],
            "recording_id": [recording for _, recording, _ in said],
            "frame_ids": [None if of is None else [names[image] for image in of] for _, _, of in said],
            **dict.fromkeys(("language", "speaker", "given_split"), pl.Series([None] * len(said), dtype=pl.String)),
        }
    )
    assert compact(manifest.lazy(), images, 0)["group"].to_list() == [0, 0, 3, 3, 1, 6, 7]
    assert compact(manifest.lazy(), images, 3)["group"].to_list() == [0, 0, 3, 3, 1, 6, 0]
    plain = manifest.drop("recording_id", "frame_ids")
    assert compact(plain.lazy(), images, 0)["group"].to_list() == [0, 2, 3, 4, 5, 6, 7]


def test_a_frame_that_most_recordings_share_is_warned_of(caplog: pytest.LogCaptureFixture):
    manifest, images = corpus(400, 100, 20)
    title = images["image_id"][0]
    frames = pl.when(pl.int_range(pl.len()) % 10 < 4).then(pl.concat_list(pl.lit(title), "image_id"))
    shared = manifest.with_columns(frame_ids=frames, recording_id=pl.lit(None, pl.String))
    with caplog.at_level("WARNING"):
        compact(manifest.lazy(), images, 0)
        assert not caplog.messages
        clips = compact(shared.lazy(), images, 0)
    largest = clips.unique("image")["group"].value_counts()["count"].max()
    assert caplog.messages[0].startswith(f"{largest} of 100 images are of one group, which only one split can have")


def test_frames_of_other_images_are_refused():
    manifest, images = corpus(200, 50, 20)
    frames = pl.Series([["no such image"], *([None] * 199)], dtype=pl.List(pl.String))
    manifest = manifest.with_columns(recording_id=pl.lit(None, pl.String), frame_ids=frames)
    with pytest.raises(ValueError, match=r"^1 clips of the manifest have frames that images\.parquet lacks"):
        assign(manifest, images, config(val=2, tune=2))


def test_order_of_rows_does_not_matter_but_the_seed_does():
    manifest, images = corpus(1_000, 250, 40)
    first = assign(manifest, images, config(val=50, tune=20))
    mixed, pictures = (frame.sample(fraction=1, shuffle=True, seed=1) for frame in (manifest, images))
    assert assign(mixed, pictures, config(val=50, tune=20)).equals(first)
    assert not assign(manifest, images, config(val=50, tune=20, seed=1)).equals(first)


def test_speakers_of_each_language_are_held_out_in_their_share():
    manifest, images = corpus(6_000, 1_500, 120, unknown=0)
    clips = assign(manifest, images, config(val=100, tune=50)).join(manifest, on="clip_id")
    out = (pl.col("reason") == "speaker_held_out") | pl.col("split").is_in(["val", "tune"])
    held = set(clips.filter(out)["speaker"])
    spoken = manifest.group_by("speaker", "language").len().sort("len", "language", descending=[True, False])
    most = spoken.unique("speaker", keep="first", maintain_order=True)
    for language, speakers in most.group_by("language").agg("speaker").iter_rows():
        assert len(held & set(speakers)) == max(1, round(0.25 * len(speakers))) or len(speakers) == 1, language


def test_unknown_speakers_are_reported_on_only_where_none_is_known():
    manifest, images = corpus(500, 120, 20, unknown=1.0)
    clips = check(manifest, images, config(val=20, tune=10))
    assert clips["speaker_seen"].null_count() == len(clips)
    assert clips.filter(pl.col("reason") == "speaker_held_out").is_empty()


def test_too_few_pairs_says_how_many_there_are():
    manifest, images = corpus(200, 50, 20, 3)
    with pytest.raises(ValueError, match=r"val needs 1000 pairs and tune 300, but only \d+ are possible") as caught:
        assign(manifest, images, config())
    found = int(str(caught.value).split("only ")[1].split()[0])
    assert 10 < found < 50
    check(manifest, images, config(val=found - 5, tune=5))


def test_a_manifest_of_other_images_is_refused():
    manifest, images = corpus(200, 50, 20)
    with pytest.raises(ValueError, match=r"\d+ clips of the manifest are about images that images\.parquet lacks"):
        assign(manifest, images.head(10), config(val=2, tune=2))


def test_strata_by_eye():
    counts = pl.DataFrame({"language": ["d", "a", "b", "c", "e"], "clips": [10, 40, 20, 20, 10]})
    found = dict(strata(counts, config(high=0.5, mid=0.75)).iter_rows())
    assert found == {"a": "high", "b": "high", "c": "mid", "d": "low", "e": "low"}  # b begins at 40 %, c at 60, d at 80


def write_splits(
    folder: Path, manifest: pl.DataFrame, images: pl.DataFrame, split: SplitConfig
) -> tuple[pl.DataFrame, str]:
    """splits.parquet and splits.md, by `write`; a split that is there already is what it is compared with."""
    folder.mkdir(exist_ok=True)
    places = {"district": "Goa", "state": "Goa", "language_raw": pl.col("language").replace("hi", "Hindee")}
    places |= {"district_raw": "Goa", "state_raw": "Goa"}
    manifest.with_columns(**{k: pl.lit(v) if isinstance(v, str) else v for k, v in places.items()}).write_parquet(
        folder / "manifest.parquet"
    )
    images.write_parquet(folder / "images.parquet")
    files = [folder / name for name in ("manifest.parquet", "images.parquet", "s.parquet", "s.md", "s.png")]
    write(files[0], files[1], split, files[2], page_of(split, *files[3:]))
    return pl.read_parquet(files[2]), files[3].read_text("utf-8")


def test_write_counts_every_clip(tmp_path: Path):
    manifest, images = corpus(1_000, 250, 40)
    splits, page = write_splits(tmp_path, manifest, images, config(val=50, tune=20))
    assert splits.columns == ["clip_id", "split", "stratum", "reason", "speaker_seen"]
    assert splits.schema["clip_id"] == pl.String
    assert splits.equals(assign(manifest, images, config(val=50, tune=20)))
    table = [
        line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith(("| high", "| mid", "| low"))
    ]
    languages = [[int(n) for n in row[2:]] for row in table if row[1] in LANGUAGES]
    assert len(languages) == 12
    for n, name in enumerate(["train", "tune", "val", "val_more", "dropped"]):
        assert sum(row[1 + n] for row in languages) == len(splits.filter(pl.col("split") == name))
    assert sum(row[0] for row in languages) == 1_000
    for reason, n in splits["reason"].drop_nulls().value_counts().iter_rows():
        assert f"| {reason} | {n} |" in page
    assert f"{manifest['speaker'].null_count()} of 1000 clips have no known speaker" in page
    assert f"| language | Hindee | hi | {manifest['language'].eq('hi').sum()} |" in page
    assert "![Clips of each language and split](s.png)" in page
    assert "## Changed" not in page


def test_the_same_rows_in_another_order_give_the_same_bytes(tmp_path: Path):
    manifest, images = corpus(1_000, 250, 40)
    write_splits(tmp_path / "one", manifest, images, config(val=50, tune=20))
    mixed, pictures = (frame.sample(fraction=1, shuffle=True, seed=1) for frame in (manifest, images))
    write_splits(tmp_path / "two", mixed, pictures, config(val=50, tune=20))
    for name in ("s.parquet", "s.md", "s.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_a_split_made_again_tells_what_it_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    manifest, images = corpus(1_000, 250, 40)
    split = config(val=50, tune=20)
    before, page = write_splits(tmp_path, manifest[100:], images, split)
    assert write_splits(tmp_path, manifest[100:], images, split)[1] == page  # nothing has changed: the same page
    with caplog.at_level("INFO"):
        after, page = write_splits(tmp_path, manifest[:950], images, split)
    both = before.join(after, on="clip_id", how="full", coalesce=True)
    moved = both.filter(pl.col("split") != pl.col("split_right"))
    assert len(moved) > 0
    assert f"{len(moved)} clips are in another split, 100 are new and 50 gone" in page
    for old, new, n in both.group_by("split", "split_right").len().iter_rows():
        line = f"| {old or '-'} | {new or '-'} | {n} |"
        assert (line in page.split("## Changed")[1].split("## Dropped")[0]) == (old != new), line
        told = f"{n} clips were {old or 'absent'} and are now {new or 'absent'}"
        assert (told in caplog.text) == (old != new), told


def test_a_damaged_split_of_before_is_named(tmp_path: Path):
    manifest, images = corpus(300, 80, 20)
    (tmp_path / "s.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ValueError, match=r"s\.parquet: not a complete parquet file .*delete it and run again"):
        write_splits(tmp_path, manifest, images, config(val=8, tune=4))


def test_a_language_with_one_pair_has_it_in_val_and_one_with_none_is_named(tmp_path: Path):
    manifest, images = corpus(1_000, 250, 40, languages=3, unknown=0)
    one, none = manifest[:4], manifest[4:6]
    one = one.with_columns(
        language=pl.lit("ne"), speaker=pl.Series(["N1", "N2", "N1", "N2"]), image_id=pl.lit(one["image_id"][0])
    )
    none = none.with_columns(language=pl.lit("xx"), speaker=pl.lit("X"))  # of one speaker, who cannot be held out
    splits, page = write_splits(tmp_path, pl.concat([manifest[6:], one, none]), images, config(val=50, tune=20))
    of_one = splits.filter(pl.col("clip_id").is_in(one["clip_id"].to_list()))["split"].to_list()
    assert (of_one.count("val"), of_one.count("tune")) == (1, 0)
    assert "Not in val: xx (" in page


def test_ids_of_images_far_down_the_list_are_found():
    """Places of images are numbers of more than 16 bits."""
    n = 70_000
    digest = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(n)]
    images = pl.DataFrame(
        {"image_id": digest, "phash": np.random.default_rng(0).integers(0, 1 << 63, n).astype(np.uint64)}
    )
    manifest = pl.DataFrame(
        {
            "clip_id": [d[:32] for d in digest],
            "image_id": digest,
            "language": "hi",
            "speaker": "S",
            "given_split": None,
        },
        schema_overrides={"given_split": pl.String},
    )
    clips = compact(manifest.lazy(), images, 0).with_columns(ids.text("clip_id"))
    assert images.sort("image_id")["image_id"].gather(clips["image"]).str.head(32).equals(clips["clip_id"])
