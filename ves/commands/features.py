"""Patch tokens of every picture."""

from pathlib import Path
from typing import Annotated

from ves.commands import given, parameters
from ves.config import experiment


def features(
    *,
    vision: parameters.Vision,
    images: parameters.Images,
    pictures: parameters.Pictures,
    store: parameters.Features,
    part: Annotated[str, "which part, such as 2-of-8"],
    out: Annotated[Path, "where to write the record of the part (JSON)"],
) -> None:
    """Patch tokens of one part of the pictures, such as 2-of-8, from the frozen backbone; goes on where it was stopped.

    A part is whole shards of the store. OUT is the record of them that seal-features asks for.
    """
    from ves.base import gpus
    from ves.models.extraction import extract

    gpus.take()
    extract(given.read(experiment.VisionConfig, vision), images, pictures, store, part, out)


def seal_features(
    *,
    images: parameters.Images,
    store: parameters.Features,
    parts: Annotated[list[Path], "the records of all parts"],
    manifest: Annotated[Path, "where to write the manifest of the store (JSON)"],
) -> None:
    """Mark the features complete once every part is there, and write their manifest."""
    from ves.models.extraction import seal

    seal(images, store, parts, manifest)


STAGES = (
    features,
    seal_features,
)
