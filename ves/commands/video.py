"""The stages that only a corpus of films has."""

from pathlib import Path
from typing import Annotated

from ves.commands import inputs, parameters
from ves.config.corpus import VideoConfig

Films = Annotated[str, "name of the group of films, such as films-00000000"]


def cut_films(
    *,
    corpus: parameters.Corpus,
    films: Films,
    audio: Annotated[Path, "where to write the shard of sound (parquet)"],
    images: Annotated[Path, "where to write the shard of pictures (parquet)"],
    truth: Annotated[Path, "where to write the labels of the clips (parquet)"],
) -> None:
    """Cut a group of films into segments, each with its sound and its pictures."""
    from ves.sources.video.shards import fetch

    fetch(inputs.block(inputs.corpus(corpus), VideoConfig), films, audio, images, truth)


def plan_films(*, corpus: parameters.Corpus, page: Annotated[Path, "where to write the page (Markdown)"]) -> None:
    """Say what cutting the films will bring and take.

    It reads headers, and cuts some films for a trial.
    """
    from ves.sources.video.plan import write

    write(inputs.block(inputs.corpus(corpus), VideoConfig), page)


def write_segments(
    *,
    corpus: parameters.Corpus,
    films: Films,
    folder: Annotated[Path, "folder for the segments, {vid}_{seg}.mp4"],
    out: Annotated[Path, "where to write the table of this group's segments (CSV)"],
) -> None:
    """Write the segments of a group of films as MP4 files.

    Those that are there already are kept.
    """
    from ves.sources.video.segment_files import write

    write(inputs.block(inputs.corpus(corpus), VideoConfig), films, folder, out)


def gather_segments(
    *,
    tables: Annotated[list[Path], "the tables of all groups"],
    out: Annotated[Path, "where to write the table of all segments (CSV); they are beside it"],
) -> None:
    """Join the tables of segments, and remove segments that are in none."""
    from ves.sources.video.segment_files import gather

    gather(tables, out)


STAGES = (cut_films, plan_films, write_segments, gather_segments)
