"""The stage that only Spoken Scenes has."""

from pathlib import Path
from typing import Annotated

from ves.commands import inputs, parameters
from ves.config.corpus import ScenesConfig


def generate(
    *,
    corpus: parameters.Corpus,
    shard: parameters.Shard,
    out: Annotated[Path, "where to write the shard (parquet)"],
    truth: Annotated[Path, "where to write its word timings or object masks (parquet)"],
) -> None:
    """Synthesise one shard of Spoken Scenes with its word timings or object masks."""
    from ves.sources.scenes import fetch

    fetch(inputs.block(inputs.corpus(corpus), ScenesConfig), shard, out, truth)


STAGES = (generate,)
