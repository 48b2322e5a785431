"""Arrays on disk that are valid zarr, written by many processes and read by row; no model, no corpus.

`open_features` reads patch tokens, `AudioStore` samples, `Embeddings` is what `embeddings.load` gives; `BadStore` is
raised by all of them. `describe.describe` says what a store holds, `verify.verify` whether all of it is intact. Plain
zarr reads them too: its entry point finds `bfloat16` here, so this file loads nothing before it is asked for it.
"""

from typing import TYPE_CHECKING

from ves.base.lazy import face

if TYPE_CHECKING:
    from ves.store.audio import AudioStore as AudioStore
    from ves.store.embeddings import Embeddings as Embeddings
    from ves.store.features_reader import open_features as open_features
    from ves.store.shard_format import BadStore as BadStore

__getattr__, __dir__ = face(
    __name__,
    {
        "AudioStore": "ves.store.audio",
        "Embeddings": "ves.store.embeddings",
        "open_features": "ves.store.features_reader",
        "BadStore": "ves.store.shard_format",
    },
)
