"""Patch tokens of every picture of a corpus, by the frozen vision backbone, into a feature store (ves.store).

A store that exists is gone on with: shards that hold the right images with the right checksums stay as they are. So
a run that was killed loses at most one shard, and a corpus that has grown costs what it has grown by.

Dimension key
    V images    P patches    W backbone width    S side of the square
"""

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from jaxtyping import BFloat16, Float
from torch import Tensor
from transformers import AutoConfig

from ves import files, parquet
from ves.backbone import backbone_folder, file_sha256, load_backbone, patch_grid, patch_tokens, weight_hash
from ves.config import VisionConfig
from ves.geometry import RESAMPLE, Geometry
from ves.images import MEAN, STD, decode, pixels, read_encoded
from ves.progress import track
from ves.store import SHARD_ROWS, create_features, intact, set_complete, shard_path, write_shard

log = logging.getLogger(__name__)

RECIPE = 1  # raised by a change of code that alters tokens: stores of another recipe are then refused, not mixed
LIBRARIES = ("ves", "torch", "transformers", "pillow")


def listed(path: Path) -> pl.DataFrame:
    """images.parquet in the order of its rows in the store. Raises ValueError unless they are 0, 1, 2, ..."""
    frame = parquet.read(path, columns=["image_id", "row", "shard", "row_in_shard"]).sort("row")
    if frame.is_empty() or not (frame["row"] == pl.Series(range(len(frame)))).all():
        raise ValueError(f"{path}: its column `row` does not number the images 0, 1, 2, ...; merge the manifest again")
    return frame


def squares(frame: pl.DataFrame, pictures: Path, vision: VisionConfig) -> Float[np.ndarray, "V 3 S S"]:
    """What the backbone is given of these rows of images.parquet.

    Raises ValueError that names the image when the pictures are not those that images.parquet lists.
    """
    out = np.empty((len(frame), 3, vision.image_size, vision.image_size), np.float32)
    for (shard,), part in frame.with_row_index("place").group_by("shard", maintain_order=True):
        encoded = read_encoded(pictures, str(shard), part["row_in_shard"].to_list())
        for place, image_id, (_, content) in zip(part["place"], part["image_id"], encoded, strict=True):
            if hashlib.sha256(content).hexdigest() != image_id:
                raise ValueError(
                    f"{pictures}/{shard}.parquet: not the content of image {image_id}; ingest that shard again"
                )
            picture = decode(content)
            fitted = Geometry(*picture.size, vision.image_size, vision.fit).square(picture)
            out[place] = pixels(fitted)
    return out


def _ahead[T, R](function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """function(item) of each item, in order, computed by threads a few items ahead of who consumes them."""
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def tokens(
    batches: Sequence[pl.DataFrame], pictures: Path, vision: VisionConfig
) -> Iterator[BFloat16[Tensor, "V P W"]]:
    """Patch tokens of each batch of rows of images.parquet, in order.

    A batch that is not full is filled up: kernels, and so the last bits, depend on the shape. On a GPU, threads decode
    ahead of it. On a CPU each thread takes batches from picture to tokens with one core of its own: threads that share
    every operation wait for each other, which cost three times the time and more on two busy cores.
    """
    model = load_backbone(vision)
    threads = torch.get_num_threads()

    def encode(pictures: Float[np.ndarray, "V 3 S S"]) -> BFloat16[Tensor, "V P W"]:
        batch = torch.zeros(vision.batch_size, *pictures.shape[1:])
        batch[: len(pictures)] = torch.from_numpy(pictures)
        return patch_tokens(model, batch)[: len(pictures)]

    def load(part: pl.DataFrame) -> Float[np.ndarray, "V 3 S S"]:
        return squares(part, pictures, vision)

    try:
        if next(model.parameters()).is_cuda:
            yield from map(encode, _ahead(load, batches, threads))
        else:
            yield from _ahead(lambda part: encode(load(part)), batches, threads)
    finally:
        torch.set_num_threads(threads)


def attributes(vision: VisionConfig) -> dict[str, Any]:
    """What a stranger needs to use the features: the attributes of the store."""
    folder = backbone_folder(vision)
    config = AutoConfig.from_pretrained(folder)
    return {
        "backbone": vision.backbone,
        "revision": None if folder == Path(vision.backbone) else folder.name,
        "weight_hash": weight_hash(folder),
        "image_size": vision.image_size,
        "grid": list(patch_grid(config, vision.image_size)),
        "width": config.hidden_size,
        "fit": vision.fit,
        "normalisation": {"mean": list(MEAN), "std": list(STD), "resample": RESAMPLE.name.lower()},
        "recipe": RECIPE,
        "versions": {name: version(name) for name in LIBRARIES},
    }


def extract(vision: VisionConfig, images: Path, pictures: Path, store: Path, manifest: Path) -> None:
    """Bring the store up to images.parquet, then write the manifest that says it is whole.

    `pictures` is the folder of the ingested pictures. Raises ValueError when the store was made with another backbone,
    image size or fit, or the pictures are not those listed. Processes that write one store take turns.
    """
    frame = listed(images)
    attrs = attributes(vision)
    rows, columns = attrs["grid"]
    shape = (rows * columns, attrs["width"])
    slices = [frame[first : first + SHARD_ROWS] for first in range(0, len(frame), SHARD_ROWS)]
    with files.lock(store):
        create_features(store, len(frame), *shape, attrs)
        todo = [n for n, part in enumerate(slices) if not intact(store, n, part["image_id"].to_list(), *shape)]
        log.info("%d of %d shards to write", len(todo), len(slices))
        if todo:
            set_complete(store, False)
            _fill(vision, pictures, store, {shard: slices[shard] for shard in todo})
        set_complete(store, True)
        files.write_json(manifest, _manifest(store, slices))


def _fill(vision: VisionConfig, pictures: Path, store: Path, parts: dict[int, pl.DataFrame]) -> None:
    """Write these shards. No batch spans two, so that tokens do not depend on which shards were there before."""
    step = vision.batch_size
    batches = {shard: [part[at : at + step] for at in range(0, len(part), step)] for shard, part in parts.items()}
    flat = [batch for of_shard in batches.values() for batch in of_shard]
    done = track(tokens(flat, pictures, vision), label="features", total=len(flat), unit="batch")
    for shard, part in parts.items():
        rows = torch.cat([next(done) for _ in batches[shard]])
        if bad := (~rows.isfinite().all(-1).all(-1)).nonzero().flatten().tolist():
            raise ValueError(f"image {part['image_id'][bad[0]]}: the backbone's tokens are not finite")
        write_shard(store, shard, rows, part["image_id"].to_list())


def _manifest(store: Path, slices: list[pl.DataFrame]) -> dict[str, Any]:
    """What the store holds, for those who cannot look into it: the workflow, and a check of copies."""
    paths = [shard_path(store, shard) for shard in range(len(slices))]
    ids = [image_id for part in slices for image_id in part["image_id"]]
    return {
        "rows": len(ids),
        "shards": [
            {"file": str(path.relative_to(store)), "rows": len(part), "sha256": file_sha256(path)}
            for path, part in zip(paths, slices, strict=True)
        ],
        "images_sha256": hashlib.sha256("\n".join(ids).encode()).hexdigest(),
        "attrs": files.read_json(store / "zarr.json")["attributes"],
    }
