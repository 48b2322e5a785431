"""One image shard: a parquet file of pictures in Vaani's layout, and its truth, the masks of objects."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ves.base.files import atomic
from ves.base.progress import track
from ves.config.corpus import ScenesConfig
from ves.sources.scenes.assignment import Plan
from ves.sources.scenes.drawing import Picture, draw, jpeg, mask_png
from ves.sources.scenes.faults import IMAGE_FAULTS, broken_image, image_defects
from ves.sources.scenes.layout import Scene, scene
from ves.sources.scenes.streams import generator

SCHEMA = {"image": pl.Struct({"bytes": pl.Binary, "path": pl.String})}
TRUTH_SCHEMA = {
    "image_path": pl.String,
    "image_id": pl.String,
    "object": pl.Int16,
    "kind": pl.String,
    "colour": pl.String,  # that it was painted in; null if it has its own
    "picture": pl.String,
    "seen_picture": pl.Boolean,  # whether training may see things of this kind look like this
    "visible_pixels": pl.UInt32,
    "mask": pl.Binary,
    "box": pl.Array(pl.Int32, 4),
}
REENCODED_QUALITY = 62

type Rows = list[dict[str, Any]]


def twin_path(plan: Plan, image: int) -> str:
    """The second name of a picture that has one."""
    return f"Images/IISc_VaaniProject_GENERIC_{plan.settings.images + image + 1:04d}.jpg"


def _encodings(plan: Plan, image: int, defect: str | None, picture: Picture) -> Iterator[tuple[str, bytes]]:
    """Path and file of each row of this picture: one row, or two if it has two names."""
    encoded = jpeg(picture.image)
    rng = generator(plan.settings.seed, "image defect", image)
    path = "" if defect == "unnamed_image" else plan.image_path(image)
    yield path, broken_image(rng, defect, encoded)
    if defect == "twin":
        yield twin_path(plan, image), encoded
    if defect == "reencoded":
        yield twin_path(plan, image), jpeg(picture.image, REENCODED_QUALITY)


def truth_rows(drawn: Scene, picture: Picture) -> Rows:
    """The visible part of each thing: pixels, mask and box [left, top, right, bottom), in pixels of the picture."""
    rows = []
    for i, thing in enumerate(drawn.things):
        mask = picture.owner == i
        across, down = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
        if len(across) == 0:
            raise ValueError(f"picture {drawn.index}: the {thing.kind} is wholly hidden; layout placed it badly")
        box = [int(across[0]), int(down[0]), int(across[-1]) + 1, int(down[-1]) + 1]
        about = {"object": i, "kind": thing.kind, "colour": thing.colour}
        about |= {"picture": thing.picture, "seen_picture": thing.seen, "visible_pixels": int(mask.sum())}
        rows.append(about | {"mask": mask_png(mask), "box": box})
    return rows


def image_shard(settings: ScenesConfig, shard: int, name: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of image shard number `shard` and their truth. Broken pictures have no truth."""
    plan, defects = Plan(settings), image_defects(settings)
    rows: Rows = []
    truth: Rows = []
    for image in track([int(i) for i in plan.images_of(shard)], label=name, unit="picture"):
        drawn, defect = scene(settings, image), defects.get(image)
        picture = draw(settings.seed, drawn)
        seen = truth_rows(drawn, picture) if defect not in IMAGE_FAULTS else []
        for path, encoded in _encodings(plan, image, defect, picture):
            rows.append({"image": {"bytes": encoded, "path": path}})
            known = {"image_path": path, "image_id": hashlib.sha256(encoded).hexdigest()}
            truth += [known | one for one in seen]
    return pl.DataFrame(rows, SCHEMA), pl.DataFrame(truth, TRUTH_SCHEMA)


def write(frame: pl.DataFrame, path: Path) -> None:
    """Write a parquet file whose bytes depend on the rows alone."""
    with atomic(path) as temporary:
        frame.write_parquet(temporary, compression="zstd", compression_level=1, row_group_size=512, statistics=True)
