"""What can be wrong with own pairs before any job starts, and which files say what pairs there are."""

from pathlib import Path

from ves.config.corpus import PairsConfig
from ves.config.experiment import Config, SplitConfig
from ves.sources.pairs import tables
from ves.sources.pairs.packing import list_shards


def check(pairs: PairsConfig, config: Config) -> None:
    """Check that the folder and readable tables are there, and enough pictures for the split. Raises ValueError that
    begins with the key."""
    list_shards(pairs)
    _check_enough(pairs, config.split)


def inputs(pairs: PairsConfig) -> list[Path]:
    """The tables: a row that is added there is a new pair under the same settings."""
    return tables.files(pairs)


def _check_enough(pairs: PairsConfig, split: SplitConfig) -> None:
    """Raise ValueError, long before the split would, if there are fewer pictures than pairs to draw."""
    rows = tables.read(pairs)
    least = sum(
        getattr(split, name) for name in ("val", "tune") if name not in rows["split"]
    )  # a split in the tables: none is drawn
    if (most := rows["image"].drop_nulls().n_unique()) < least:
        raise ValueError(
            f"split.val: val and tune need {least} pairs, each with a different picture, but the tables name only "
            f"{most} pictures; lower split.val or split.tune (a fifth of the pictures for both is a good size)"
        )
