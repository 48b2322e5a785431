"""The stage that only a corpus of own pairs has."""

from pathlib import Path
from typing import Annotated

from ves.commands import inputs, parameters
from ves.config.corpus import PairsConfig


def pack(
    *, corpus: parameters.Corpus, shard: parameters.Shard, out: Annotated[Path, "where to write the shard (parquet)"]
) -> None:
    """Pack one shard of your own pairs from the files that the tables list."""
    from ves.sources.pairs.packing import fetch

    fetch(inputs.block(inputs.corpus(corpus), PairsConfig), shard, out)


STAGES = (pack,)
