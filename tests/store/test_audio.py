"""The audio store: read as it was written, by our reader and by Zarr's; damage is noticed."""

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import zarr

from ves.store import audio as audio_store
from ves.store.audio import AudioStore, seal, write_group
from ves.store.shard_format import HEADER, BadStore

SHARD = "audio/Goa/North/train-00000-of-00001"


def _clips(lengths: list[int], seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(-32768, 32768, n, dtype=np.int16) for n in lengths]


def _by_zarr(store: Path, array: str) -> np.ndarray:
    """What plain Zarr reads."""
    opened = zarr.open_array(store / array, mode="r")
    return np.asarray(opened[:])


def _ids(n: int) -> list[str]:
    return [f"{i:032x}" for i in range(n)]


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of 3 chunks of 1,000 samples, so that clips lie across chunks and files."""
    monkeypatch.setattr(audio_store, "CHUNK", 1_000)
    monkeypatch.setattr(audio_store, "SHARD", 3_000)


@pytest.mark.usefixtures("small_files")
def test_reads_back_what_was_written(tmp_path: Path):
    clips = _clips([1, 999, 1_000, 2_500, 7_001, 3, 3_000])
    write_group(tmp_path / SHARD, iter(clips), _ids(len(clips)))
    store = AudioStore(tmp_path)
    for row, clip in enumerate(clips):
        np.testing.assert_array_equal(store.read(SHARD, row), clip)
        for limit in (1, 1_000, 1_001, 10_000):
            np.testing.assert_array_equal(store.read(SHARD, row, limit), clip[:limit])
    assert store.read(SHARD, 3).dtype == np.int16
    with pytest.raises(IndexError, match="row 7 of 7 clips"):
        store.read(SHARD, 7)


@pytest.mark.usefixtures("small_files")
def test_plain_zarr_reads_it(tmp_path: Path):
    clips = _clips([2_000, 0, 2_100])
    clips[0][:] = 0  # whole chunks of silence are stored all the same
    digest = write_group(tmp_path / SHARD, clips, _ids(3))
    group = zarr.open_group(tmp_path / SHARD, mode="r")
    np.testing.assert_array_equal(_by_zarr(tmp_path / SHARD, "samples"), np.concatenate(clips))
    assert _by_zarr(tmp_path / SHARD, "offset").tolist() == [0, 2_000, 2_000]
    assert _by_zarr(tmp_path / SHARD, "length").tolist() == [2_000, 0, 2_100]
    assert _by_zarr(tmp_path / SHARD, "clip_id")[2].tobytes().hex() == _ids(3)[2]
    assert dict(group.attrs) == {"rate": 16_000, "clips": 3, "samples": 4_100, "sha256": digest, "complete": True}
    assert AudioStore(tmp_path).read(SHARD, 1).tolist() == []
    np.testing.assert_array_equal(AudioStore(tmp_path).read(SHARD, 0), clips[0])


@pytest.mark.usefixtures("small_files")
def test_same_clips_same_bytes(tmp_path: Path):
    for name in ("a", "b"):
        write_group(tmp_path / name, _clips([1_500, 2_700]), _ids(2))
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) == 2 + 4 + 4  # group, samples (metadata, two files), offset, length, clip_id
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_group_without_clips(tmp_path: Path):
    write_group(tmp_path / SHARD, [], [])
    with pytest.raises(IndexError, match="row 0 of 0 clips"):
        AudioStore(tmp_path).read(SHARD, 0)


def test_a_failed_write_leaves_nothing(tmp_path: Path):
    with pytest.raises(ValueError, match="2 clips, but 1 clip ids"):
        write_group(tmp_path / SHARD, _clips([100, 100]), _ids(1))
    assert not (tmp_path / SHARD).exists()
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("position", [0, 1_999, 2_000, 2_003, 4_500, -1, -30])
def test_a_flipped_bit_is_noticed(tmp_path: Path, position: int):
    write_group(tmp_path / SHARD, _clips([3_000]), _ids(1))
    file = tmp_path / SHARD / "samples/c/0"
    content = bytearray(file.read_bytes())
    content[position + HEADER * (position >= 0)] ^= 0x10
    file.write_bytes(content)
    with pytest.raises(BadStore, match=r"c/0: .*(checksum|index)"):
        AudioStore(tmp_path).read(SHARD, 0)


@pytest.mark.usefixtures("small_files")
def test_the_check_can_be_turned_off(tmp_path: Path):
    (clip,) = clips = _clips([3_000])
    write_group(tmp_path / SHARD, clips, _ids(1))
    file = tmp_path / SHARD / "samples/c/0"
    content = bytearray(file.read_bytes())
    content[HEADER + 2_006] ^= 0x10  # of the second chunk
    file.write_bytes(content)
    assert (AudioStore(tmp_path, check=False).read(SHARD, 0) != clip).sum() == 1
    with pytest.raises(BadStore, match="c/0: a checksum does not match"):
        AudioStore(tmp_path, check=True).read(SHARD, 0)


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("check", [True, False])
def test_what_is_missing_is_named_and_never_read_as_silence(tmp_path: Path, check: bool):
    clips = _clips([3_000, 3_000])
    write_group(tmp_path / SHARD, clips, _ids(2))
    store = AudioStore(tmp_path, check=check)
    np.testing.assert_array_equal(store.read(SHARD, 0), clips[0])
    os.truncate(tmp_path / SHARD / "samples/c/0", 2_500)  # while it is open
    with pytest.raises(BadStore, match="c/0: cut off"):
        store.read(SHARD, 0)
    with pytest.raises(BadStore, match="c/0: the index is damaged"):
        AudioStore(tmp_path, check=check).read(SHARD, 0)
    (tmp_path / SHARD / "samples/c/1").unlink()
    with pytest.raises(BadStore, match="c/1: missing"):
        store.read(SHARD, 1)
    for name in ("offset", "length"):
        chunk = tmp_path / SHARD / name / "c/0"
        content = chunk.read_bytes()
        chunk.unlink()
        with pytest.raises(BadStore, match=f"{name}: missing or damaged"):
            AudioStore(tmp_path, check=check).read(SHARD, 1)
        chunk.write_bytes(b"\x01" + content[1:])
        with pytest.raises(BadStore, match=f"{name}: missing or damaged"):
            AudioStore(tmp_path, check=check).read(SHARD, 1)
        chunk.write_bytes(content)


@pytest.mark.usefixtures("small_files")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_processes_share_a_store_and_few_files_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(audio_store, "OPEN_FILES", 2)
    clips = _clips([2_900] * 10)
    write_group(tmp_path / SHARD, clips, _ids(10))
    store, before = AudioStore(tmp_path), len(os.listdir("/proc/self/fd"))

    def right() -> bool:
        return all(np.array_equal(store.read(SHARD, row), clip) for row, clip in enumerate(clips))

    assert right()
    assert len(os.listdir("/proc/self/fd")) <= before + 2
    children = []
    for _ in range(3):
        if (child := os.fork()) == 0:
            os._exit(0 if right() else 1)
        children.append(child)
    assert right()
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 3


@pytest.mark.usefixtures("small_files")
@pytest.mark.filterwarnings("ignore")  # zarr's, of keys that it does not know
def test_damaged_documents_of_a_group_are_named(tmp_path: Path):
    clips = _clips([1, 5_000, 300])
    write_group(tmp_path / SHARD, clips, _ids(3))
    documents = sorted((tmp_path / SHARD).rglob("zarr.json"))
    assert len(documents) == 5
    noticed = 0
    for document in documents:
        intact = document.read_bytes()
        broken = [
            intact[:at] + bytes([intact[at] ^ 1 << at % 7]) + intact[at + 1 :] for at in range(0, len(intact), 23)
        ]
        for content in [b"", b"{", b"[]", b'{"zarr_format": 3}', *broken]:
            document.write_bytes(content)
            try:
                store = AudioStore(tmp_path)
                found = [store.read(SHARD, row) for row in range(3)]
            except (BadStore, ValueError) as error:
                said, noticed = str(error), noticed + 1
            else:
                said = str(tmp_path / SHARD) * all(map(np.array_equal, found, clips))
            assert str(tmp_path / SHARD) in said
        document.write_bytes(intact)
    assert noticed > 100


def test_an_absent_or_unfinished_group_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match=f"no group {SHARD}; run the ingest"):
        AudioStore(tmp_path).read(SHARD, 0)
    zarr.open_group(tmp_path / SHARD, mode="w")
    with pytest.raises(ValueError, match="not complete; delete it"):
        AudioStore(tmp_path).read(SHARD, 0)


def test_seal_joins_the_groups(tmp_path: Path):
    store = tmp_path / "audio.zarr"
    digests = {
        s: write_group(store / s, _clips([700, 20], i), _ids(2)) for i, s in enumerate(("audio/A/x", "audio/B/y"))
    }
    seal(store, list(digests))
    manifest = json.loads((tmp_path / "audio.zarr.manifest.json").read_text())
    assert (manifest["clips"], manifest["samples"]) == (4, 1_440)
    assert {g["shard"]: g["sha256"] for g in manifest["groups"]} == digests
    assert sorted(zarr.open_group(store / "audio", mode="r").keys()) == ["A", "B"]
    assert "audio/B/y/length" in zarr.open_group(store, mode="r")
    assert _by_zarr(store, "audio/B/y/length").tolist() == [700, 20]
    with pytest.raises(ValueError, match="no group audio/C/z"):
        seal(store, [*digests, "audio/C/z"])


@pytest.mark.usefixtures("small_files")
def test_threads_read_the_same(tmp_path: Path):
    clips = _clips([1_200] * 40)
    write_group(tmp_path / SHARD, clips, _ids(40))
    store, wrong = AudioStore(tmp_path), []

    def reader(rows: range) -> None:
        wrong.extend(row for row in rows if not np.array_equal(store.read(SHARD, row), clips[row]))

    threads = [threading.Thread(target=reader, args=(range(start % 7, 40),)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
