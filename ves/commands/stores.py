"""Looking at stores."""

from pathlib import Path
from typing import Annotated

from ves.commands import parameters


def store_info(path: parameters.Store) -> None:
    """Show what a store holds, and whether all of it is there.

    Arrays, shapes, sizes and attributes.
    """
    from ves.store.describe import describe

    print(describe(path))


def store_verify(path: parameters.Store, *, images: parameters.ImagesOfStore | None = None) -> None:
    """Check every byte of a store, and list all that is wrong.

    The store is a feature store, an audio store or embeddings. Where something is wrong it ends with exit code 1.
    IMAGES is the images.parquet that the features are of, by default that of the corpus that the store lies in.
    """
    from ves.store.shard_format import BadStore
    from ves.store.verify import repair, verify
    from ves.store.verify.arrays import STRAY

    for fault in (faults := verify(path, images)):
        print(fault)
    if faults:
        what_to_do = f"; {repair(path)}" if any(fault.what != STRAY for fault in faults) else ""
        raise BadStore(f"{path}: not sound, places: {len(faults)}{what_to_do}")
    print(f"{path}: sound")


def store_show(
    path: parameters.Store,
    image_id: Annotated[str, "the image, or the first digits of its id"],
    *,
    out: Annotated[Path, "where to write the figure (PNG; default: <first 16 digits>.png)"] | None = None,
    images: parameters.ImagesOfStore | None = None,
    pictures: parameters.PicturesOfStore | None = None,
) -> None:
    """Draw a picture beside its patch tokens.

    Their first three principal components are red, green and blue. The beginning of an IMAGE_ID is enough. IMAGES and
    PICTURES are by default images.parquet and images/ of the corpus that the store lies in; the PNG goes to OUT, by
    default to <first 16 digits>.png in this folder.
    """
    from ves.report.clips.tokens import show

    show(path, image_id, out, images, pictures)


STAGES = (store_info, store_verify, store_show)
