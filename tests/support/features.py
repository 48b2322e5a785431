"""Pictures as ingest leaves them, a backbone of a few thousand weights, and features as the workflow extracts them."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from PIL import Image
from transformers import Dinov2Config, Dinov2Model

from ves.config.experiment import VisionConfig
from ves.models import extraction

SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "mlp_ratio": 1,
    "patch_size": 4,
}


def save_backbone(folder: Path, seed: int = 0) -> None:
    """A DINOv2 of that size, for squares of 16 pixels."""
    torch.manual_seed(seed)
    Dinov2Model(Dinov2Config(**SMALL, image_size=16)).save_pretrained(folder)


def extract_all(vision: VisionConfig, images: Path, pictures: Path, store: Path, jobs: int = 1) -> None:
    """Fill and seal a store, last job first; its manifest lies beside it."""
    records = [store.with_name(f"{store.name}.parts") / f"{number}-of-{jobs}.json" for number in range(jobs, 0, -1)]
    for record in records:
        extraction.extract(vision, images, pictures, store, record.stem, record)
    extraction.seal(images, store, records, store.with_name(f"{store.name}.manifest.json"))


class Corpus:
    """Pictures of some shards, as ingest leaves them: tests add pictures, and list any of them in images.parquet."""

    def __init__(self, folder: Path) -> None:
        self.images, self.pictures = folder / "images.parquet", folder / "images"
        self.store, self.manifest = folder / "f.zarr", folder / "f.zarr.manifest.json"
        self.rows: list[tuple[str, str, int]] = []
        self.contents: list[bytes] = []

    def add(self, shard: str, count: int) -> None:
        """Write a new shard of pictures and list them at the end of images.parquet."""
        rng = np.random.default_rng(len(self.rows))
        contents = []
        for _ in range(count):
            height, width = rng.integers(16, 40, 2)
            buffer = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (height, width, 3)).astype(np.uint8)).save(buffer, "PNG")
            contents.append(buffer.getvalue())
        names = [hashlib.sha256(content).hexdigest() for content in contents]
        file = self.pictures / f"{shard}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame({"image_id": names, "bytes": contents}).write_parquet(file, row_group_size=64)
        self.rows += [(name, shard, row) for row, name in enumerate(names)]
        self.contents += contents
        self.list()

    def list(self, order: list[int] | None = None) -> None:
        """Write images.parquet, in another order if one is given."""
        listed = [self.rows[at] for at in order] if order else self.rows
        frame = pl.DataFrame(listed, schema=["image_id", "shard", "row_in_shard"], orient="row")
        frame.with_row_index("row").sort("image_id").write_parquet(self.images)  # its own order does not matter

    def extract(self, vision: VisionConfig, jobs: int = 1) -> None:
        """Fill and seal the store by so many jobs."""
        extract_all(vision, self.images, self.pictures, self.store, jobs)

    def files(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(self.store.rglob("*")) if path.is_file()}
