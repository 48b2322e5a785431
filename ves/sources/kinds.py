"""The kinds of sources, and how the module of a kind is used. Every source hands over shards in Vaani's layout.

The module of a kind has two functions. `list_shards(settings)` gives the shards of the corpus in order, each a dict of
`name` (a path without suffix), `part` ("audio" or "images"), `bytes` and `sha256` (None if they are unknown before the
shard exists). `fetch(settings, ...)` puts one shard at a destination as parquet, whole or not at all. `settings` is the
block of the configuration that is named after the kind (ves.config.corpus.SourceBlocks). If shards are made here and
not downloaded, the module also has `origins(settings)`: for each shard, by name, a text that changes with its content.
"""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType


@dataclass(frozen=True)
class Source:
    """What the workflow has to know about a kind; its rules are in workflow/rules/<kind>.smk."""

    module: str  # imported only when it is used, because no source needs the libraries of another
    downloaded: bool  # the listing has hashes of the shards, and transcripts come with the clips
    localised: bool  # its truth has word timings and object masks, by which evaluation measures pointing


SOURCES = {
    "scenes": Source("ves.sources.scenes", downloaded=False, localised=True),
    "pairs": Source("ves.sources.pairs.packing", downloaded=False, localised=False),
    "vaani": Source("ves.sources.vaani.listing", downloaded=True, localised=False),
}


def source(kind: str) -> ModuleType:
    """The module of a kind of source."""
    return import_module(SOURCES[kind].module)
