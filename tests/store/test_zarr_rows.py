"""Stores of other layouts: read by zarr, right for every codec, and never filled in."""

import os

import ml_dtypes
import numpy as np
import pytest
import torch
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, ZstdCodec

from ves.store.features_reader import open_features
from ves.store.features_writer import create_features, set_complete
from ves.store.shard_format import BadStore

TOKENS = np.random.default_rng(0).standard_normal((20, 6, 8)).astype(ml_dtypes.bfloat16)
IDS = np.random.default_rng(1).integers(0, 256, (20, 32)).astype(np.uint8)
CODECS = {
    "zstd": [ZstdCodec(level=3), Crc32cCodec()],
    "blosc": [BloscCodec(cname="zstd", shuffle="shuffle"), Crc32cCodec()],
    "gzip": [GzipCodec(), Crc32cCodec()],
    "none": [],
}


def fill(path, codecs, shards=(8, 6, 8), chunks=(1, 6, 8)):
    """A store of 20 rows as someone else's zarr writes it."""
    create_features(path, 20, 6, 8, {"grid": [2, 3]})
    group = zarr.open_group(path, mode="r+")
    tokens = group.create_array(
        "patch_tokens", shape=(20, 6, 8), chunks=chunks, shards=shards, dtype="bfloat16", fill_value=0,
        compressors=codecs, overwrite=True,
    )  # fmt: skip
    tokens[:] = TOKENS
    group.create_array("image_id", shape=(20, 32), chunks=(7, 32), dtype="uint8", overwrite=True)[:] = IDS  # pyright: ignore
    set_complete(path, True)
    return path


def bits(tokens) -> np.ndarray:
    return np.asarray(tokens.view(torch.int16).numpy())


@pytest.mark.parametrize("codecs", CODECS.values(), ids=list(CODECS))
@pytest.mark.parametrize("shards", [(8, 6, 8), None], ids=["sharded", "plain"])
def test_every_codec_is_read(tmp_path, codecs, shards):
    opened = open_features(fill(tmp_path / "f.zarr", codecs, shards))
    rows = [19, 0, 7, 8, 7, 7, 3]
    np.testing.assert_array_equal(bits(opened.read(rows)), TOKENS[rows].view(np.int16))
    out = torch.zeros(7, 6, 8, dtype=torch.bfloat16)
    assert opened.read(rows, out=out) is out
    np.testing.assert_array_equal(bits(out), TOKENS[rows].view(np.int16))
    assert opened.read([]).shape == (0, 6, 8)
    assert opened.rows([IDS[4].tobytes().hex(), IDS[0].tobytes().hex()]).tolist() == [4, 0]


def test_a_missing_shard_or_row_is_an_error(tmp_path):
    path = fill(tmp_path / "f.zarr", CODECS["zstd"])
    (path / "patch_tokens/c/1/0/0").unlink()
    opened = open_features(path)
    opened.read([0, 7, 16])
    with pytest.raises(BadStore, match=r"patch_tokens/c/1/0/0: rows 9 to 15"):
        opened.read([0, 15, 9])
    tokens = zarr.open_array(path / "patch_tokens", mode="r+")
    tokens[18] = 0  # which zarr drops, since it is the fill value
    with pytest.raises(BadStore, match=r"c/2/0/0: row 18: the shard lacks it"):
        open_features(path).read([18, 19])


@pytest.mark.parametrize("chunks", [(1, 3, 8), (1, 6, 5), (2, 4, 8), (1, 1, 1)])
def test_a_missing_part_of_a_row_is_an_error(tmp_path, chunks):
    """Where chunks are smaller than rows."""
    shards = tuple(-(-size // step) * step for size, step in zip((8, 6, 8), chunks, strict=True))
    path = fill(tmp_path / "f.zarr", CODECS["zstd"], shards, chunks)
    rows = [0, 17, 18, 19]
    np.testing.assert_array_equal(bits(open_features(path).read(rows)), TOKENS[rows].view(np.int16))
    tokens = zarr.open_array(path / "patch_tokens", mode="r+")
    tokens[18:20, 6 - (6 % chunks[1] or chunks[1]) :, 8 - (8 % chunks[2] or chunks[2]) :] = 0  # dropped: the fill value
    with pytest.raises(BadStore, match=r"c/2/0/0: row 18: the shard lacks it"):
        open_features(path).read([17, 18])


def test_damage_is_an_error_that_names_the_shard(tmp_path):
    path = fill(tmp_path / "f.zarr", CODECS["blosc"])
    shard = path / "patch_tokens/c/2/0/0"
    content = shard.read_bytes()
    for at in range(0, len(content), 97):
        shard.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        with pytest.raises(BadStore, match="c/2/0/0"):
            open_features(path).read([16, 17, 18, 19])
    shard.write_bytes(content[:-20])
    with pytest.raises(BadStore, match="c/2/0/0"):
        open_features(path).read([17])


def test_an_unknown_codec_is_an_error_that_names_the_array(tmp_path):
    path = fill(tmp_path / "f.zarr", CODECS["gzip"])
    metadata = path / "patch_tokens/zarr.json"
    metadata.write_text(metadata.read_text().replace('"gzip"', '"unheard_of"'))
    with pytest.raises(BadStore, match="patch_tokens: zarr cannot open it"):
        open_features(path)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_reads_on(tmp_path):
    opened = open_features(fill(tmp_path / "f.zarr", CODECS["zstd"]))
    opened.read([3])  # zarr's own threads are there
    if (child := os.fork()) == 0:
        os._exit(0 if (bits(opened.read([5, 19])) == TOKENS[[5, 19]].view(np.int16)).all() else 1)
    assert os.waitpid(child, 0)[1] == 0
