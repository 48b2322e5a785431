"""The stages that only Sounding Scenes has."""

from pathlib import Path
from typing import Annotated

from ves.commands import inputs, parameters
from ves.config.corpus import SoundingConfig


def generate_films(
    *,
    corpus: parameters.Corpus,
    shard: parameters.Shard,
    out: Annotated[Path, "where to write the shard (parquet)"],
    truth: Annotated[Path, "where to write its words and sounds or object masks (parquet)"],
) -> None:
    """Synthesise one shard of Sounding Scenes with its truth."""
    from ves.sources.sounding import fetch

    fetch(inputs.block(inputs.corpus(corpus), SoundingConfig), shard, out, truth)


def write_films(
    *,
    corpus: parameters.Corpus,
    part: Annotated[int, "number of the shard whose films are written, from 0"],
    folder: Annotated[Path, "where to write {vid}_{seg}.mp4"],
    out: Annotated[Path, "where to write the table of the segments (CSV)"],
) -> None:
    """Write films of Sounding Scenes as MP4 segments.

    A segment is a second, {vid}_{seg}.mp4; those that are there are kept.
    """
    from ves.sources.sounding.mp4 import write

    write(inputs.block(inputs.corpus(corpus), SoundingConfig), part, folder, out)


STAGES = (generate_films, write_films)
