"""From shards to who is in which split."""

from pathlib import Path
from typing import Annotated

from ves.commands import given, parameters
from ves.config import experiment

PARTS = ("audio", "images")  # of a corpus


def ingest_audio(
    *,
    corpus: parameters.Corpus,
    listing: parameters.Listing,
    shard: parameters.Shard,
    source: parameters.Source,
    store: Annotated[Path, "the audio store, of which the shard becomes a group"],
    part: Annotated[Path, "where to write one row for each clip (parquet)"],
    truth: Annotated[Path, "where to write the transcripts (parquet); left out, none are written"] | None = None,
) -> None:
    """Decode and check one shard of clips: samples to the store, one row per clip to the part, words to the truth."""
    from ves.corpus.ingest import ingest_audio
    from ves.corpus.shard_reader import chosen_rows

    ingest_audio(
        given.corpus(corpus),
        shard,
        source,
        store,
        part,
        chosen_rows(listing, given.listed(listing, shard)),
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
    """Decode and check one shard of pictures: those accepted, and one row per picture to the part."""
    from ves.corpus.ingest import ingest_images
    from ves.corpus.shard_reader import chosen_rows

    ingest_images(
        given.corpus(corpus), shard, source, pictures, part, chosen_rows(listing, given.listed(listing, shard))
    )


def merge(
    *,
    listing: parameters.Listing,
    parts: Annotated[Path, "the folder of the parts, a file for each shard"],
    manifest: Annotated[Path, "where to write the clips (parquet)"],
    refused: Annotated[Path, "where to write what was refused, and why (parquet)"],
    images: Annotated[Path, "where to write the distinct pictures (parquet)"],
    labels: Annotated[Path, "a table of spellings of labels; left out, labels stay as they are"] | None = None,
) -> None:
    """Merge the parts: who is in, who is out, and one row per distinct picture."""
    from ves.corpus.manifest import merge

    clip_parts, image_parts = ([parts / f"{name}.parquet" for name in given.names(listing, part)] for part in PARTS)
    merge(clip_parts, image_parts, manifest, refused, images, labels)


def seal_audio(*, listing: parameters.Listing, store: Annotated[Path, "the audio store: its folder"]) -> None:
    """Join the shards' groups of samples to one store, and write its manifest."""
    from ves.store.audio import seal

    seal(store, given.names(listing, "audio"))


def split(
    *,
    manifest: parameters.Manifest,
    images: parameters.Images,
    split: Annotated[Path, "split.json: the settings of the split"],
    out: Annotated[Path, "where to write the split of each clip (parquet)"],
    summary: Annotated[Path, "where to write a page about the splits (Markdown)"],
    plot: Annotated[Path, "where to write a figure of the splits (PNG)"],
) -> None:
    """Assign every clip to a split; no image, and in val no known speaker, is shared with train."""
    from ves.corpus.splits import write
    from ves.report.tables.splits import page_of

    settings = given.read(experiment.SplitConfig, split)
    write(manifest, images, settings, out, page_of(settings, summary, plot))


STAGES = (
    ingest_audio,
    ingest_images,
    merge,
    seal_audio,
    split,
)
