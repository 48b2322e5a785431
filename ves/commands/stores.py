"""Inspecting stores."""

from pathlib import Path
from typing import Annotated

from ves.commands import parameters


def store_info(path: parameters.Store) -> None:
    """Show what a store contains and whether it is complete.

    It lists arrays, shapes, sizes and attributes.
    """
    from ves.store.describe import describe

    print(describe(path))


def store_verify(path: parameters.Store, *, images: parameters.ImagesOfStore | None = None) -> None:
    """Check every byte of a store and list all errors.

    The store is a feature store, an audio store or embeddings. If anything is wrong, the exit code is 1. Features are
    also compared with IMAGES, and with their backbone if it is on this machine.
    """
    from ves.models import preprocessing
    from ves.store.shard_format import BadStore
    from ves.store.verify import repair, verify
    from ves.store.verify.arrays import STRAY

    for fault in (faults := verify(path, images, preprocessing.of_pictures)):
        print(fault)
    if faults:
        what_to_do = f"; {repair(path)}" if any(fault.what != STRAY for fault in faults) else ""
        raise BadStore(f"{path}: damaged, places: {len(faults)}{what_to_do}")
    print(f"{path}: intact")


def store_show(
    path: parameters.Store,
    image_id: Annotated[str, "id of the image, or its first digits"],
    *,
    out: Annotated[Path, "where to write the figure (PNG; default: <first 16 digits>.png)"] | None = None,
    images: parameters.ImagesOfStore | None = None,
    pictures: parameters.PicturesOfStore | None = None,
) -> None:
    """Draw a picture beside its patch tokens.

    The first three principal components of the tokens are shown as red, green and blue.
    """
    from ves.report.clips.tokens import show

    show(path, image_id, out, images, pictures)


STAGES = (store_info, store_verify, store_show)
