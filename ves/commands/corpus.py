"""From shards to who is in which split."""

from pathlib import Path
from typing import Annotated

from ves.commands import inputs, parameters
from ves.config import experiment, fields

PARTS = ("audio", "images")  # of a corpus


def ingest_audio(
    *,
    corpus: parameters.Corpus,
    listing: parameters.Listing,
    shard: parameters.Shard,
    source: parameters.Source,
    store: Annotated[Path, "folder of the audio store; the shard becomes one of its groups"],
    part: Annotated[Path, "where to write one row for each clip (parquet)"],
    truth: Annotated[Path, "where to write the transcripts (parquet; default: none are written)"] | None = None,
) -> None:
    """Decode and check one shard of clips.

    Write samples to the store, one row for each clip to the part, and transcripts to the truth.
    """
    from ves.corpus.ingest import ingest_audio
    from ves.corpus.shard_reader import chosen_rows

    ingest_audio(
        inputs.corpus(corpus),
        shard,
        source,
        store,
        part,
        chosen_rows(listing, inputs.shard_entry(listing, shard)),
        truth,
    )


def ingest_images(
    *,
    corpus: parameters.Corpus,
    listing: parameters.Listing,
    shard: parameters.Shard,
    source: parameters.Source,
    pictures: Annotated[Path, "where to write the accepted pictures (parquet)"],
    part: Annotated[Path, "where to write one row for each picture (parquet)"],
) -> None:
    """Decode and check one shard of pictures.

    Write the accepted pictures, and one row for each picture to the part.
    """
    from ves.corpus.ingest import ingest_images
    from ves.corpus.shard_reader import chosen_rows

    ingest_images(
        inputs.corpus(corpus), shard, source, pictures, part, chosen_rows(listing, inputs.shard_entry(listing, shard))
    )


def merge(
    *,
    listing: parameters.Listing,
    parts: Annotated[Path, "folder of the parts, one file for each shard"],
    manifest: Annotated[Path, "where to write the accepted clips (parquet)"],
    refused: Annotated[Path, "where to write what was refused and why (parquet)"],
    images: Annotated[Path, "where to write the distinct pictures (parquet)"],
    labels: Annotated[Path, "table of spellings of labels (default: labels stay as they are)"] | None = None,
) -> None:
    """Merge the parts into tables of clips, pictures and refused rows."""
    from ves.corpus.manifest import merge

    clip_parts, image_parts = (
        [parts / f"{name}.parquet" for name in inputs.shard_names(listing, part)] for part in PARTS
    )
    merge(clip_parts, image_parts, manifest, refused, images, labels)


def seal_audio(*, listing: parameters.Listing, store: Annotated[Path, "folder of the audio store"]) -> None:
    """Complete the audio store after all shards, and write its manifest."""
    from ves.store.audio import seal

    seal(store, inputs.shard_names(listing, "audio"))


def split(
    *,
    manifest: parameters.Manifest,
    images: parameters.Images,
    split: Annotated[Path, "split.json: the settings of the split"],
    out: Annotated[Path, "where to write the split of each clip (parquet)"],
    summary: Annotated[Path, "where to write a page about the splits (Markdown)"],
    plot: Annotated[Path, "where to write a figure of the splits (PNG)"],
) -> None:
    """Assign every clip to a split.

    No picture of another split is in train, nor any known speaker of tune and val.
    """
    from ves.corpus.splits import write
    from ves.report.tables.splits import page_of

    settings = fields.read(experiment.SplitConfig, split)
    write(manifest, images, settings, out, page_of(settings, summary, plot))


STAGES = (
    ingest_audio,
    ingest_images,
    merge,
    seal_audio,
    split,
)
