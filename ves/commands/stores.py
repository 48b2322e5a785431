"""Looking at stores."""

from pathlib import Path


def store_info(path: Path) -> None:
    """What a store holds: arrays, shapes, sizes, attributes, and whether all of it is there."""
    from ves.store.describe import describe

    print(describe(path))


def store_verify(path: Path, *, images: Path | None = None) -> None:
    """Check every byte of a feature store, an audio store or embeddings; lists all that is wrong, and then ends with 1.

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
    path: Path, image_id: str, *, out: Path | None = None, images: Path | None = None, pictures: Path | None = None
) -> None:
    """A picture beside its patch tokens, whose first three principal components are red, green and blue.

    The beginning of an IMAGE_ID is enough. IMAGES and PICTURES are by default images.parquet and images/ of the corpus
    that the store lies in; the PNG goes to OUT, by default to <first 16 digits>.png in this folder.
    """
    from ves.report.clips.tokens import show

    show(path, image_id, out, images, pictures)


STAGES = (store_info, store_verify, store_show)
