"""No damage to a store passes: what verify finds, and that nothing damaged is ever read as numbers."""

import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.small_stores import (
    ATTRS,
    IDS,
    PATCHES,
    ROWS,
    SHARD_ROWS,
    WIDTH,
    damage,
    files_of,
    flip,
    manifest_of,
    small_shards,
    some_tokens,
    write_images,
    write_manifest,
    write_store,
)
from ves.__main__ import main
from ves.base.checksums import weight_hash
from ves.base.files import read_json, remove, write_json
from ves.media.normalisation import MEAN, STD
from ves.models import preprocessing
from ves.store.features_layout import shard_path
from ves.store.features_reader import open_features
from ves.store.features_writer import create_features, present, set_complete, write_shard
from ves.store.shard_format import HEADER, BadStore
from ves.store.verify import verify
from ves.store.verify.arrays import FOREIGN

TOKENS = some_tokens()
MEMORY = Path("/dev/shm")  # where thousands of little writes cost nothing


@pytest.fixture(autouse=True)
def _small_shards():
    with small_shards():
        yield


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return write_store(tmp_path / "c/features/f.zarr", TOKENS)


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """The same store on a file system in memory, where there is one."""
    with tempfile.TemporaryDirectory(prefix="ves-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as folder:
        yield write_store(Path(folder) / "f.zarr", TOKENS)


def texts(store: Path, images: Path | None = None) -> list[str]:
    """The faults, without the path of the folder that the store is in."""
    return [str(fault).replace(f"{store.parent}/", "") for fault in verify(store, images)]


def never_read_wrong(store: Path, damaged: Path) -> None:
    """Every row is refused by name, or is what was written."""
    if damaged.is_relative_to(store / "patch_tokens" / "c"):
        opened, first = open_features(store), 4 * int(damaged.parts[-3])
        with pytest.raises(BadStore, match=re.escape(f"{damaged}: ")):
            opened.read(range(ROWS))
        others = [row for row in range(ROWS) if not first <= row < first + 4]
        assert torch.equal(opened.read(others), TOKENS[others])
        return
    with suppress(BadStore, ValueError, LookupError, TypeError, OSError):
        opened = open_features(store)
        rows = opened.rows(IDS)
        assert rows.tolist() == list(range(ROWS))
        assert torch.equal(opened.read(rows), TOKENS)


def assert_found(store: Path, damaged: Path, what: str) -> None:
    found = verify(store)
    assert found, f"{damaged} {what}: not found"
    if damaged.is_relative_to(store / "patch_tokens" / "c") or damaged.is_relative_to(store / "image_id" / "c"):
        assert damaged in {fault.file for fault in found}, f"{damaged} {what}: not named"
    never_read_wrong(store, damaged)


def damaged_many_times(store: Path, times: int, seed: int) -> Counter[str]:
    """Damage one file, see that it is found, and mend it, so many times; how often in which way."""
    rng, files = np.random.default_rng(seed), files_of(store)
    intact = {file: file.read_bytes() for file in files}
    counts: Counter[str] = Counter()
    while counts.total() < times:
        file = files[rng.integers(len(files))]
        what = damage(file, rng)
        if file.is_file() and file.read_bytes() == intact[file]:
            continue  # zeros where zeros were
        assert_found(store, file, what)
        file.write_bytes(intact[file])
        counts[what] += 1
    assert verify(store) == []
    return counts


def test_no_damage_passes(in_memory: Path) -> None:
    counts = damaged_many_times(in_memory, 600, seed=0)
    assert min(counts[what] for what in ("flipped", "zeroed", "cut off", "deleted")) > 10


@pytest.mark.slow
def test_no_damage_passes_however_often(in_memory: Path) -> None:
    assert damaged_many_times(in_memory, 10_000, seed=1)["flipped"] > 6_000


@pytest.mark.slow
def test_no_single_bit_of_a_store_can_be_flipped_unnoticed(in_memory: Path) -> None:
    flipped = 0
    for file in files_of(in_memory):
        for bit in range(8 * file.stat().st_size):
            flip(file, bit)
            assert_found(in_memory, file, f"bit {bit}")
            flip(file, bit)
            flipped += 1
    assert flipped > 30_000 and verify(in_memory) == []


def test_a_sound_store_has_no_faults(store: Path) -> None:
    assert verify(store) == []
    write_images(store.parent.parent / "images.parquet")
    assert verify(store) == []


def test_all_faults_are_listed_not_the_first(store: Path) -> None:
    flip(shard_path(store, 0), 8 * (HEADER + 2 * 68 + 5))
    flip(shard_path(store, 0), 8 * (HEADER + 3 * 68 + 64))  # a bit of the checksum itself
    shard_path(store, 1).unlink()
    (store / "image_id/c/2/0").write_bytes(b"")
    found = texts(store)
    assert found == [
        "f.zarr/image_id/c/2/0: rows 8-9: wrong checksum",
        "f.zarr/patch_tokens/c/0/0/0: rows 2-3: wrong checksum",
        "f.zarr/patch_tokens/c/1/0/0: rows 4-7: missing",
    ]


@pytest.mark.parametrize(
    ("value", "what"),
    [(0.0, "all zeros"), (-0.0, "all zeros"), (float("nan"), "all fill"), (float("inf"), "all fill")],
)
def test_rows_that_no_backbone_gives_are_found(store: Path, value: float, what: str) -> None:
    tokens = TOKENS.clone()
    tokens[5] = value
    write_shard(store, 1, tokens[4:8], IDS[4:8])
    write_manifest(store)
    assert texts(store) == [f"f.zarr/patch_tokens/c/1/0/0: row 5: {what}"]


def test_a_single_number_that_is_none_is_found(store: Path) -> None:
    tokens = TOKENS.clone()
    tokens[8, 3, 7], tokens[9, 0, 0], tokens[9, 0, 1] = float("nan"), float("inf"), float("-inf")
    write_shard(store, 2, tokens[8:], IDS[8:])
    write_manifest(store)
    assert texts(store) == [
        "f.zarr/patch_tokens/c/2/0/0: row 8: 1 of 32 numbers are NaN or infinite",
        "f.zarr/patch_tokens/c/2/0/0: row 9: 2 of 32 numbers are NaN or infinite",
    ]


def test_a_shard_of_another_store_is_found(store: Path, tmp_path: Path) -> None:
    other = write_store(tmp_path / "other.zarr", some_tokens(1))
    shutil.copy(shard_path(other, 1), shard_path(store, 1))
    (found,) = texts(store)  # of the same pictures by the same weights: read as ours, but other bytes all the same
    assert found == "f.zarr/patch_tokens/c/1/0/0: not the content that the manifest lists, but that of another store"


@pytest.mark.parametrize("other", [{"fit": "pad"}, {"weight_hash": "1e" * 32}, {"revision": "4" * 40}])
def test_a_shard_of_features_of_another_kind_is_never_read(store: Path, tmp_path: Path, other: dict) -> None:
    shutil.copy(shard_path(write_store(tmp_path / "other.zarr", TOKENS, **other), 1), shard_path(store, 1))
    assert texts(store)[0] == f"f.zarr/patch_tokens/c/1/0/0: rows 4-7: {FOREIGN}"
    for check in (True, False):
        with pytest.raises(BadStore, match="patch_tokens/c/1/0/0: row 4: the header is that of another store"):
            open_features(store, check=check).read([0, 5])
    assert not present(store, 1, IDS[4:8]) and present(store, 0, IDS[:4])


def test_shards_that_changed_places_are_never_read(store: Path) -> None:
    one, two = shard_path(store, 0), shard_path(store, 1)
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    assert [fault.split(": ", 2)[2] for fault in texts(store)[:2]] == [FOREIGN] * 2
    for row, shard in ((0, one), (7, two)):
        with pytest.raises(
            BadStore, match=rf"{re.escape(str(shard))}: row .: the header is that of another store or place"
        ):
            open_features(store).read([9, row])


def test_bits_all_over_a_header_are_noticed(store: Path) -> None:
    for bit in range(3, 8 * HEADER, 13):
        flip(shard_path(store, 2), bit)
        (found,) = texts(store)
        assert found == f"f.zarr/patch_tokens/c/2/0/0: rows 8-9: {FOREIGN}"
        with pytest.raises(BadStore, match="c/2/0/0: row 8: the header is that of another store"):
            open_features(store).read([9])
        flip(shard_path(store, 2), bit)


def test_ids_of_another_store_are_found(store: Path, tmp_path: Path) -> None:
    other = write_store(tmp_path / "other.zarr", TOKENS, [f"{row + 1:064x}" for row in range(ROWS)])
    shutil.copy(other / "image_id/c/1/0", store / "image_id/c/1/0")
    images = write_images(tmp_path / "listed.parquet")
    assert texts(store) == [
        f"f.zarr/patch_tokens/c/1/0/0: rows 4-7: {FOREIGN}",
        "f.zarr.manifest.json: written for other images (images_sha256)",
    ]
    with pytest.raises(BadStore, match="patch_tokens/c/1/0/0: row 4: the header is that of another store or place"):
        open_features(store).read([0, 5])
    assert torch.equal(open_features(store).read([0, 9]), TOKENS[[0, 9]])
    found = texts(store, images)
    assert len(found) == 3 and found[0].startswith("f.zarr/image_id/c/1/0: rows 4-7: not the image that")


def test_rows_are_those_of_images_parquet(store: Path) -> None:
    images = write_images(store.parent.parent / "images.parquet", [*IDS[:8], IDS[9], IDS[8], "ab" * 32])
    assert texts(store) == [
        f"f.zarr/image_id/c/2/0: rows 8-9: not the image that {images} lists",
        f"f.zarr/image_id: 10 rows, but {images} lists 11 images",
    ]
    images.write_bytes(images.read_bytes()[:-20])
    assert "no comparison" in texts(store)[0]


def test_an_image_twice_and_an_id_of_zeros_are_found(store: Path) -> None:
    ids = [*IDS[:8], "00" * 32, IDS[3]]
    write_shard(store, 2, TOKENS[8:], ids[8:])
    write_manifest(store, ids)
    assert texts(store) == [
        "f.zarr/image_id/c/2/0: row 8: not an id: all zeros",
        "f.zarr/image_id/c/2/0: row 9: the same image as row 3",
    ]


CHANGED = "f.zarr/zarr.json: not the attributes in the headers of its shards (unless the ids are wrong)"


def stale(store: Path, **attrs) -> list[str]:
    """Faults of the store when these attributes are changed in it and in its manifest alike."""
    group = read_json(store / "zarr.json")
    group["attributes"] |= attrs
    write_json(store / "zarr.json", group)
    write_manifest(store)
    return texts(store)


def test_stale_attributes_are_found(store: Path, tmp_path: Path) -> None:
    assert stale(store, grid=[2, 3]) == [CHANGED, "f.zarr/zarr.json: grid [2, 3], but 4 patches"]
    assert stale(store, grid=[2, 2], width=9) == [CHANGED, "f.zarr/zarr.json: width 9, but rows of 8"]
    write_json(store.with_suffix(".json"), {"backbone": "none", "revision": None, "image_size": 14, "fit": "pad"})
    assert stale(store, width=8) == [
        "f.zarr/zarr.json: image_size 28, but f.json says 14",
        "f.zarr/zarr.json: fit 'stretch', but f.json says 'pad'",
    ]
    store.with_suffix(".json").unlink()
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny/model.safetensors").write_bytes(b"trained further since")
    assert stale(store, backbone="owner/no such name", revision="main") == [CHANGED]  # none here to compare with
    changed, found = stale(store, backbone=str(tmp_path / "tiny"))
    assert changed == CHANGED and found.startswith("f.zarr/zarr.json: weight_hash 0f0f0f0f0f0f0f0f..., but ")


OWN = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}


@pytest.fixture
def backbone(tmp_path: Path) -> Path:
    """The folder of a backbone: weights that nothing loads, and how its pictures are normalised."""
    folder = tmp_path / "backbone"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    write_json(folder / "preprocessor_config.json", OWN)
    return folder


def store_of(backbone: Path, **attrs) -> Path:
    """A store that was made with that backbone."""
    normalisation = preprocessing.of_pictures(backbone).attributes | {"resample": "bicubic"}
    made_with = {"backbone": str(backbone), "weight_hash": weight_hash(backbone), "normalisation": normalisation}
    return write_store(backbone.parent / "c/features/g.zarr", TOKENS, **made_with | attrs)


def test_a_store_with_the_normalisation_of_its_backbone_is_intact(backbone: Path) -> None:
    assert main(["store", "verify", str(store_of(backbone))]) == 0


@pytest.mark.parametrize("change", [{"image_mean": [0.5, 0.5, 0.4]}, {"rescale_factor": 0.5}, {"do_normalize": False}])
def test_another_normalisation_than_that_of_the_backbone_is_found(
    backbone: Path, change: dict, capfd: pytest.CaptureFixture[str]
) -> None:
    store = store_of(backbone)
    write_json(backbone / "preprocessor_config.json", OWN | change)
    expected = preprocessing.of_pictures(backbone).attributes
    assert main(["store", "verify", str(store)]) == 1
    assert f"{store}/zarr.json: normalisation {{'mean': [0.5, 0.5, 0.5]" in (out := capfd.readouterr().out)
    assert out.rstrip().endswith(f"but {backbone} has {expected}") and out.count("\n") == 1


@pytest.mark.parametrize("recorded", [None, "bicubic", {"mean": [0.5] * 3}, {"mean": 0.5, "std": [0.25] * 3}, [0.5]])
def test_a_normalisation_that_is_none_or_missing_is_found(backbone: Path, recorded: object) -> None:
    """A store of an older version has none, which means that of ImageNet; this backbone has another."""
    store = store_of(backbone, normalisation=recorded)
    (fault,) = verify(store, normalisation_of=preprocessing.of_pictures)
    assert fault.what.startswith(f"normalisation {recorded}, but ")


def test_an_older_store_with_the_normalisation_of_imagenet_is_intact(backbone: Path) -> None:
    write_json(backbone / "preprocessor_config.json", {"image_mean": list(MEAN), "image_std": list(STD)})
    assert verify(store_of(backbone, normalisation=None), normalisation_of=preprocessing.of_pictures) == []


def test_a_normalisation_that_cannot_be_known_here_is_not_compared(backbone: Path) -> None:
    store = store_of(backbone)
    write_json(backbone / "preprocessor_config.json", {"image_mean": "?"})
    assert verify(store, normalisation_of=preprocessing.of_pictures) == []
    shutil.rmtree(backbone)  # as on a machine that never had it
    assert verify(store, normalisation_of=preprocessing.of_pictures) == []


def test_attributes_that_the_manifest_does_not_have_are_found(store: Path) -> None:
    group = read_json(store / "zarr.json")
    write_json(store / "zarr.json", group | {"attributes": group["attributes"] | {"fit": "crop", "note": "mine"}})
    assert texts(store) == [CHANGED, "f.zarr.manifest.json: made with other attributes than the store's: fit, note"]
    with pytest.raises(
        BadStore, match=r"c/0/0/0: row 0: the header is that of another .*\(unless attributes or ids are\)"
    ):
        open_features(store).read([0])


def test_an_unfinished_store_is_found(store: Path) -> None:
    set_complete(store, False)
    manifest_of(store).unlink()
    assert texts(store) == ["f.zarr.manifest.json: missing", "f.zarr/zarr.json: not marked as complete"]


def test_another_layout_is_found(store: Path) -> None:
    path = store / "patch_tokens/zarr.json"
    for change, said in (
        ({"fill_value": 0}, "not laid out as VeS writes it: fill_value"),
        ({"shape": [10, 4]}, "a shape of [10, 4], not of images, patches and width"),
        ({"shape": [14, 4, 8]}, "f.zarr/image_id/zarr.json: not laid out as VeS writes it: shape"),
    ):
        intact = read_json(path)
        write_json(path, intact | change)
        (found,) = texts(store)
        assert said in found
        write_json(path, intact)
    stray = shard_path(store, 3)
    stray.parent.mkdir(parents=True)
    shutil.copy(shard_path(store, 0), stray)
    assert texts(store) == ["f.zarr/patch_tokens/c/3: has no row of this array; delete it"]


@pytest.mark.parametrize(
    "place",
    ["notes.txt", ".hidden", "c/notes.txt", "c/3", "c/00", "c/1/1", "c/1/0/1", "c/1/0/.1.abc.partial", ".0.b.partial"],
)
@pytest.mark.parametrize("folder", [False, True])
def test_what_lies_in_an_array_and_is_not_of_it_is_named(
    store: Path, place: str, folder: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    stray = store / "patch_tokens" / place
    if folder:
        (stray / "more").mkdir(parents=True)
    else:
        stray.write_bytes(b"some")
    assert texts(store) == [f"f.zarr/patch_tokens/{place}: has no row of this array; delete it"]
    assert main(["store", "verify", str(store)]) == 1
    assert capfd.readouterr().err.rstrip().endswith("damaged, places: 1"), "to extract again would not remove it"
    create_features(store, ROWS, PATCHES, WIDTH, ATTRS)  # a re-run passes over it
    remove(stray)
    assert texts(store) == []


def test_an_array_may_lie_elsewhere_and_nfs_may_keep_what_is_still_read(store: Path, tmp_path: Path) -> None:
    (store / "patch_tokens/c").rename(tmp_path / "elsewhere")
    (store / "patch_tokens/c").symlink_to(tmp_path / "elsewhere")
    (store / "patch_tokens/c/0/0/.nfs000000000000beef00000001").write_bytes(b"of another time")
    assert texts(store) == []


def test_what_a_killed_writer_left_is_no_fault_and_goes_when_its_file_is_written_again(store: Path) -> None:
    path = shard_path(store, 1)
    left = path.with_name(f".{path.name}.abc123.partial")
    left.mkdir()
    (left / "writer.lock").touch()
    (left / path.name).write_bytes(b"half")
    assert texts(store) == []
    write_shard(store, 1, some_tokens()[SHARD_ROWS : 2 * SHARD_ROWS], IDS[SHARD_ROWS : 2 * SHARD_ROWS])
    assert not left.exists() and texts(store) == []


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none of the stores that VeS makes"):
        verify(tmp_path)


def test_a_manifest_of_other_shards_is_found(store: Path) -> None:
    manifest = read_json(manifest_of(store))
    write_json(manifest_of(store), manifest | {"rows": 9, "shards": manifest["shards"][:2]})
    assert texts(store) == [
        "f.zarr.manifest.json: 9 rows, but the store has 10",
        "f.zarr.manifest.json: lists other shards than the store has",
    ]
    write_json(manifest_of(store), {"rows": ROWS, "attrs": ATTRS})
    (found,) = texts(store)
    assert "not a manifest of a feature store" in found
