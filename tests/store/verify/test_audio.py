"""No damage to an audio store passes either."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.support.audio import write_audio
from tests.support.small_stores import damage, files_of, flip, manifest_of, texts
from ves.base.files import read_json, write_json
from ves.store import audio as audio_store
from ves.store.audio import AudioStore
from ves.store.shard_format import HEADER, BadStore
from ves.store.verify import verify
from ves.store.verify.arrays import FOREIGN


@pytest.fixture(autouse=True)
def _small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of 3 chunks of 40 samples."""
    monkeypatch.setattr(audio_store, "CHUNK", 40)
    monkeypatch.setattr(audio_store, "SHARD", 120)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return write_audio(tmp_path / "audio.zarr")


def damaged_many_times(store: Path, times: int) -> Counter[str]:
    rng, files = np.random.default_rng(0), files_of(store)
    intact = {file: file.read_bytes() for file in files}
    counts: Counter[str] = Counter()
    while counts.total() < times:
        file = files[rng.integers(len(files))]
        what = damage(file, rng)
        now = file.read_bytes() if file.is_file() else None
        if now not in (intact[file], intact[file].removesuffix(b"\n")):
            assert verify(store), f"{file} {what}: not found"
            counts[what] += 1
        file.write_bytes(intact[file])
    assert verify(store) == []
    return counts


def test_no_damage_passes(store: Path) -> None:
    assert min(damaged_many_times(store, 150).values()) > 1


@pytest.mark.slow
def test_no_damage_passes_however_often(store: Path) -> None:
    assert damaged_many_times(store, 3_000)["flipped"] > 1_800


def test_a_store_without_clips_is_sound(tmp_path: Path) -> None:
    assert verify(write_audio(tmp_path / "audio.zarr", lengths=())) == []


def test_all_faults_are_listed_by_their_samples(store: Path) -> None:
    flip(store / "audio/A/x/samples/c/0", 8 * (HEADER + 1 * 84 + 3))
    flip(store / "audio/A/x/samples/c/0", 8 * (HEADER + 2 * 84 + 3))
    (store / "audio/B/y/samples/c/1").unlink()
    flip(store / "audio/B/y/length/c/0", 0)
    assert texts(store) == [
        "audio/A/x/samples/c/0: rows 40-119: wrong checksum",
        "audio/B/y/samples/c/1: rows 120-186: missing",
        "audio/B/y/length/c/0: rows 0-3: wrong checksum",
    ]


def test_samples_of_another_store_are_found(store: Path, tmp_path: Path) -> None:
    other = write_audio(tmp_path / "other.zarr", seed=1)
    shutil.copy(other / "audio/A/x/samples/c/1", store / "audio/A/x/samples/c/1")
    assert texts(store) == [f"audio/A/x/samples/c/1: rows 120-186: {FOREIGN}"]
    with pytest.raises(BadStore, match="A/x/samples/c/1: the header is that of another group or place"):
        AudioStore(store).read("audio/A/x", 3)
    assert len(AudioStore(store).read("audio/A/x", 0)) == 50
    shutil.rmtree(store / "audio/A/x")
    shutil.copytree(other / "audio/A/x", store / "audio/A/x")
    assert texts(store)[0] == "audio/A/x/zarr.json: not as the manifest lists it: sha256"


def test_clips_that_do_not_lie_back_to_back_are_found(store: Path, tmp_path: Path) -> None:
    other = write_audio(tmp_path / "other.zarr", lengths=(50, 1, 129, 7))
    for name in ("length", "offset"):
        shutil.copy(other / f"audio/A/x/{name}/c/0", store / f"audio/A/x/{name}/c/0")
    foreign = [f"audio/A/x/samples/c/{n}: rows {rows}: {FOREIGN}" for n, rows in enumerate(("0-119", "120-186"))]
    assert texts(store) == foreign  # the same number of samples, cut elsewhere
    with pytest.raises(BadStore, match="A/x/samples/c/0: the header is that of another group or place"):
        AudioStore(store).read("audio/A/x", 0)
    shutil.copy(store / "audio/B/y/offset/c/0", store / "audio/A/x/offset/c/0")
    assert texts(store) == [*foreign, "audio/A/x/offset/c/0: row 2: does not begin where the clip before it ends"]
    shorter = write_audio(tmp_path / "shorter.zarr", lengths=(50, 0, 129, 7))
    for name in ("length", "offset"):
        shutil.copy(shorter / f"audio/A/x/{name}/c/0", store / f"audio/A/x/{name}/c/0")
    assert texts(store) == [*foreign, "audio/A/x/length: clips with 186 samples, but there are 187"]


def test_ids_of_another_group_and_files_that_changed_places_are_found(store: Path) -> None:
    whole = {file: file.read_bytes() for file in (store / "audio").rglob("*") if file.is_file()}
    shutil.copy(store / "audio/B/y/clip_id/c/0/0", store / "audio/A/x/clip_id/c/0/0")
    assert [fault.endswith(FOREIGN) for fault in texts(store)] == [True, True]
    for file, content in whole.items():
        file.write_bytes(content)
    shutil.copy(store / "audio/B/y/samples/c/0", store / "audio/A/x/samples/c/0")
    assert texts(store) == [f"audio/A/x/samples/c/0: rows 0-119: {FOREIGN}"]
    with pytest.raises(BadStore, match="A/x/samples/c/0: the header is that of another group or place"):
        AudioStore(store).read("audio/A/x", 0)


def test_bits_all_over_a_header_are_noticed(store: Path) -> None:
    for bit in range(3, 8 * HEADER, 19):
        flip(store / "audio/A/x/samples/c/1", bit)
        assert texts(store) == [f"audio/A/x/samples/c/1: rows 120-186: {FOREIGN}"]
        with pytest.raises(BadStore, match="A/x/samples/c/1: the header is that of another group"):
            AudioStore(store, check=False).read("audio/A/x", 3)
        flip(store / "audio/A/x/samples/c/1", bit)


def test_the_manifest_must_agree(store: Path) -> None:
    manifest = read_json(manifest_of(store))
    write_json(manifest_of(store), manifest | {"clips": 9})
    assert "not rate 16000 and the sums over its groups" in texts(store)[0]
    write_json(manifest_of(store), manifest | {"groups": manifest["groups"][:1], "clips": 4, "samples": 187})
    assert [text.partition(": ")[2] for text in texts(store)] == ["does not list audio/B/y"]
    write_json(manifest_of(store), {"groups": [{}]})
    assert [text.partition(": ")[2] for text in texts(store)] == ["not a manifest of an audio store"]


def test_documents_must_be_those_that_were_written(store: Path) -> None:
    path = store / "audio/A/x/samples/zarr.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fill_value": 1}, indent=2))
    (store / "audio/B/zarr.json").unlink()
    shutil.copy(store / "audio/B/y/zarr.json", store / "audio/zarr.json")
    assert texts(store) == [
        "audio/B/zarr.json: missing",
        "audio/zarr.json: does not describe a group",
        "audio/A/x/samples/zarr.json: not laid out as VeS writes it: fill_value",
    ] or texts(store) == [
        "audio/zarr.json: does not describe a group",
        "audio/B/zarr.json: missing",
        "audio/A/x/samples/zarr.json: not laid out as VeS writes it: fill_value",
    ]
