"""Parts merged: duplicates, references, images under several names, rows that stay where they are."""

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from ves.corpus import ingest, recordings
from ves.corpus.manifest import CLIP_COLUMNS, PART, RECORDING_COLUMNS, merge


def _id(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def clips(folder: Path, name: str, rows: Sequence[tuple[str, str | None, str | None]]) -> Path:
    """A part of clips: (content, reference, reason)."""
    shard, path = f"audio/{name}", folder / f"parts/audio/{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = [
        {"source_row": i, "source_path": f"{name}-{i}.wav", "shard": shard, "reason": reason, "language": "Hindi",
         "clip_id": _id(content)[:32], "detail": reason and "why", "image_reference": reference, "speaker": "S",
         "duration_s": 1.5, "row": None if reason else i}
        for i, (content, reference, reason) in enumerate(rows)
    ]  # fmt: skip
    pl.DataFrame(frame, schema=ingest.CLIPS).write_parquet(path)
    return path


def pictures(folder: Path, name: str, rows: Sequence[tuple[str, str | None, str | None]]) -> Path:
    """A part of pictures: (content, path, reason)."""
    shard, path = f"images/{name}", folder / f"parts/images/{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = [
        {"source_row": i, "source_path": source, "shard": shard, "reason": reason, "detail": reason and "why",
         "image_id": _id(content), "width": 40, "height": 30, "phash": 1 << 63, "row_in_shard": None if reason else i}
        for i, (content, source, reason) in enumerate(rows)
    ]  # fmt: skip
    pl.DataFrame(frame, schema=ingest.PICTURES).write_parquet(path)
    return path


def merge_parts(
    folder: Path, clip_parts: list[Path], image_parts: list[Path], spellings: Path | None = None
) -> tuple[pl.DataFrame, ...]:
    paths = [folder / f"{name}.parquet" for name in ("manifest", "refused", "images")]
    merge(clip_parts, image_parts, paths[0], paths[1], paths[2], spellings)
    return tuple(pl.read_parquet(path) for path in paths)


@pytest.fixture
def parts(tmp_path: Path) -> tuple[list[Path], list[Path]]:
    a = [
        ("c0", "Images/a.jpg", None),
        ("c1", "/B.JPG", None),
        ("c2", "Images/gone.jpg", None),
        ("c3", None, "no_reference"),
    ]
    b = [
        ("c1", "Images/a.jpg", None),
        ("c4", "Images/bad.jpg", None),
        ("c5", "twin.jpg", None),
        ("c6", "same.jpg", None),
        ("c7", "Images/lone.jpg", "silent"),
        ("c2", "a.jpg", None),
    ]
    images = [
        ("A", "Images/a.jpg", None),
        ("B", "Images/b.jpg", None),
        ("X", "Images/bad.jpg", "truncated"),
        ("A", "Images/twin.jpg", None),
        ("L", "Images/lone.jpg", None),
        ("U", "Images/unused.jpg", None),
    ]
    more = [("S1", "p/same.jpg", None), ("S2", "q/same.jpg", None), ("B", "q/b_again.jpg", None)]
    image_parts = [pictures(tmp_path, "a", images), pictures(tmp_path, "b", more)]
    return [clips(tmp_path, "a", a), clips(tmp_path, "b", b)], image_parts


def test_by_eye(tmp_path: Path, parts):
    manifest, refused, images = merge_parts(tmp_path, *parts)
    assert manifest.select("source_path", "image_id", "shard", "row").rows() == [
        ("a-0.wav", _id("A"), "audio/a", 0),
        ("a-1.wav", _id("B"), "audio/a", 1),
        ("b-2.wav", _id("A"), "audio/b", 2),
        ("b-5.wav", _id("A"), "audio/b", 5),  # the bytes of a-2, which was refused: not a duplicate
    ]
    assert refused.drop("source_row").rows() == [
        ("clip", "audio/a", "a-2.wav", "image_missing", "no picture is called Images/gone.jpg"),
        ("clip", "audio/a", "a-3.wav", "no_reference", "why"),
        ("clip", "audio/b", "b-0.wav", "duplicate", "the bytes of audio/a row 1"),
        ("clip", "audio/b", "b-1.wav", "image_refused", "Images/bad.jpg: truncated"),
        ("clip", "audio/b", "b-3.wav", "image_ambiguous", "same.jpg is the file name of 2 different pictures"),
        ("clip", "audio/b", "b-4.wav", "silent", "why"),
        ("image", "images/a", "Images/bad.jpg", "truncated", "why"),
    ]
    assert images.select("image_id", "row", "clips", "shard", "row_in_shard", "source_paths").rows() == [
        (_id("A"), 0, 3, "images/a", 0, ["Images/a.jpg", "Images/twin.jpg"]),
        (_id("B"), 1, 1, "images/a", 1, ["Images/b.jpg", "q/b_again.jpg"]),
        (_id("L"), 2, 0, "images/a", 4, ["Images/lone.jpg"]),  # spoken about, if only by a refused clip
    ]
    assert images.schema["phash"] == pl.UInt64
    assert images["phash"][0] == 1 << 63


def test_every_source_row_is_somewhere_once(tmp_path: Path, parts):
    manifest, refused, _ = merge_parts(tmp_path, *parts)
    everything = manifest["source_path"].to_list() + refused.filter(pl.col("item") == "clip")["source_path"].to_list()
    assert sorted(everything) == sorted([f"a-{i}.wav" for i in range(4)] + [f"b-{i}.wav" for i in range(6)])


def test_the_order_of_the_arguments_does_not_matter(tmp_path: Path, parts):
    merge_parts(tmp_path / "one", *parts)
    merge_parts(tmp_path / "two", list(reversed(parts[0])), list(reversed(parts[1])))
    for name in ("manifest", "refused", "images"):
        assert (tmp_path / f"one/{name}.parquet").read_bytes() == (tmp_path / f"two/{name}.parquet").read_bytes()


def test_a_district_more_appends_rows(tmp_path: Path, parts):
    _, _, before = merge_parts(tmp_path, *parts)
    new = clips(tmp_path, "0-sorts-first", [("n0", "Images/unused.jpg", None), ("n1", "Images/new.jpg", None)])
    more = pictures(tmp_path, "0-sorts-first", [("N", "Images/new.jpg", None)])
    manifest, _, after = merge_parts(tmp_path, [*parts[0], new], [*parts[1], more])
    assert after.head(len(before)).select("image_id", "row").equals(before.select("image_id", "row"))
    assert after.tail(2).select("image_id", "row").rows() == [(_id("N"), 3), (_id("U"), 4)]
    assert manifest["source_path"].to_list()[:2] == ["0-sorts-first-0.wav", "0-sorts-first-1.wav"]


def test_a_district_less_numbers_anew(tmp_path: Path, parts):
    merge_parts(tmp_path, *parts)
    _, _, images = merge_parts(tmp_path, parts[0][1:], parts[1])
    assert images.select("image_id", "row").rows() == [(_id("A"), 0), (_id("L"), 1)]


def test_a_damaged_part_is_named(tmp_path: Path, parts):
    parts[0][1].write_bytes(parts[0][1].read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"audio/b\.parquet: not a complete parquet file .*delete it and run again"):
        merge_parts(tmp_path, *parts)


def test_no_clip_is_left(tmp_path: Path):
    manifest, refused, images = merge_parts(
        tmp_path,
        [clips(tmp_path, "a", [("c", "x.jpg", None)]), clips(tmp_path, "b", [])],
        [pictures(tmp_path, "a", [])],
    )
    assert (len(manifest), len(refused), len(images)) == (0, 1, 0)


def test_many_clips_come_out_in_source_order(tmp_path: Path):
    rows = [(f"c{i}", f"{i % 50}.jpg", None if i % 9 else "silent") for i in range(40_000)]
    images = [(f"i{i}", f"Images/{i}.jpg", None) for i in range(50)]
    manifest, refused, _ = merge_parts(tmp_path, [clips(tmp_path, "a", rows)], [pictures(tmp_path, "a", images)])
    assert manifest["row"].to_list() == [i for i in range(40_000) if i % 9]
    assert refused["source_row"].to_list() == list(range(0, 40_000, 9))
    assert manifest["image_id"][0] == _id("i1")


def test_what_is_read_of_a_part_is_what_ingest_writes():
    assert PART.items() <= ingest.CLIPS.items()


def test_a_part_that_lacks_a_column_is_named(tmp_path: Path, parts):
    pl.read_parquet(parts[0][1]).drop("speaker").write_parquet(parts[0][1])
    with pytest.raises(ValueError, match=r"(?s)audio/b\.parquet: not a complete .*speaker.*delete it and run again"):
        merge_parts(tmp_path, *parts)


def test_other_columns_of_a_part_do_not_matter(tmp_path: Path, parts):
    plain = merge_parts(tmp_path / "plain", *parts)
    pl.read_parquet(parts[0][1]).with_columns(mood=pl.lit("glad")).write_parquet(parts[0][1])
    for one, other in zip(plain, merge_parts(tmp_path / "more", *parts), strict=True):
        assert one.equals(other)


def test_labels_are_spelt_as_the_table_says_and_kept_as_they_were(
    tmp_path: Path, parts, caplog: pytest.LogCaptureFixture
):
    table = tmp_path / "labels.yaml"
    table.write_text(
        "- {column: language, old: Hindi, new: Hindustani, source: a test}\n"
        "- {column: district, old: Nowhere, new: Somewhere, source: a test}\n"
    )
    plain, refused, _ = merge_parts(tmp_path / "plain", *parts)
    assert plain["language"].equals(plain["language_raw"])
    with caplog.at_level("INFO"):
        manifest, same, _ = merge_parts(tmp_path / "spelt", parts[0], parts[1], table)
    assert manifest.columns[-3:] == ["language_raw", "district_raw", "state_raw"]
    assert manifest["language"].unique().to_list() == ["Hindustani"]
    assert manifest.with_columns(language="language_raw").equals(plain)
    assert same.equals(refused)
    assert "language Hindi is now spelt Hindustani: 4 clips" in caplog.text
    assert "1 of 2 entries of the table of spellings match no clip" in caplog.text


def test_references_are_counted_by_what_of_the_name_they_share(tmp_path: Path, parts, caplog: pytest.LogCaptureFixture):
    with caplog.at_level("INFO"):
        merge_parts(tmp_path, *parts)
    told = [line.split("by ")[1] for line in caplog.messages if line.startswith("by ")]
    assert told == [
        "name as written: 2 references, 2 clips",  # Images/a.jpg; Images/lone.jpg, whose clip ingest refused
        "path without leading slash: 0 references, 0 clips",
        "file name: 2 references, 2 clips",  # twin.jpg and a.jpg
        "file name without case: 1 references, 1 clips",  # /B.JPG
        "file name without case and extension: 0 references, 0 clips",
    ]


@pytest.mark.parametrize("seed", range(4))
def test_equals_going_through_the_rows_one_by_one(tmp_path: Path, seed: int):
    """Several parts at random: who is in and who is out, against a loop."""
    rng = random.Random(seed)
    images = [(f"i{n % 7}", f"{n}.jpg", None if n % 5 else "truncated") for n in range(12)]
    rows = {
        name: [
            (
                f"c{rng.randrange(40)}",
                rng.choice([f"{rng.randrange(14)}.jpg", None]),
                rng.choice([None, None, "silent"]),
            )
            for _ in range(rng.randrange(30))
        ]
        for name in "abcd"
    }
    good = {path: content for content, path, reason in images if reason is None}
    taken: set[str] = set()
    expected = []
    for name, clips_of in rows.items():
        for number, (content, reference, reason) in enumerate(clips_of):
            if reason is None and reference in good and content not in taken:
                taken.add(content)
                expected.append((f"{name}-{number}.wav", _id(good[reference])))
    clip_parts = [clips(tmp_path, name, clips_of) for name, clips_of in rows.items()]
    manifest, refused, _ = merge_parts(tmp_path, clip_parts, [pictures(tmp_path, "a", images)])
    assert manifest.select("source_path", "image_id").rows() == expected
    assert len(manifest) + refused["item"].eq("clip").sum() == sum(map(len, rows.values()))
    told = refused.filter(reason="duplicate")["detail"].to_list()
    assert all(detail.startswith("the bytes of audio/") for detail in told)


def with_frames(part: Path, said: Sequence[tuple[str | None, int | None, list[str] | None]]) -> Path:
    """The part, with what each of its rows says of recordings: recording, segment, frames."""
    columns = {
        name: pl.Series(column, dtype=kind)
        for (name, kind), column in zip(recordings.COLUMNS.items(), zip(*said, strict=True), strict=True)
    }
    pl.read_parquet(part).with_columns(**columns).write_parquet(part)
    return part


@pytest.fixture
def films(tmp_path: Path) -> tuple[list[Path], list[Path]]:
    """Two parts with frames and, between them, one without."""
    a = clips(tmp_path, "a", [(f"c{i}", "f1.jpg", None) for i in range(6)])
    a = with_frames(
        a,
        [
            ("film", 0, ["f0.jpg", "f1.jpg", "f2.jpg"]),
            ("film", 1, ["f1.jpg"]),
            ("film", 2, ["f1.jpg", "gone.jpg", "bad.jpg"]),
            ("film", 3, ["bad.jpg", "f1.jpg"]),
            ("other", None, None),
            (None, None, ["f1.jpg", "again.jpg"]),
        ],
    )
    b = clips(tmp_path, "b", [("d0", "f4.jpg", None), ("c0", "f4.jpg", None)])
    rows = [("e0", "nowhere.jpg", None), ("e1", "f3.jpg", None), ("e2", "f1.jpg", "silent")]
    z = with_frames(
        clips(tmp_path, "z", rows),
        [("g", 0, ["gone.jpg", "nowhere.jpg"]), ("g", 1, ["f3.jpg"]), (None, None, None)],
    )
    images = [(f"F{i}", f"f{i}.jpg", None) for i in range(6)]
    images += [("X", "bad.jpg", "truncated"), ("F0", "again.jpg", None)]
    return [a, b, z], [pictures(tmp_path, "a", images)]


def test_frames_become_images_of_the_clip(tmp_path: Path, films):
    manifest, _, images = merge_parts(tmp_path, *films)
    assert manifest.columns == [*CLIP_COLUMNS, *RECORDING_COLUMNS]
    assert manifest.schema["segment"] == pl.UInt32
    assert manifest.select("source_path", "image_id", *RECORDING_COLUMNS).rows() == [
        ("a-0.wav", _id("F1"), "film", 0, [_id("F0"), _id("F1"), _id("F2")]),
        ("a-1.wav", _id("F1"), "film", 1, [_id("F1")]),
        ("a-4.wav", _id("F1"), "other", None, None),
        ("a-5.wav", _id("F1"), None, None, [_id("F1"), _id("F0")]),  # again.jpg has the content of f0.jpg
        ("b-0.wav", _id("F4"), None, None, None),
        ("z-1.wav", _id("F3"), "g", 1, [_id("F3")]),
    ]
    assert images.select("image_id", "clips").rows() == [
        (_id("F0"), 0), (_id("F1"), 4), (_id("F2"), 0), (_id("F3"), 1), (_id("F4"), 1)
    ]  # fmt: skip


def test_a_frame_of_no_picture_refuses_its_clip_and_is_named(tmp_path: Path, films):
    _, refused, _ = merge_parts(tmp_path, *films)
    assert refused.filter(item="clip").select("source_path", "reason", "detail").rows() == [
        ("a-2.wav", "image_missing", "no picture is called gone.jpg"),
        ("a-3.wav", "image_refused", "bad.jpg: truncated"),
        ("b-1.wav", "duplicate", "the bytes of audio/a row 0"),
        ("z-0.wav", "image_missing", "no picture is called nowhere.jpg"),  # the reference comes first
        ("z-2.wav", "silent", "why"),
    ]


def test_parts_without_frames_give_a_manifest_without_them(tmp_path: Path, films):
    manifest, _, images = merge_parts(tmp_path, films[0][1:2], films[1])
    assert manifest.columns == list(CLIP_COLUMNS)
    assert images["image_id"].to_list() == [_id("F4")]


def test_a_part_that_lacks_a_column_is_named_beside_one_with_frames(tmp_path: Path, films):
    pl.read_parquet(films[0][1]).drop("speaker").write_parquet(films[0][1])
    with pytest.raises(ValueError, match=r"(?s)audio/b\.parquet: not a complete .*speaker.*delete it and run again"):
        merge_parts(tmp_path, *films)


def test_a_part_with_damaged_frames_is_named(tmp_path: Path, films):
    content, metadata = films[0][2].read_bytes(), pq.ParquetFile(films[0][2]).metadata.row_group(0)
    places = [metadata.column(n).data_page_offset for n in range(metadata.num_columns)
              if metadata.column(n).path_in_schema.startswith("frames")]  # fmt: skip
    films[0][2].write_bytes(content[: places[0]] + bytes(12) + content[places[0] + 12 :])
    with pytest.raises(ValueError, match=r"audio/z\.parquet: not a complete parquet file .*delete it and run again"):
        merge_parts(tmp_path, *films)


def test_many_frames_come_out_in_their_order(tmp_path: Path):
    """Against lists of Python, across the row groups that are streamed."""
    rng = random.Random(0)
    names = [f"{n}.jpg" for n in range(300)]
    frames = [rng.choices(names[:290], k=rng.randrange(1, 9)) if i % 7 else None for i in range(20_000)]
    middle = [names[5] if of is None else of[len(of) // 2] for of in frames]
    gone = {name for n, name in enumerate(names) if n % 50 == 49}
    part = clips(tmp_path, "a", [(f"c{i}", middle[i], None) for i in range(len(frames))])
    with_frames(part, [(f"r{i // 10}", i % 10, of) for i, of in enumerate(frames)])
    there = pictures(tmp_path, "a", [(name, name, None) for name in names if name not in gone])
    manifest, refused, _ = merge_parts(tmp_path, [part], [there])
    whole = [i for i, of in enumerate(frames) if not gone & {middle[i], *(of or [])}]
    assert manifest["row"].to_list() == whole
    expected = [None if (of := frames[i]) is None else [_id(name) for name in of] for i in whole]
    assert manifest["frame_ids"].to_list() == expected
    assert len(refused) == len(frames) - len(whole)
    for detail, row in refused.select("detail", "source_row").iter_rows():
        first = next(name for name in [middle[row], *(frames[row] or [])] if name in gone)
        assert detail == f"no picture is called {first}"
