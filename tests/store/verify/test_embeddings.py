"""No damage to embeddings passes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.support.embeddings import random_embeddings
from tests.support.small_stores import damage, files_of, manifest_of, texts
from ves.base.files import read_json, write_json
from ves.store import embeddings
from ves.store.verify import verify


@pytest.fixture
def store(tmp_path: Path) -> Path:
    embeddings.write(tmp_path / "val.zarr", random_embeddings(clips=70, images=5, tokens=3, dim=4))
    return tmp_path / "val.zarr"


def test_no_damage_passes(store: Path) -> None:
    rng, files = np.random.default_rng(0), files_of(store)
    intact = {file: file.read_bytes() for file in files}
    counted = 0
    while counted < 200:
        file = files[rng.integers(len(files))]
        what = damage(file, rng)
        if not file.is_file() or file.read_bytes() not in (intact[file], intact[file] + b"\n"):
            found = verify(store)
            assert found, f"{file} {what}: not found"
            assert "/c/" not in str(file) or file in {fault.file for fault in found}
            counted += 1
        file.write_bytes(intact[file])
    assert verify(store) == []


def test_chunks_that_zarr_leaves_out_are_no_fault(tmp_path: Path) -> None:
    """A chunk that is all zeros has no file; one that was written and is gone is missing."""
    made = random_embeddings(clips=70, images=5, tokens=3, dim=4)
    made.audio_mask[64:] = False
    embeddings.write(tmp_path / "val.zarr", made)
    assert not (tmp_path / "val.zarr/audio_mask/c/1/0").exists()
    assert texts(tmp_path / "val.zarr") == []
    (tmp_path / "val.zarr/audio_tokens/c/1/0/0").unlink()
    assert texts(tmp_path / "val.zarr") == ["audio_tokens/c/1/0/0: rows 64-69: missing"]


def test_what_is_of_another_store_is_found(store: Path, tmp_path: Path) -> None:
    embeddings.write(tmp_path / "other.zarr", random_embeddings(clips=70, images=5, tokens=3, dim=4, seed=1))
    shutil.copy(tmp_path / "other.zarr/image_tokens/c/0/0/0", store / "image_tokens/c/0/0/0")
    assert texts(store) == ["image_tokens: not the content that the manifest lists, but that of another store"]
    shutil.copytree(tmp_path / "other.zarr/image_tokens", store / "more")
    document = read_json(store / "zarr.json")
    document["attributes"]["run"] = "mine"
    (store / "zarr.json").write_text(json.dumps(document, indent=2))
    assert texts(store)[0] == "zarr.json: not the attributes that the manifest lists"
    assert texts(store)[-1].endswith("does not list more")


def test_a_manifest_that_is_none_is_found(store: Path) -> None:
    write_json(manifest_of(store), {"arrays": {"audio_tokens": {}}})
    assert texts(store)[0].endswith("not a manifest of embeddings")
    manifest_of(store).unlink()
    assert texts(store)[0].endswith("manifest.json: missing")
