import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorstore
import torch
import zarr

from ves.store import rows as shard_rows
from ves.store import shard_format
from ves.store.bfloat16 import DTYPE
from ves.store.features_layout import shard_path
from ves.store.features_reader import open_features
from ves.store.features_writer import create_features, intact, set_complete, write_shard
from ves.store.shard_format import HEADER, BadStore

ATTRS = {"backbone": "none", "grid": [2, 3], "fit": "stretch", "versions": {"torch": "2"}}
IDS = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(600)]
TOKENS = torch.randn(600, 6, 8, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)


def fill(path, rows: int) -> None:
    for shard, first in enumerate(range(0, rows, 256)):
        write_shard(path, shard, TOKENS[first : min(first + 256, rows)], IDS[first : min(first + 256, rows)])
    set_complete(path, True)


@pytest.fixture
def path(tmp_path):
    """A complete store of 600 rows in three shards, the last of 88."""
    create_features(tmp_path / "f.zarr", 600, 6, 8, ATTRS)
    fill(tmp_path / "f.zarr", 600)
    return tmp_path / "f.zarr"


def numbers(tokens) -> np.ndarray:
    return tokens.float().numpy() if isinstance(tokens, torch.Tensor) else np.asarray(tokens).astype(np.float32)


def test_rows_come_in_the_order_asked_repeats_allowed(path):
    opened = open_features(path)
    rows = [599, 0, 256, 255, 256, 3, 599]
    tokens = opened.read(rows)
    assert tokens.dtype == torch.bfloat16 and tokens.shape == (7, 6, 8)
    assert torch.equal(tokens, TOKENS[rows])
    assert torch.equal(opened.read(np.arange(600)), TOKENS)
    assert opened.read([]).shape == (0, 6, 8)
    assert (len(opened), opened.grid, opened.patches, opened.width) == (600, (2, 3), 6, 8)
    assert opened.attrs["backbone"] == "none"


def test_zarr_and_tensorstore_read_the_same(path):
    group, tokens = zarr.open_group(path, mode="r"), zarr.open_array(path / "patch_tokens", mode="r")
    assert tokens.dtype == DTYPE
    np.testing.assert_array_equal(numbers(tokens[:]), numbers(TOKENS))
    ids = zarr.open_array(path / "image_id", mode="r")
    np.testing.assert_array_equal(ids[:], np.array([list(bytes.fromhex(i)) for i in IDS], np.uint8))
    assert dict(group.attrs) == ATTRS | {"complete": True}
    opened = tensorstore.open({"driver": "zarr3", "kvstore": f"file://{path}/patch_tokens/"}).result()
    np.testing.assert_array_equal(numbers(opened.read().result()), numbers(TOKENS))


def test_the_metadata_is_what_zarr_would_write(path):
    """Zarr opens it, and makes the same document of it again."""
    for name in ("patch_tokens", "image_id"):
        array = zarr.open_array(path / name, mode="r+")
        before = (path / name / "zarr.json").read_text()
        array.attrs["note"] = 1
        del array.attrs["note"]
        assert (path / name / "zarr.json").read_text().split() == before.split()


def test_images_are_found_by_id(path):
    opened = open_features(path)
    assert opened.image_ids == IDS
    assert opened.rows([IDS[300], IDS[0], IDS[300]]).tolist() == [300, 0, 300]
    assert opened.rows([]).tolist() == []
    for absent in ("00ff", "x" * 64, IDS[0][:-1] + "g", "00" * 32, IDS[0] + "00"):
        with pytest.raises(KeyError, match=f"no image {absent};"):
            opened.rows([IDS[1], absent])


def test_the_check_can_be_turned_off(path):
    content = bytearray(shard_path(path, 1).read_bytes())
    content[HEADER] ^= 1
    shard_path(path, 1).write_bytes(content)
    got = open_features(path, check=False).read([256, 0])
    assert torch.equal(got[1], TOKENS[0]) and (got[0] != TOKENS[256]).sum() == 1
    with pytest.raises(BadStore, match="row 256: wrong checksum"):
        open_features(path, check=True).read([256, 0])


def test_attributes_of_another_shape_are_refused(path):
    group = zarr.open_group(path, mode="r+")
    group.attrs["grid"] = [2, 4]
    with pytest.raises(BadStore, match="grid in its attributes is 2 x 4, but rows have 6 patches"):
        open_features(path)


def test_memory_of_its_own_is_aligned_as_torch_has_it(path):
    assert open_features(path).read([1, 2, 3]).data_ptr() % 64 == 0


def test_a_given_buffer_is_filled(path):
    opened = open_features(path)
    out = torch.zeros(2, 6, 8, dtype=torch.bfloat16)
    assert opened.read([5, 4], out=out) is out
    assert torch.equal(out, TOKENS[[5, 4]])
    for wrong in (out[:1], out.float(), torch.zeros(2, 8, 6, dtype=torch.bfloat16).transpose(1, 2)):
        with pytest.raises(ValueError, match="out must be"):
            opened.read([5, 4], out=wrong)


@pytest.mark.parametrize(("rows", "error"), [([0, 600], IndexError), ([-1], IndexError), (np.array([0.5]), TypeError)])
def test_rows_that_are_not_there_are_refused(path, rows, error):
    with pytest.raises(error, match="no row|whole numbers"):
        open_features(path).read(rows)


def test_damage_is_named_and_never_read(path):
    content = bytearray(shard_path(path, 1).read_bytes())
    content[HEADER + 10 * (6 * 8 * 2 + 4) + 7] ^= 1  # in row 256 + 10
    shard_path(path, 1).write_bytes(content)
    opened = open_features(path)
    assert torch.equal(opened.read([265, 267]), TOKENS[[265, 267]])
    with pytest.raises(BadStore, match=r"patch_tokens/c/1/0/0: row 266: wrong checksum"):
        opened.read([0, 266])
    shard_path(path, 2).unlink()
    with pytest.raises(BadStore, match=r"patch_tokens/c/2/0/0: row 512: the shard of this row is missing"):
        opened.read([0, 530])
    assert np.isnan(numbers(zarr.open_array(path / "patch_tokens", mode="r")[599])).all()  # nor does zarr see zeros
    assert [intact(path, n, IDS[n * 256 : n * 256 + 256], 6, 8) for n in range(3)] == [True, False, False]


def test_damaged_ids_are_named(path):
    ids = path / "image_id" / "c" / "1" / "0"
    ids.write_bytes(ids.read_bytes()[:-5] + b"12345")
    with pytest.raises(BadStore, match="image_id/c/1/0: damaged"):
        open_features(path).rows(IDS[:1])
    ids.unlink()
    with pytest.raises(BadStore, match="image_id/c/1/0: missing"):
        _ = open_features(path).image_ids


def test_a_shard_of_other_images_is_not_intact(path):
    assert intact(path, 0, IDS[:256], 6, 8)
    assert not intact(path, 0, [*IDS[:255], IDS[300]], 6, 8)
    assert not intact(path, 0, IDS[:256], 6, 9)


def test_an_incomplete_store_is_refused(tmp_path, path):
    set_complete(path, False)
    with pytest.raises(BadStore, match="incomplete; run the features stage"):
        open_features(path)
    with pytest.raises(BadStore, match="no feature store"):
        open_features(tmp_path / "nowhere.zarr")


def test_another_layout_is_refused(tmp_path, path):
    group = zarr.open_group(path, mode="r+")
    group.create_array("patch_tokens", shape=(600, 6, 8), chunks=(1, 6, 8), dtype="uint16", overwrite=True)
    with pytest.raises(BadStore, match=r"patch_tokens are uint16, not bfloat16"):
        open_features(path)


@pytest.mark.parametrize("key", ["attributes", "complete", "grid", "shape", "data_type"])
def test_a_description_that_lacks_something_is_refused(path, key):
    for document in (path / "zarr.json", path / "patch_tokens/zarr.json"):
        document.write_text(document.read_text().replace(f'"{key}"', f'"{key}_"'))
    with pytest.raises(BadStore, match=r"do not describe features .*; extract anew"):
        open_features(path)


def test_ids_of_another_width_are_refused(path):
    group = zarr.open_group(path, mode="r+")
    group.create_array("image_id", shape=(600, 16), chunks=(256, 16), dtype="uint8", overwrite=True)[:] = 1
    with pytest.raises(BadStore, match=r"patch_tokens has 600 images, but image_id \[600, 16\]"):
        open_features(path)


def test_a_changed_number_of_images_is_noticed_before_anyone_counts_them(path):
    document = path / "patch_tokens/zarr.json"
    for count in (599, 512, 601):
        intact = document.read_text()
        document.write_text(intact.replace("600", str(count)))
        with pytest.raises(BadStore, match=rf"patch_tokens has {count} images, but image_id \[600, 32\]"):
            open_features(path)
        document.write_text(intact)


def test_a_folder_in_the_place_of_a_shard_is_named(path):
    shard_path(path, 1).unlink()
    shard_path(path, 1).mkdir()
    with pytest.raises(BadStore, match=r"c/1/0/0: row 256: the shard (cannot be read|is shorter)"):
        open_features(path).read([0, 300])
    shard_path(path, 2).unlink()
    shard_path(path, 2).symlink_to(shard_path(path, 2))
    with pytest.raises(BadStore, match=r"c/2/0/0: row 512: the shard cannot be opened"):
        open_features(path).read([0, 599])


@pytest.mark.parametrize("wrong", [0.0, -0.0, float("nan"), float("-inf")])
def test_numbers_that_no_backbone_gives_are_not_intact_however_right_their_checksum(path, wrong):
    """A re-run makes anew what `verify` finds."""
    for place in ((7,), (7, 0), (7, 0, 0)):
        tokens = TOKENS[256:512].clone()
        tokens[place] = wrong
        write_shard(path, 1, tokens, IDS[256:512])
        assert intact(path, 1, IDS[256:512], 6, 8) == (wrong == 0 and place != (7,))


def test_stores_grow_and_shrink_by_whole_rows(tmp_path):
    path = tmp_path / "f.zarr"
    create_features(path, 300, 6, 8, ATTRS)
    fill(path, 300)
    kept = shard_path(path, 0).stat().st_ino
    create_features(path, 600, 6, 8, ATTRS | {"versions": {"torch": "3"}})
    with pytest.raises(BadStore, match="incomplete"):
        open_features(path)
    assert intact(path, 0, IDS[:256], 6, 8) and not intact(path, 1, IDS[256:512], 6, 8)
    for shard in (1, 2):
        write_shard(path, shard, TOKENS[shard * 256 : shard * 256 + 256], IDS[shard * 256 : shard * 256 + 256])
    set_complete(path, True)
    assert torch.equal(open_features(path).read(range(600)), TOKENS)
    assert shard_path(path, 0).stat().st_ino == kept
    create_features(path, 200, 6, 8, ATTRS)
    set_complete(path, True)
    assert not shard_path(path, 1).exists()
    assert open_features(path).image_ids == IDS[:200]
    create_features(path, 200, 6, 8, ATTRS)
    assert len(open_features(path)) == 200  # nothing to change: still complete


def test_features_of_two_kinds_are_never_mixed(path):
    with pytest.raises(ValueError, match="made with fit 'stretch', now 'pad'; delete it"):
        create_features(path, 600, 6, 8, ATTRS | {"fit": "pad"})
    assert len(open_features(path)) == 600


def rebuilt(path, order) -> None:
    """The store written anew with its images in another order, as a new images.parquet would have it."""
    set_complete(path, False)
    for shard in range(3):
        rows = order[shard * 256 : shard * 256 + 256]
        write_shard(path, shard, TOKENS[rows], [IDS[row] for row in rows])
    set_complete(path, True)


def test_a_store_that_is_renumbered_under_a_reader_is_never_read_wrong(path):
    early, used, fresh = (open_features(path) for _ in range(3))
    used.read([3])  # a row of the first shard, which it has open from now on
    rows = used.rows(IDS)
    rebuilt(path, [*range(256), *range(599, 255, -1)])  # the first shard keeps its images
    assert torch.equal(used.read(rows[:256]), TOKENS[:256])
    for row in (256, 599):
        with pytest.raises(BadStore, match="the header is that of another store or place"):
            used.read([row])
    with pytest.raises(BadStore, match="written to since it was opened; open it again"):
        early.read([0])
    with pytest.raises(BadStore, match="written to since it was opened; open it again"):
        fresh.rows(IDS[:1])
    again = open_features(path)
    assert torch.equal(again.read(again.rows(IDS)), TOKENS)


def test_a_store_made_before_shards_had_headers_is_repaired_not_read(path):
    for shard in range(3):
        rows = TOKENS[shard * 256 : shard * 256 + 256].view(torch.int16).numpy().reshape(-1, 48).view(np.uint8)
        shard_format.write_shard(shard_path(path, shard), rows, 256, b"")
    with pytest.raises(BadStore, match=r"c/0/0/0: row 0: .*; run again the stage that writes it"):
        open_features(path).read([0])
    assert not intact(path, 0, IDS[:256], 6, 8)


def test_an_attribute_that_extraction_does_not_know_is_not_extracted_over(path):
    group = zarr.open_group(path, mode="r+")
    group.attrs["note"] = "mine"
    with pytest.raises(ValueError, match="made with note 'mine', now None; delete it"):
        create_features(path, 600, 6, 8, ATTRS)


def test_threads_share_a_store(path, monkeypatch):
    """More shards than handles kept, so that threads open and drop them under each other."""
    monkeypatch.setattr(shard_rows, "OPEN_SHARDS", 1)
    opened = open_features(path)

    def check(seed: int) -> bool:
        rows = np.random.default_rng(seed).integers(0, 600, 50)
        return torch.equal(opened.read(rows), TOKENS[rows])

    handles = len(os.listdir("/proc/self/fd"))
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(check, range(100)))
    assert len(os.listdir("/proc/self/fd")) <= handles + 1


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_processes_share_a_store(path):
    opened = open_features(path)
    opened.read([0, 300, 599])  # its shards are open
    children = []
    for seed in range(4):
        if (child := os.fork()) == 0:
            rows = np.random.default_rng(seed).integers(0, 600, 300)
            got = opened.read(rows).view(torch.int16).numpy()
            os._exit(0 if (got == TOKENS.view(torch.int16).numpy()[rows]).all() else 1)
        children.append(child)
    assert torch.equal(opened.read(range(600)), TOKENS)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
