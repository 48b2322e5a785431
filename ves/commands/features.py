"""Patch tokens of every picture."""

from pathlib import Path
from typing import Annotated

from ves.commands import parameters
from ves.config import experiment, fields


def features(
    *,
    vision: parameters.Vision,
    images: parameters.Images,
    pictures: parameters.Pictures,
    store: parameters.Features,
    part: Annotated[str, "part to compute, such as 2-of-8"],
    out: Annotated[Path, "where to write the record of the part (JSON)"],
) -> None:
    """Compute the patch tokens of one part of the pictures, or resume it.

    A part is several whole shards of the store. OUT is the record of these shards, which seal-features reads.
    """
    from ves.base import gpus
    from ves.models.extraction import extract

    gpus.take()
    extract(fields.read(experiment.VisionConfig, vision), images, pictures, store, part, out)


def seal_features(
    *,
    images: parameters.Images,
    store: parameters.Features,
    parts: Annotated[list[Path], "records of all parts"],
    manifest: Annotated[Path, "where to write the manifest of the store (JSON)"],
) -> None:
    """Complete the feature store after all parts, and write its manifest."""
    from ves.models.extraction import seal

    seal(images, store, parts, manifest)


STAGES = (
    features,
    seal_features,
)
