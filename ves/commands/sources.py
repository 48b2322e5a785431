"""The stages that bring shards: the list of them, and those of each kind of source, in a file of the kind's name."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

from ves.base.files import write_json
from ves.commands import inputs, parameters
from ves.sources.kinds import SOURCES, source


def list_shards(*, corpus: parameters.Corpus, out: Annotated[Path, "where to write the list (JSON)"]) -> None:
    """List the shards of a corpus.

    All later steps depend on this one small file.
    """
    settings = inputs.corpus(corpus)
    shards = source(settings.kind).list_shards(settings.block)
    shards = [shard | {"chosen": None} for shard in shards]  # every row is used
    write_json(out, {"revision": getattr(settings.block, "revision", None), "shards": shards})


STAGES = (list_shards, *(stage for kind in SOURCES for stage in import_module(f"ves.commands.{kind}").STAGES))
