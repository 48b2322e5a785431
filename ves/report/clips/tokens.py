"""A picture beside its patch tokens, as people look at DINOv2 features: their first three principal components as RGB.

Patches of one colour are alike to the backbone. The components are those of this picture's own patches, so the colours
of two pictures cannot be compared.

Dimension key
    P patches    W backbone width
"""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Bool, Float
from PIL import Image

from ves.base import files, parquet
from ves.media.geometry import Geometry
from ves.media.images import decode, read_encoded
from ves.store.features_reader import open_features

log = logging.getLogger(__name__)

SIDE = 640  # the longer side of each half, in pixels
GAP = 8


def components(tokens: Float[np.ndarray, "P W"], shown: Bool[np.ndarray, "P"]) -> Float[np.ndarray, "P 3"]:
    """The first three principal components of the tokens that are shown, each scaled to 0..1; 0 elsewhere.

    The sign of a component is arbitrary: here the greatest of its weights is positive, so that it is always the same.
    Where the tokens span fewer than three directions, the missing components are 0.
    """
    centred = tokens[shown].astype(np.float64)
    centred -= centred.mean(axis=0)
    _, strengths, weights = np.linalg.svd(centred, full_matrices=False)
    weights, strengths = weights[:3], strengths[:3]
    signs = np.sign(weights[np.arange(len(weights)), np.abs(weights).argmax(axis=1)])
    weights = weights * np.where(strengths > 1e-6 * max(strengths[0], 1e-30), signs, 0.0)[:, None]
    scores = centred @ weights.T
    scores -= scores.min(axis=0)
    out = np.zeros((len(tokens), 3))
    out[shown, : len(weights)] = scores / np.maximum(scores.max(axis=0), 1e-12)
    return out


def laid_out(colours: Float[np.ndarray, "P 3"], geometry: Geometry, grid: Sequence[int]) -> Image.Image:
    """The colours of the patches where they lie in the picture, at its aspect ratio; black outside of the patches."""
    rows, columns = grid
    places = geometry.patches_to_picture(np.arange(rows * columns, dtype=np.float32).reshape(rows, columns))
    palette = np.concatenate([(colours * 255).round().astype(np.uint8), np.zeros((1, 3), np.uint8)])
    return Image.fromarray(palette[np.nan_to_num(places, nan=len(colours)).astype(np.int32)])


def beside(left: Image.Image, right: Image.Image) -> Image.Image:
    """Two pictures of one size beside each other, the longer side of each SIDE pixels; edges of patches stay sharp."""
    scale = SIDE / max(left.size)
    width, height = (max(1, round(length * scale)) for length in left.size)
    page = Image.new("RGB", (2 * width + GAP, height), "white")
    page.paste(left.resize((width, height), Image.Resampling.LANCZOS), (0, 0))
    page.paste(right.resize((width, height), Image.Resampling.NEAREST), (width + GAP, 0))
    return page


def find(image_ids: Sequence[str], beginning: str, store: Path) -> str:
    """The one id with this beginning. Raises ValueError where no id has it, or several have."""
    matches = [image_id for image_id in image_ids if image_id.startswith(beginning.lower())]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise ValueError(
            f"{store}: no image whose id begins with {beginning!r}, among {len(image_ids)} such as {image_ids[0]}"
        )
    some = ", ".join(image_id[:16] for image_id in matches[:3])
    raise ValueError(f"{store}: {len(matches)} images begin with {beginning!r}, such as {some}; give more digits")


def picture_of(image_id: str, images: Path, pictures: Path) -> Image.Image:
    """The picture of an image. Raises ValueError when images.parquet or the pictures do not have it."""
    place = parquet.read(images, ["image_id", "shard", "row_in_shard"]).filter(pl.col("image_id") == image_id)
    if place.is_empty():
        raise ValueError(f"{images}: does not list image {image_id}; give the --images that the features are of")
    _, shard, row = place.row(0)
    if not (file := pictures / f"{shard}.parquet").is_file():
        raise ValueError(f"{file}: missing; give --pictures, the folder of the ingested pictures")
    ((_, content),) = read_encoded(pictures, shard, [row])
    if hashlib.sha256(content).hexdigest() != image_id:
        raise ValueError(f"{file}: row {row} is not the content of image {image_id}; ingest that shard again")
    return decode(content)


def show(store: Path, beginning: str, out: Path | None, images: Path | None, pictures: Path | None) -> Path:
    """Write the PNG for the image whose id has this beginning; returns its path.

    By default the pictures are those of the corpus that the store is in, and the PNG goes to the current folder. Raises
    BadStore for damaged features, ValueError for an id or a picture that is not there.
    """
    corpus = store.absolute().parents[1]
    features = open_features(store)
    image_id = find(features.image_ids, beginning, store)
    picture = picture_of(image_id, images or corpus / "images.parquet", pictures or corpus / "images")
    tokens = features.read(features.rows([image_id]))[0].float().numpy()
    geometry = Geometry(*picture.size, features.attrs["image_size"], features.attrs["fit"])
    colours = components(tokens, geometry.patch_mask(*features.grid))
    out = out or Path(f"{image_id[:16]}.png")
    with files.atomic(out) as partial:
        beside(picture, laid_out(colours, geometry, features.grid)).save(partial, "PNG")
    log.info("%s: image %s", out, image_id)
    return out
