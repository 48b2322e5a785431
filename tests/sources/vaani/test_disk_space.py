"""What a corpus needs of the disk: what is there counts, and what cannot fit is refused before any download."""

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from ves.base.files import write_json
from ves.sources.vaani.disk_space import check_disk_space, disk_space

Disk = namedtuple("Disk", "total used free")


def plan(**changes: Any) -> dict[str, Any]:
    """Five shards, and stores of 1000 bytes each."""
    shards = [{"name": f"audio/{n}", "part": "audio", "bytes": 100 * n} for n in range(1, 5)]
    shards.append({"name": "images/0", "part": "images", "bytes": 50})
    stores = {"audio.zarr": 1000, "features": 1000, "images": 1000, "tables": 1000}
    block = {"shards": shards, "stores": stores, "feature_store": "this.zarr", "downloads": 2, "keep_source": False}
    block |= {"pairs": 6000, "references": {"images": 6000}}
    return block | changes


def put(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))


def test_nothing_is_there(tmp_path: Path) -> None:
    found = disk_space(plan(), tmp_path / "not" / "made")
    assert found.needed["source"] == 400 + 300 + 400  # two at once, and the largest being ingested
    assert found.missing == 4000 + 1100
    assert found.to_download == 1050
    assert found.free == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)


def test_what_is_there_is_not_needed_again(tmp_path: Path) -> None:
    put(tmp_path / "audio.zarr/audio/4/samples/c/0", 600)
    put(tmp_path / "features/this.zarr/c/0", 5000)  # more than was expected: it makes no space for others
    put(tmp_path / "features/other.zarr/c/0", 5000)  # of another backbone: it is not this corpus'
    put(tmp_path / "parts/audio/4.parquet", 10)
    put(tmp_path / "manifest.parquet", 20)
    put(tmp_path / "source/audio/3.parquet.part", 30)
    found = disk_space(plan(), tmp_path)
    assert found.needed["source"] == 300 + 200 + 300  # the largest is ingested
    assert found.missing == (1000 - 600) + 0 + 1000 + (1000 - 30) + (800 - 30)
    assert found.to_download == 1050 - 400


def test_downloaded_shards_are_not_to_come(tmp_path: Path) -> None:
    put(tmp_path / "source/audio/2.parquet", 200)
    assert disk_space(plan(), tmp_path).to_download == 850


def test_source_that_is_kept_is_needed_whole(tmp_path: Path) -> None:
    for number in (1, 2, 3, 4):
        put(tmp_path / f"parts/audio/{number}.parquet", 0)
    assert disk_space(plan(keep_source=True), tmp_path).needed["source"] == 1050
    assert disk_space(plan(), tmp_path).needed["source"] == 100  # one picture shard, downloaded and then ingested


def test_all_is_ingested_so_no_source_is_needed(tmp_path: Path) -> None:
    for shard in plan()["shards"]:
        put(tmp_path / f"parts/{shard['name']}.parquet", 0)
    found = disk_space(plan(), tmp_path)
    assert (found.needed["source"], found.to_download) == (0, 0)


def test_unknown_features_are_not_counted(tmp_path: Path) -> None:
    found = disk_space(plan(stores=plan()["stores"] | {"features": None}), tmp_path)
    assert "features" not in found.needed


def test_fewer_photographs_than_pairs_are_refused_too(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    write_json(file, plan(references={"images": 5999}))
    with pytest.raises(ValueError, match=r"^split.val and split.tune ask for 6000 pairs, .* name 5999; lower them"):
        check_disk_space(file, tmp_path)


def test_a_disk_that_is_too_small_is_refused_with_what_is_needed_and_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "plan.json"
    write_json(file, plan(stores={"audio.zarr": 730 * 10**9, "features": 150 * 10**9, "images": 0, "tables": 0}))
    for free, fits in ((881 * 10**9, True), (500 * 10**9, False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: Disk(10**12, 0, free))
        if fits:
            check_disk_space(file, tmp_path)
            continue
        words = rf"^{tmp_path}: the corpus needs 880.0 GB more on this disk, 500.0 GB are free: 380.0 GB too few"
        with pytest.raises(ValueError, match=words):
            check_disk_space(file, tmp_path)
