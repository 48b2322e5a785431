"""Patch tokens of a corpus's pictures from the frozen vision backbone, and the attributes of their store.

ves.models.extraction writes them there.

Dimension key
    V images    P patches    W backbone width    S side of the square
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
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

from ves.base import parquet
from ves.base.checksums import weight_hash
from ves.config.experiment import VisionConfig
from ves.media.geometry import RESAMPLE, Geometry
from ves.media.images import decode, pixels, read_encoded
from ves.media.normalisation import Normalisation
from ves.models import preprocessing
from ves.models.backbone import CONVOLUTIONS, token_width
from ves.models.vision import device_name, load_backbone, patch_grid, patch_tokens, vision_folder

RECIPE = 1  # to be raised when code changes tokens: stores of another recipe are then refused, not mixed
LIBRARIES = ("ves", "torch", "transformers", "pillow")


def listed(path: Path) -> pl.DataFrame:
    """images.parquet in the order of its rows in the store. Raises ValueError unless they are 0, 1, 2, ..."""
    frame = parquet.read(path, columns=["image_id", "row", "shard", "row_in_shard"]).sort("row")
    if frame.is_empty() or not (frame["row"] == pl.Series(range(len(frame)))).all():
        raise ValueError(f"{path}: its column `row` does not number the images 0, 1, 2, ...; merge the manifest again")
    return frame


def squares(
    frame: pl.DataFrame, pictures: Path, vision: VisionConfig, normalisation: Normalisation
) -> Float[np.ndarray, "V 3 S S"]:
    """The backbone's input for these rows of images.parquet.

    Raises ValueError that names the image when the pictures are not those in images.parquet.
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
            out[place] = pixels(fitted, normalisation)
    return out


def _ahead[T, R](function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """function(item) of each item, in order; threads compute it a few items ahead."""
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def tokens(
    batches: Iterable[pl.DataFrame], pictures: Path, vision: VisionConfig
) -> Iterator[BFloat16[Tensor, "V P W"]]:
    """Patch tokens of each batch of rows of images.parquet, in order; with `vision.class_token`, that comes first.

    A batch that is not full is padded, since kernels, and so the last bits, depend on the shape. For a GPU, threads
    decode ahead. On a CPU each thread computes whole batches, from pictures to tokens, on its own core: threads that
    share every operation wait for each other, which took more than three times as long on two busy cores.
    """
    model, normalisation = load_backbone(vision), preprocessing.of_pictures(vision_folder(vision))
    threads = torch.get_num_threads()

    def encode(pictures: Float[np.ndarray, "V 3 S S"]) -> BFloat16[Tensor, "V P W"]:
        batch = torch.zeros(vision.batch_size, *pictures.shape[1:])
        batch[: len(pictures)] = torch.from_numpy(pictures)
        return patch_tokens(model, batch, class_token=vision.class_token)[: len(pictures)]

    def load(part: pl.DataFrame) -> Float[np.ndarray, "V 3 S S"]:
        return squares(part, pictures, vision, normalisation)

    try:
        if next(model.parameters()).is_cuda:
            yield from map(encode, _ahead(load, batches, threads))
        else:
            yield from _ahead(lambda part: encode(load(part)), batches, threads)
    finally:
        torch.set_num_threads(threads)


def attributes(vision: VisionConfig) -> dict[str, Any]:
    """The attributes of the store: all that a stranger needs to use the features."""
    folder = vision_folder(vision)
    config = AutoConfig.from_pretrained(folder)
    if vision.class_token and config.model_type in CONVOLUTIONS:  # of the hub, so nothing could check it before
        raise ValueError(f"vision.class_token: {vision.backbone} is of the type {config.model_type}, which has none")
    packing: dict[str, Any] = {} if vision.compression is None else {"compression": vision.compression}
    packing |= {"class_token": True} if vision.class_token else {}
    return packing | {
        "backbone": vision.backbone,
        "revision": None if folder == Path(vision.backbone) else folder.name,
        "weight_hash": weight_hash(folder),
        "image_size": vision.image_size,
        "grid": list(patch_grid(config, vision.image_size)),
        "width": token_width(config.to_dict()),
        "fit": vision.fit,
        "normalisation": preprocessing.of_pictures(folder).attributes | {"resample": RESAMPLE.name.lower()},
        "recipe": RECIPE,
        "dtype": "bfloat16",
        "batch_size": vision.batch_size,
        "compiled": vision.compile,
        "device": device_name(),
        "versions": {name: version(name) for name in LIBRARIES},
    }
