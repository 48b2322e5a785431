"""What stages are told by files: their settings, and the list of shards."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ves.base.files import read_json
from ves.config.corpus import CorpusSettings
from ves.config.fields import read

if TYPE_CHECKING:
    import polars as pl


def corpus(path: Path) -> CorpusSettings:
    return read(CorpusSettings, path)


def spellings(corpus: CorpusSettings) -> "pl.DataFrame":
    """The table of spellings that the corpus names, or an empty one."""
    from ves.sources import labels

    return labels.read(None if corpus.labels is None else Path(corpus.labels))


def names(listing: Path, part: str) -> list[str]:
    """The shards of one part of the corpus."""
    return [shard["name"] for shard in read_json(listing)["shards"] if shard["part"] == part]


def listed(listing: Path, shard: str) -> dict[str, Any]:
    """The entry of a shard. Raises ValueError that names the listing without it."""
    listed = {entry["name"]: entry for entry in read_json(listing)["shards"]}
    if shard not in listed:
        raise ValueError(
            f"{listing}: no shard {shard!r} among its {len(listed)}, such as {min(listed, default='none')}"
        )
    return listed[shard]


def block[T](block: T | None) -> T:
    """The block of a corpus that is named after its kind; CorpusSettings has checked that it is there."""
    assert block is not None
    return block
