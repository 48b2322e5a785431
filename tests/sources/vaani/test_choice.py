"""Which clips are chosen: what is asked for, by chance that no order moves, and every picture they could mean."""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.support.surveys import LANGUAGES, NO_TABLE, clip_rows, entry, random_corpus, settings, write
from ves.base.apportion import proportional
from ves.base.files import write_json
from ves.base.hashing import chance_of_rows
from ves.sources.vaani.choice import choose
from ves.sources.vaani.survey_tables import image_of, pictures

Place = tuple[str, int]


def choose_rows(folder: Path, survey: Path, table: pl.DataFrame = NO_TABLE, **changes: Any) -> dict[str, Any]:
    """The listing's entries by name; `rows` are those chosen, as whoever reads the listing finds them."""
    out = folder / "shards.json"
    choose(settings(**changes), table, survey, folder / "survey", folder / "chosen", out)
    listing = json.loads(out.read_text())
    surveyed = {file["name"]: file for file in json.loads(survey.read_text(encoding="utf-8"))["files"]}
    left = {path.relative_to(folder / "chosen").as_posix() for path in (folder / "chosen").rglob("*.parquet")}
    assert left == {f"{shard['name']}.parquet" for shard in listing["shards"] if shard["chosen"]}
    for shard in listing["shards"]:
        assert {key: shard[key] for key in ("part", "bytes", "sha256")} == {
            key: surveyed[shard["name"]][key] for key in ("part", "bytes", "sha256")
        }
        shard["rows"] = list(range(surveyed[shard["name"]]["rows"]))
        if shard["chosen"]:
            frame = pl.read_parquet(folder / "chosen" / f"{shard['name']}.parquet")
            assert frame.schema == {"source_row": pl.UInt32}
            assert shard["chosen"]["rows"] == len(frame) > 0
            assert (
                shard["chosen"]["sha256"]
                == hashlib.sha256(frame["source_row"].to_numpy().astype("<u4").tobytes()).hexdigest()
            )
            assert frame["source_row"].is_sorted()
            shard["rows"] = frame["source_row"].to_list()
    assert [s["part"] for s in listing["shards"]] == sorted(s["part"] for s in listing["shards"])
    return {shard["name"]: shard for shard in listing["shards"]}


def clips_of(shards: dict[str, Any]) -> set[Place]:
    return {(name, row) for name, shard in shards.items() if shard["part"] == "audio" for row in shard["rows"]}


@pytest.fixture
def corpus(tmp_path: Path) -> tuple[Path, dict[str, pl.DataFrame]]:
    clips, there = random_corpus(3, shards=6)
    return write(tmp_path, clips, there), clips


def test_without_a_choice_all_rows_are_taken_and_the_shards_of_pictures_that_nobody_means_are_not(
    corpus: tuple[Path, dict[str, pl.DataFrame]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    survey, clips = corpus
    with caplog.at_level(logging.INFO):
        shards = choose_rows(tmp_path, survey)
    assert all(shard["chosen"] is None for shard in shards.values())
    assert [name for name in shards if name.startswith("audio")] == sorted(clips)
    assert [name[13:] for name in shards if name.startswith("images")] == [
        f"000{n}-of-00004" for n in ("00", "01", "03")
    ]
    total = sum(map(len, clips.values()))
    assert f"{total} of {total} clips chosen" in caplog.text
    assert "images: 3 of 4 shards, 0.0 GB; shards without anything that is needed (0.0 GB) are left out" in caplog.text


Row = tuple[float, str, int, str, str, str | None]  # chance, shard, row, language, district, image


def slow_rows(clips: dict[str, pl.DataFrame], there: dict[str, list[str | None]]) -> list[Row]:
    """All clips, with the image that each is about; of the pictures, only a0 is ambiguous, by its file name."""
    known = {}
    for name in (name for names in there.values() for name in names if name):
        known.setdefault(name.rsplit("/", 1)[-1].rsplit(".", 1)[0].lower(), name.lstrip("/"))
    rows: list[Row] = []
    for shard, frame in clips.items():
        file, number = np.zeros(len(frame), np.uint32), np.arange(len(frame), dtype=np.uint32)
        chances = chance_of_rows([shard], file, number, 0, "choice").tolist()
        for chance, row in zip(chances, frame.iter_rows(named=True), strict=True):
            reference = row["image_reference"] or ""
            image = known.get(reference.rsplit("/", 1)[-1].rsplit(".", 1)[0].lower())
            if image == "Images/a0.jpg" and reference != image:
                image = "? a0"
            rows.append((chance, shard, row["source_row"], row["language"], row["district"], image))
    return rows


def first(rows: list[Row], at: int, caps: Callable[[Any], int]) -> list[Row]:
    """Of the rows that agree in one place, the first so many."""
    seen: Counter[Any] = Counter()
    return [row for row in rows if not seen.update([row[at]]) and seen[row[at]] <= caps(row[at])]


def slow(clips: dict[str, pl.DataFrame], there: dict[str, list[str | None]], caps: dict[str, Any]) -> set[Place]:
    """The same by loops, from the words of the docstring."""
    rows = slow_rows(clips, there)
    for key, at in (("languages", 3), ("districts", 4)):
        rows = [row for row in rows if key not in caps or row[at] in caps[key]]
    if {"clips", "clips_per_language", "clips_per_image"} & set(caps):
        rows = sorted(row for row in rows if row[5])
    for key, at in (("clips_per_image", 5), ("clips_per_language", 3)):
        if key in caps:
            rows = first(rows, at, lambda _, key=key: caps[key])
    if "clips" in caps:
        counts = sorted(Counter(row[3] for row in rows).items())
        given = slow_shares(caps["clips"], [count for _, count in counts])
        share = {label: n for (label, _), n in zip(counts, given, strict=True)}
        rows = first(rows, 3, lambda label: share[label])
    return {(row[1], row[2]) for row in rows}


def slow_shares(total: int, available: list[int]) -> list[int]:
    """Seat by seat: a first one for each, those with the most first; then to whom it is cheapest (Webster)."""
    given = [0] * len(available)
    for _ in range(min(total, sum(available))):
        open_ = [n for n in range(len(available)) if given[n] < available[n]]
        best = min(
            open_, key=lambda n: (0, -available[n], n) if given[n] == 0 else (1, (given[n] + 0.5) / available[n], n)
        )
        given[best] += 1
    return given


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(0, 200))
def test_shares_are_those_of_handing_out_seats_one_by_one(available: list[int], total: int) -> None:
    found = proportional(total, np.array(available, np.int64)).tolist()
    assert found == slow_shares(total, available)
    more = proportional(total + 1, np.array(available, np.int64)).tolist()
    assert all(a <= b for a, b in zip(found, more, strict=True))


def test_shares_by_eye() -> None:
    languages = np.array([600, 300, 90, 10, 0])
    assert proportional(100, languages).tolist() == [60, 30, 9, 1, 0]
    assert proportional(2, languages).tolist() == [1, 1, 0, 0, 0]
    assert proportional(5000, languages).tolist() == languages.tolist()
    assert proportional(4_830_000, np.array([20_000_000, 4_000_000, 9_427])).sum() == 4_830_000


CAPS = st.fixed_dictionaries(
    {},
    optional={
        "clips": st.integers(1, 250),
        "clips_per_language": st.integers(1, 60),
        "clips_per_image": st.integers(1, 12),
        "languages": st.lists(st.sampled_from(LANGUAGES[:3]), min_size=1, unique=True),
        "districts": st.lists(st.sampled_from(["D0", "D1"]), min_size=1, unique=True),
    },
)


def languages_of(clips: dict[str, pl.DataFrame]) -> set[str]:
    return {label for frame in clips.values() for label in frame["language"]}


@examples(max_examples=25, deadline=None)
@given(st.integers(0, 50), CAPS)
def test_what_is_chosen_is_what_loops_choose(
    tmp_path_factory: pytest.TempPathFactory, seed: int, caps: dict[str, Any]
) -> None:
    clips, there = random_corpus(seed)
    folder = tmp_path_factory.mktemp("choice")
    survey = write(folder, clips, there)
    expected = slow(clips, there, caps)
    assume(expected and set(caps.get("languages", [])) <= languages_of(clips))
    assert clips_of(choose_rows(folder, survey, **caps)) == expected


@pytest.mark.parametrize("cap", ["clips", "clips_per_language", "clips_per_image"])
def test_a_lower_cap_takes_a_part_of_what_a_higher_one_takes(
    cap: str, corpus: tuple[Path, dict[str, pl.DataFrame]], tmp_path: Path
) -> None:
    before: set[Place] = set()
    for value in (1, 2, 3, 5, 8, 40, 41, 42, 43, 120, 10_000):
        changes: dict[str, Any] = {cap: value}
        now = clips_of(choose_rows(tmp_path, corpus[0], **changes))
        assert before <= now
        before = now
    assert len(before) == sum(
        frame["image_reference"].is_in([None, "", "NOWHERE.JPG", "Images/nowhere.jpg"], nulls_equal=True).not_().sum()
        for frame in corpus[1].values()
    )


def test_the_order_of_files_changes_nothing(corpus: tuple[Path, dict[str, pl.DataFrame]], tmp_path: Path) -> None:
    survey, _ = corpus
    choose_rows(tmp_path, survey, clips=50)
    before = {path: path.read_bytes() for path in [tmp_path / "shards.json", *(tmp_path / "chosen").rglob("*.parquet")]}
    listed = json.loads(survey.read_text())
    write_json(survey, listed | {"files": listed["files"][::-1]})
    choose_rows(tmp_path, survey, clips=50)
    assert {path: path.read_bytes() for path in before} == before


def test_another_seed_takes_other_clips_and_as_many(
    corpus: tuple[Path, dict[str, pl.DataFrame]], tmp_path: Path
) -> None:
    one, two = (clips_of(choose_rows(tmp_path, corpus[0], clips=50, seed=seed)) for seed in (0, 1))
    assert len(one) == len(two) == 50
    assert one != two


def test_labels_are_those_after_the_table_and_what_it_does_not_touch_stays(tmp_path: Path) -> None:
    clips, there = random_corpus(1)
    renamed = {
        name: frame.with_columns(pl.col("language").replace("Odia", "Oriya").alias("language"))
        for name, frame in clips.items()
    }
    survey = write(tmp_path, renamed, there)
    with pytest.raises(
        ValueError, match=r"corpus.vaani.languages: no clip has the label 'Odia'; there are .*Konkani, Oriya"
    ):
        choose_rows(tmp_path, survey, languages=["Odia"])
    row = {"column": "language", "old": "Oriya", "new": "Odia"}
    table = pl.concat([NO_TABLE, pl.DataFrame([row])], how="diagonal")
    assert clips_of(choose_rows(tmp_path, survey, table, languages=["Odia"])) == slow(
        clips, there, {"languages": ["Odia"]}
    )


def test_a_wider_choice_changes_only_the_shards_that_it_widens(
    corpus: tuple[Path, dict[str, pl.DataFrame]], tmp_path: Path
) -> None:
    survey, clips = corpus
    narrow = choose_rows(tmp_path, survey, districts=["D0"])
    wide = choose_rows(tmp_path, survey, districts=["D0", "D2"])
    assert {name for name in wide if name.startswith("audio")} == {n for n in clips if n.split("/")[2] in ("D0", "D2")}
    assert all(wide[name] == narrow[name] for name in narrow if name.startswith("audio"))
    assert all(shard["chosen"] is None for shard in wide.values())  # whole shards: nothing to tell ingest


def test_ambiguity_is_judged_the_same_with_the_shards_that_are_left_in(tmp_path: Path) -> None:
    """The double of a picture under a weaker spelling comes along, though another shard has the exact name."""
    clips, there = random_corpus(3, shards=6)
    survey = write(tmp_path, clips, there)
    shards = choose_rows(tmp_path, survey, clips_per_image=2)
    images = [file for file in json.loads(survey.read_text())["files"] if file["part"] == "images"]
    left_in = [file for file in images if file["name"] in shards]
    assert len(left_in) == 3
    references = pl.concat([clips[name][shard["rows"]] for name, shard in shards.items() if name in clips])
    references = references["image_reference"].unique()
    every, some = (image_of(references, pictures(files, tmp_path / "survey")) for files in (images, left_in))
    assert every.equals(some)
    assert "image_ambiguous" in every["reason"]


def test_a_clip_without_a_picture_takes_no_other_s_place_and_is_counted_by_the_merge_without_a_cap(
    tmp_path: Path,
) -> None:
    frame = clip_rows(np.random.default_rng(0), "D", 4, ["Images/a.jpg"])
    frame = frame.with_columns(pl.Series("image_reference", ["Images/a.jpg", "Images/b.jpg", None, "a.jpg"]))
    survey = write(tmp_path, {"audio/d": frame}, {"images/i": ["Images/a.jpg"]})
    assert clips_of(choose_rows(tmp_path, survey)) == {("audio/d", row) for row in range(4)}
    assert clips_of(choose_rows(tmp_path, survey, clips=3)) == {("audio/d", 0), ("audio/d", 3)}
    (one,) = clips_of(choose_rows(tmp_path, survey, clips_per_image=1))  # both spellings mean one image
    assert one in {("audio/d", 0), ("audio/d", 3)}


@pytest.mark.parametrize(
    ("changes", "names", "words"),
    [
        (
            {"languages": ["Hindhi"]},
            ["Images/a.jpg"],
            r"corpus.vaani.languages: no clip has the label 'Hindhi'; there are",
        ),
        ({"districts": ["Goa"]}, ["Images/a.jpg"], r"corpus.vaani.districts: no clip has the label 'Goa'; .*: D$"),
        (
            {},
            ["Images/b.jpg"],
            r"refer to pictures such as 'Images/a.jpg', those listed are called such as 'Images/b.jpg'",
        ),
        ({}, [None], r"such as 'Images/a.jpg', none that is listed has a name: no name matches; check the patterns"),
        ({"clips": 1}, ["Images/b.jpg"], r"no clip is left of 4; 4 left out by no such picture; .*widen the choice"),
    ],
)
def test_a_choice_that_cannot_be_right_is_explained_and_lists_nothing(
    changes: dict[str, Any], names: list[str | None], words: str, tmp_path: Path
) -> None:
    frame = clip_rows(np.random.default_rng(0), "D", 4, ["Images/a.jpg"]).with_columns(
        image_reference=pl.lit("Images/a.jpg")
    )
    survey = write(tmp_path, {"audio/d": frame}, {"images/i": names})
    with pytest.raises(ValueError, match=words):
        choose_rows(tmp_path, survey, **changes)
    assert not (tmp_path / "shards.json").exists()


def test_a_survey_that_is_not_whole_is_named(tmp_path: Path) -> None:
    frame = clip_rows(np.random.default_rng(0), "D", 4, ["Images/a.jpg"])
    survey = write(tmp_path, {"audio/d": frame}, {"images/i": ["Images/a.jpg"]})
    listed = json.loads(survey.read_text())
    listed["files"][0] = entry("audio/d", "audio", 5)
    write_json(survey, listed)
    with pytest.raises(ValueError, match=r"audio/d.parquet: 4 rows, but the survey lists 5; run the survey again"):
        choose_rows(tmp_path, survey)
