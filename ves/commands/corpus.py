"""From shards to who is in which split."""

from pathlib import Path

from ves.commands import given
from ves.config import experiment

PARTS = ("audio", "images")  # of a corpus


def ingest_audio(
    *, corpus: Path, listing: Path, shard: str, source: Path, store: Path, part: Path, truth: Path | None = None
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


def ingest_images(*, corpus: Path, listing: Path, shard: str, source: Path, pictures: Path, part: Path) -> None:
    """Decode and check one shard of pictures: those accepted, and one row per picture to the part."""
    from ves.corpus.ingest import ingest_images
    from ves.corpus.shard_reader import chosen_rows

    ingest_images(
        given.corpus(corpus), shard, source, pictures, part, chosen_rows(listing, given.listed(listing, shard))
    )


def merge(
    *, listing: Path, parts: Path, manifest: Path, refused: Path, images: Path, labels: Path | None = None
) -> None:
    """Merge the parts: who is in, who is out, and one row per distinct picture."""
    from ves.corpus.manifest import merge

    clip_parts, image_parts = ([parts / f"{name}.parquet" for name in given.names(listing, part)] for part in PARTS)
    merge(clip_parts, image_parts, manifest, refused, images, labels)


def seal_audio(*, listing: Path, store: Path) -> None:
    """Join the shards' groups of samples to one store, and write its manifest."""
    from ves.store.audio import seal

    seal(store, given.names(listing, "audio"))


def split(*, manifest: Path, images: Path, split: Path, out: Path, summary: Path, plot: Path) -> None:
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
