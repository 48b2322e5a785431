"""What `ves store info` says of stores, whole and damaged."""

from pathlib import Path

import pytest

from tests.support.audio import write_audio
from tests.support.embeddings import random_embeddings
from tests.support.small_stores import manifest_of, small_shards, some_tokens, write_store
from ves.store import embeddings
from ves.store.describe import describe
from ves.store.features_layout import shard_path
from ves.store.features_writer import set_complete


@pytest.fixture
def store(tmp_path: Path):
    with small_shards():
        yield write_store(tmp_path / "f.zarr", some_tokens())


def cells(described: str, array: str) -> list[str]:
    (line,) = [line for line in described.splitlines() if line.startswith(array)]
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_a_feature_store_is_described(store: Path) -> None:
    described = describe(store)
    tokens = [
        "patch_tokens",
        "10 x 4 x 8",
        "bfloat16",
        "1 x 4 x 8",
        "3 of 3",
        "1.1 kB",
        "1.681",
        "shards, bytes + crc32c",
    ]
    assert cells(described, "patch_tokens") == tokens  # 640 bytes, 10 checksums, 3 headers of 64 and 3 indices of 68
    assert cells(described, "image_id")[:5] == ["image_id", "10 x 32", "uint8", "4 x 32", "3 of 3"]
    assert "\nmarked as: complete\n" in described and f"\nmanifest: {manifest_of(store).name}\n" in described
    assert '\n  fit: "stretch"\n' in described and "\n  grid: [2, 2]\n" in described


def test_what_is_not_there_is_said(store: Path, tmp_path: Path) -> None:
    set_complete(store, False)
    manifest_of(store).unlink()
    shard_path(store, 1).unlink()
    described = describe(store)
    assert cells(described, "patch_tokens")[4:6] == ["2 of 3", "672 B"]
    assert "NOT COMPLETE" in described and "manifest: MISSING" in described
    assert "MISSING: 1 files, such as patch_tokens/c/1/0/0" in described
    with pytest.raises(ValueError, match="not a Zarr v3 store"):
        describe(tmp_path)


def test_the_groups_of_an_audio_store_are_one_line_for_each_array(tmp_path: Path) -> None:
    described = describe(write_audio(tmp_path / "audio.zarr"))
    assert cells(described, "samples of 2 groups")[1:5] == ["374", "int16", "16000", "2 of 2"]
    assert cells(described, "clip_id of 2 groups")[1:5] == ["8 x 16", "uint8", "all x 16", "2 of 2"]
    assert "attributes that its 2 groups share:\n  rate: 16000" in described
    assert "sha256:" not in described  # of each group its own


def test_embeddings_are_described_too(tmp_path: Path) -> None:
    embeddings.write(tmp_path / "val.zarr", random_embeddings(clips=70, images=5))
    described = describe(tmp_path / "val.zarr")
    assert cells(described, "audio_tokens")[1:5] == ["70 x 10 x 8", "float16", "64 x 10 x 8", "2 of 2"]
    assert cells(described, "audio_mask")[2] == "bool"
    assert "marked as: not marked" in described
