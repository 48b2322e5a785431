"""The picture beside its tokens: colours where the patches lie, the same every time."""

import hashlib
import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.support.small_stores import PATCHES, ROWS, WIDTH, small_shards, some_tokens, write_store
from ves.media.geometry import Geometry
from ves.report.clips.tokens import GAP, SIDE, components, find, laid_out, show
from ves.store.features_layout import shard_path
from ves.store.shard_format import BadStore

ALL = np.ones(100, bool)


def test_components_are_those_of_the_covariance() -> None:
    tokens = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32) * [9, 5, 3, 1, 0.5, 0.1]
    found = components(tokens, ALL)
    _, vectors = np.linalg.eigh(np.cov(tokens.T.astype(np.float64)))
    for number, vector in enumerate(vectors.T[:-4:-1]):
        scores = tokens @ (vector * np.sign(vector[np.abs(vector).argmax()]))
        expected = (scores - scores.min()) / (scores.max() - scores.min())
        np.testing.assert_allclose(found[:, number], expected, atol=1e-9)
    np.testing.assert_allclose(components(tokens @ np.eye(6), ALL), found)


def test_patches_of_padding_do_not_count() -> None:
    tokens = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)
    shown = np.arange(100) >= 40
    alone = components(tokens[shown], np.ones(60, bool))
    tokens[:40] = 1e4
    found = components(tokens, shown)
    np.testing.assert_array_equal(found[shown], alone)
    assert not found[~shown].any()


def test_tokens_that_are_all_alike_or_nearly_have_colours_too() -> None:
    assert not components(np.ones((100, 6), np.float32), ALL).any()
    line = np.arange(100, dtype=np.float32)[:, None] * np.ones((1, 6), np.float32)
    found = components(line, ALL)
    np.testing.assert_allclose(found[:, 0], np.arange(100) / 99, atol=1e-6)
    assert not found[:, 1:].any()


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_patches_lie_where_the_backbone_saw_them(fit: str) -> None:
    """The left half of a wide picture is in the left patches; what the square does not show is black."""
    geometry = Geometry(80, 40, 40, fit)
    colours = np.zeros((16, 3))
    colours[:, 0] = np.where(np.arange(16) % 4 < 2, 1.0, 0.5)
    laid = np.asarray(laid_out(colours, geometry, (4, 4)))
    assert laid.shape == (40, 80, 3)
    left, right = (20, 60) if fit == "crop" else (0, 80)
    assert (laid[:, left:40, 0] == 255).all() and (laid[:, 40:right, 0] == 128).all()
    assert not laid[:, :left].any() and not laid[:, right:].any()


def test_an_id_may_be_shortened() -> None:
    ids = ["aa11", "aa22", "bb33"]
    assert find(ids, "B", Path("s")) == "bb33"
    with pytest.raises(ValueError, match="s: 2 images begin with 'aa', such as aa11, aa22; give more"):
        find(ids, "aa", Path("s"))
    with pytest.raises(ValueError, match="no image whose id begins with 'cc', among 3 such as aa11"):
        find(ids, "cc", Path("s"))


@pytest.fixture
def corpus(tmp_path: Path):
    """A corpus of ten pictures, wide and high, with features; yields its folder and the ids."""
    contents = []
    for number in range(ROWS):
        buffer = io.BytesIO()
        Image.new("RGB", (40, 30) if number % 2 else (30, 60), (20 * number, 200, 99)).save(buffer, "PNG")
        contents.append(buffer.getvalue())
    ids = [hashlib.sha256(content).hexdigest() for content in contents]
    (tmp_path / "images/images").mkdir(parents=True)
    pl.DataFrame({"image_id": ids, "bytes": contents}).write_parquet(tmp_path / "images/images/a.parquet")
    rows = {"image_id": ids, "row": range(ROWS), "shard": "images/a", "row_in_shard": range(ROWS)}
    pl.DataFrame(rows).write_parquet(tmp_path / "images.parquet")
    with small_shards():
        write_store(tmp_path / "features/f.zarr", some_tokens(), ids)
        yield tmp_path, ids


def test_the_picture_stands_beside_its_tokens(corpus: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, ids = corpus
    for row, (width, height) in ((3, (SIDE, SIDE * 3 // 4)), (4, (SIDE // 2, SIDE))):
        out = show(folder / "features/f.zarr", ids[row][:12], tmp_path / f"{row}.png", None, None)
        page = np.asarray(Image.open(out))
        assert page.shape == (height, 2 * width + GAP, 3)
        assert (page[:, :width] == (20 * row, 200, 99)).all()
        colours = components(some_tokens()[row].float().numpy(), np.ones(PATCHES, bool))
        expected = (colours * 255).round().astype(np.uint8).reshape(2, 2, 3)
        halves = (height // 2, width // 2)
        np.testing.assert_array_equal(page[:, width + GAP :], expected.repeat(halves[0], 0).repeat(halves[1], 1))
        again = show(folder / "features/f.zarr", ids[row], tmp_path / "again.png", None, None)
        assert again.read_bytes() == out.read_bytes()
    assert some_tokens().shape[-1] == WIDTH


def test_what_is_missing_is_said(corpus: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, ids = corpus
    store = folder / "features/f.zarr"
    with pytest.raises(ValueError, match="a.parquet: missing; give --pictures"):
        show(store, ids[0], None, None, tmp_path)
    pl.read_parquet(folder / "images.parquet")[1:].write_parquet(tmp_path / "other.parquet")
    with pytest.raises(ValueError, match=f"does not list image {ids[0]}"):
        show(store, ids[0], None, tmp_path / "other.parquet", None)
    frame = pl.read_parquet(folder / "images.parquet").with_columns(row_in_shard=pl.col("row_in_shard").reverse())
    frame.write_parquet(tmp_path / "mixed.parquet")
    with pytest.raises(ValueError, match="row 9 is not the content of image"):
        show(store, ids[0], None, tmp_path / "mixed.parquet", None)
    shard_path(store, 0).unlink()
    with pytest.raises(BadStore, match="patch_tokens/c/0/0/0"):
        show(store, ids[0], tmp_path / "a.png", None, None)
    assert not (tmp_path / "a.png").exists()
