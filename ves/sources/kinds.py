"""Where pairs come from: one module per kind of source; whatever it is, it hands over shards in Vaani's layout.

A source module has `list_shards(settings)`, the shards of the corpus in order, each a dict with `name` (a path without
suffix), `part` ("audio" or "images"), `bytes` and `sha256` (None where they are not known before the shard exists), and
`fetch(settings, ...)`, which puts one of them at a destination as parquet, whole or not at all. `settings` is the block
of the configuration that is named after the kind. One whose shards are made here also has `origins(settings)`: of each
shard, by name, a text that changes when its content would.
"""

from importlib import import_module
from types import ModuleType

SOURCES = {"scenes": "ves.sources.scenes", "pairs": "ves.sources.pairs.packing", "vaani": "ves.sources.vaani.listing"}


def source(kind: str) -> ModuleType:
    """The module of a kind of source, imported only now: no source needs the libraries of another."""
    return import_module(SOURCES[kind])
