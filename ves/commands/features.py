"""Patch tokens of every picture."""

from pathlib import Path

from ves.commands import given
from ves.config import experiment


def features(*, vision: Path, images: Path, pictures: Path, store: Path, part: str, out: Path) -> None:
    """Patch tokens of one part of the pictures, such as 2-of-8, from the frozen backbone; goes on where it was stopped.

    A part is whole shards of the store. OUT is the record of them that seal-features asks for.
    """
    from ves.base import gpus
    from ves.models.extraction import extract

    gpus.take()
    extract(given.read(experiment.VisionConfig, vision), images, pictures, store, part, out)


def seal_features(*, images: Path, store: Path, parts: list[Path], manifest: Path) -> None:
    """Mark the features complete once every part is there, and write their manifest."""
    from ves.models.extraction import seal

    seal(images, store, parts, manifest)


STAGES = (
    features,
    seal_features,
)
