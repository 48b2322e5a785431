"""A feature store of ten images that takes a millisecond to check, with all that lies beside it; and damage to it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from ves.base.files import read_json, write_json
from ves.store import features_layout
from ves.store.features_layout import shard_path
from ves.store.features_writer import create_features, set_complete, write_shard
from ves.store.verify import verify

ROWS, PATCHES, WIDTH = 10, 4, 8
SHARD_ROWS = 4  # so that there are three files of tokens, the last of two rows
ATTRS = {
    "backbone": "none", "revision": None, "weight_hash": "0f" * 32, "image_size": 28, "grid": [2, 2], "width": WIDTH,
    "fit": "stretch", "versions": {"torch": "2"},
}  # fmt: skip
IDS = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(ROWS)]


@contextmanager
def small_shards() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features_layout, "SHARD_ROWS", SHARD_ROWS)
        yield


def some_tokens(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(ROWS, PATCHES, WIDTH, generator=generator).to(torch.bfloat16)


def write_store(store: Path, tokens: torch.Tensor, ids: list[str] = IDS, **attrs) -> Path:
    """A complete store of these tokens (within `small_shards`), and its manifest."""
    create_features(store, ROWS, PATCHES, WIDTH, ATTRS | attrs)
    for shard, first in enumerate(range(0, ROWS, SHARD_ROWS)):
        write_shard(store, shard, tokens[first : first + SHARD_ROWS], ids[first : first + SHARD_ROWS])
    set_complete(store, True)
    write_manifest(store, ids)
    return store


def manifest_of(store: Path) -> Path:
    return store.with_name(f"{store.name}.manifest.json")


def write_manifest(store: Path, ids: list[str] = IDS) -> None:
    """What ves.models.features writes, for the shards as they are now."""
    shards = [
        {
            "file": f"patch_tokens/c/{shard}/0/0",
            "rows": min(SHARD_ROWS, ROWS - first),
            "sha256": hashlib.sha256(shard_path(store, shard).read_bytes()).hexdigest(),
        }
        for shard, first in enumerate(range(0, ROWS, SHARD_ROWS))
    ]
    digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()
    attrs = read_json(store / "zarr.json")["attributes"]
    write_json(manifest_of(store), {"rows": ROWS, "shards": shards, "images_sha256": digest, "attrs": attrs})


def write_images(path: Path, ids: list[str] = IDS) -> Path:
    pl.DataFrame({"image_id": ids}).with_row_index("row").sample(fraction=1, shuffle=True, seed=0).write_parquet(path)
    return path


def files_of(store: Path) -> list[Path]:
    """Every file of the store, and its manifest."""
    return [path for path in sorted(store.rglob("*")) if path.is_file()] + [manifest_of(store)]


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def damage(path: Path, rng: np.random.Generator) -> str:
    """Flip a bit of a file (as a rule), zero a stretch of it, cut it off or delete it; which of them."""
    content = path.read_bytes()
    match kind := rng.choice(["flipped", "zeroed", "cut off", "deleted"], p=[0.7, 0.18, 0.1, 0.02]):
        case "flipped":
            flip(path, int(rng.integers(8 * len(content))))
        case "zeroed":
            first = int(rng.integers(len(content)))
            zeros = bytes(len(content[first : first + int(rng.choice([16, 64, 512, 4096]))]))
            path.write_bytes(content[:first] + zeros + content[first + len(zeros) :])
        case "cut off":
            path.write_bytes(content[: rng.integers(len(content))])
        case "deleted":
            path.unlink()
    return str(kind)


def texts(store: Path) -> list[str]:
    """The faults of a store, without its path."""
    return [str(fault).replace(f"{store}/", "") for fault in verify(store)]
