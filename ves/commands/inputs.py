"""What several stages read from files: the settings of the corpus, and the list of its shards."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ves.base.files import read_json
from ves.config import fields
from ves.config.corpus import KINDS, CorpusSettings, SourceBlock, SourceBlocks

if TYPE_CHECKING:
    import polars as pl


def corpus(path: Path) -> CorpusSettings:
    """The settings in corpus.json. Raises ValueError that names the file and every key which is wrong."""
    return fields.read(CorpusSettings, path)


def block[T: SourceBlock](corpus: CorpusSettings, kind: type[T]) -> T:
    """The settings of a corpus's source. Raises ValueError if it is of another kind than the stage is for."""
    if not isinstance(corpus.block, kind):
        (own,) = [name for name in KINDS if kind in get_args(SourceBlocks.model_fields[name].annotation)]
        raise ValueError(f"corpus.kind: {corpus.kind!r}, but this stage is for a corpus of kind {own!r}")
    return corpus.block


def spellings(corpus: CorpusSettings) -> "pl.DataFrame":
    """The table of spellings that the corpus names, or an empty one."""
    from ves.sources import labels

    return labels.read(None if corpus.labels is None else Path(corpus.labels))


def shard_names(listing: Path, part: str) -> list[str]:
    """The names of the shards of one part of the corpus, "audio" or "images"."""
    return [shard["name"] for shard in read_json(listing)["shards"] if shard["part"] == part]


def shard_entry(listing: Path, shard: str) -> dict[str, Any]:
    """What the listing says of a shard. Raises ValueError that names a listing which lacks it."""
    entries = {entry["name"]: entry for entry in read_json(listing)["shards"]}
    if shard not in entries:
        raise ValueError(
            f"{listing}: no shard {shard!r} among its {len(entries)}, such as {min(entries, default='none')}"
        )
    return entries[shard]
