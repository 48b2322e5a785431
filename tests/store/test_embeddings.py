"""Embeddings on disk: what is written is what is read, and nothing half-written or damaged is read at all."""

import hashlib
import json

import pytest
import torch
import zarr

from tests.support.embeddings import random_embeddings
from tests.support.run_folders import CLIPS, IMAGES, split_in_two
from ves.store.embeddings import ARRAYS, Embeddings, join, load, manifest_path, write


@pytest.fixture
def store(tmp_path):
    write(tmp_path / "val.zarr", random_embeddings(70, 66, tokens=5, dim=4))  # more rows than one chunk holds
    return tmp_path / "val.zarr"


def test_what_is_written_is_read(store):
    found, given = load(store), random_embeddings(70, 66, tokens=5, dim=4)
    for name in ARRAYS:
        assert torch.equal(getattr(found, name), getattr(given, name)), name
        assert getattr(found, name).dtype == getattr(given, name).dtype, name
    assert found.clip_id == given.clip_id
    assert found.image_id == given.image_id
    assert found.attrs == given.attrs


def test_any_zarr_reads_it(store):
    arrays = dict(zarr.open_group(store, mode="r").arrays())
    assert {name: array.shape for name, array in arrays.items()} == {
        "audio_tokens": (70, 5, 4), "audio_mask": (70, 5), "clip_image": (70,), "clip_id": (70, 16),
        "image_tokens": (66, 4, 4), "image_mask": (66, 4), "image_id": (66, 32),
    }  # fmt: skip
    assert arrays["image_tokens"].dtype == "float16"


def test_the_manifest_holds_shapes_and_content_hashes(store):
    manifest = json.loads(manifest_path(store).read_text())
    tokens = random_embeddings(70, 66, tokens=5, dim=4).image_tokens.numpy()
    expected = {"shape": [66, 4, 4], "dtype": "float16", "sha256": hashlib.sha256(tokens.tobytes()).hexdigest()}
    assert manifest["arrays"]["image_tokens"] == expected
    assert manifest["model_sha256"] == "ab" * 32


def test_same_embeddings_same_bytes(store, tmp_path):
    other = tmp_path / "other" / "val.zarr"
    write(other, random_embeddings(70, 66, tokens=5, dim=4))

    def files(folder):
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    assert files(other) == files(store)
    assert manifest_path(other).read_bytes() == manifest_path(store).read_bytes()


def test_a_store_without_its_manifest_is_not_finished(store):
    manifest_path(store).unlink()
    with pytest.raises(FileNotFoundError, match=r"val\.zarr\.manifest\.json: absent, .* embed the split again"):
        load(store)


def test_a_damaged_chunk_is_an_error(store):
    chunk = next(path for path in (store / "image_tokens" / "c").rglob("*") if path.is_file())
    damaged = bytearray(chunk.read_bytes())
    damaged[7] ^= 1
    chunk.write_bytes(damaged)
    with pytest.raises(ValueError, match="checksum"):
        load(store)


@pytest.mark.parametrize("name", ["image_tokens", "audio_mask", "clip_id"])
def test_a_missing_chunk_is_an_error_and_not_zeros(store, name):
    next(path for path in (store / name / "c").rglob("*") if path.is_file()).unlink()
    with pytest.raises(ValueError, match=rf"val\.zarr/{name}: missing, damaged or from another store"):
        load(store)


def test_another_store_in_its_place_is_an_error(store, tmp_path):
    other = tmp_path / "other" / "val.zarr"
    write(other, random_embeddings(70, 66, tokens=5, dim=4, seed=1))
    manifest_path(store).write_bytes(manifest_path(other).read_bytes())
    with pytest.raises(ValueError, match="from another store"):
        load(store)


def test_tokens_that_are_not_finite_leave_nothing_behind(store):
    broken = random_embeddings(70, 66)
    broken.audio_tokens[3, 2, 1] = torch.nan
    before = manifest_path(store).read_bytes()
    with pytest.raises(ValueError, match="audio_tokens are not finite: dense-s0 has diverged"):
        write(store, broken)
    assert manifest_path(store).read_bytes() == before, "the store that was there is untouched"


def test_a_failed_write_takes_the_old_manifest_with_it(store, monkeypatch):
    """The store may then be of one model and the manifest of another."""
    monkeypatch.setattr(zarr, "create_group", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write(store, random_embeddings(3, 3))
    assert not manifest_path(store).exists()


@pytest.mark.parametrize("clips", [5, 0])
def test_a_store_may_have_no_image_tokens_and_no_clip(tmp_path, clips):
    """As that of val_more has, whose images lie with val."""
    some = random_embeddings(5, 3, tokens=4, dim=6)
    given = Embeddings(
        some.audio_tokens[:clips], some.audio_mask[:clips], some.clip_image[:clips], some.image_tokens[:0],
        some.image_mask[:0], some.clip_id[:clips], some.image_id if clips else [], some.attrs,
    )  # fmt: skip
    write(tmp_path / "val_more.zarr", given)
    found = load(tmp_path / "val_more.zarr")
    for name in ARRAYS:
        assert torch.equal(getattr(found, name), getattr(given, name)), name
    assert (found.clip_id, found.image_id) == (given.clip_id, given.image_id)


def test_val_and_val_more_together_are_all_clips_about_the_images_of_val():
    whole = random_embeddings(CLIPS, IMAGES)
    whole.clip_image[IMAGES:] = whole.clip_image[IMAGES:].clamp(min=3)
    found = join(*split_in_two(whole))
    assert found.clip_id == whole.clip_id[:-1], "the last is about a near-duplicate"
    assert torch.equal(found.clip_image, whole.clip_image[:-1])
    assert torch.equal(found.audio_tokens, whole.audio_tokens[:-1])
    assert torch.equal(found.audio_mask, whole.audio_mask[:-1])
    assert torch.equal(found.image_tokens, whole.image_tokens)


def test_val_and_val_more_of_two_models_are_not_joined():
    val, more = split_in_two(random_embeddings(CLIPS, IMAGES))
    more.attrs["model_sha256"] = "cd" * 32
    with pytest.raises(ValueError, match="dense-s0: embeddings of val and val_more are from two models; embed both"):
        join(val, more)
