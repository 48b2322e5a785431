"""Verifying a store: every file, checksum, number and id, also against the files beside the store.

All faults are listed, not only the first, so that the list says what will be made anew and why. `verify` imports the
module for the kind of store only when it is called: reading or describing a store needs none of them.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from ves.media.normalisation import Normalisation
from ves.store.verify.arrays import Fault, merge_neighbours

log = logging.getLogger(__name__)

THREADS = 2


def verify(
    store: Path, images: Path | None = None, normalisation_of: Callable[[Path], Normalisation] | None = None
) -> list[Fault]:
    """All faults of a feature store, an audio store or embeddings.

    `images` is the images.parquet that lists the images of a feature store; None means that of the corpus in which the
    store lies, if there is one. `normalisation_of` reads from the folder of a backbone how its pictures are normalised
    (as ves.models.preprocessing does, which this package cannot import); None means that this is not compared. Raises
    ValueError if there is no store of these kinds.
    """
    if (store / "audio_tokens").is_dir():
        from ves.store.verify.embeddings import verify_embeddings

        return merge_neighbours(verify_embeddings(store))
    if (store / "patch_tokens").exists() or (store / "image_id").exists():
        from ves.store.verify.features import verify_features

        beside = store.absolute().parents[1] / "images.parquet"
        images = images or (beside if beside.is_file() else None)
        log.info("%s", f"ids are compared with {images}" if images else f"ids are not compared: there is no {beside}")
        return merge_neighbours(verify_features(store, images, THREADS, normalisation_of))
    if (store / "audio").is_dir():
        from ves.store.verify.audio import verify_audio

        return merge_neighbours(verify_audio(store, THREADS))
    kinds = "a feature store (patch_tokens, image_id), an audio store (audio/) or embeddings (audio_tokens)"
    raise ValueError(f"{store}: none of the stores that VeS makes: {kinds}")


def repair(store: Path) -> str:
    """What to do about the faults of such a store."""
    manifest = f"{store}.manifest.json"
    if (store / "audio").is_dir():
        return "ingest again: in parts/ beside it, delete the files of the groups named above, and run the workflow"
    if (store / "audio_tokens").is_dir():
        return f"embed again: delete {store} and {manifest}, and run the workflow"
    return f"extract again: delete {manifest} and run the workflow; intact shards stay as they are"
