"""Spoken Scenes, the synthesised corpus: pictures of things, described in many languages, in Vaani's layout.

Every shard is made on its own from the settings alone, and is the same to the byte with the same library versions. Word
timings and object masks, which only evaluation may open, are written to a file of their own.
"""

from pathlib import Path
from typing import Any

from ves.config.corpus import ScenesConfig
from ves.sources.scenes.assignment import DISTRICTS
from ves.sources.scenes.lexicon import digest
from ves.sources.scenes.things import digest as digest_of_things


def _names(settings: ScenesConfig) -> dict[str, tuple[str, int]]:
    """The name of every shard -> its part and its number within the part."""
    audio = {
        f"audio/{state}/{district}/train-00000-of-00001": ("audio", i)
        for i, (state, district, _) in enumerate(DISTRICTS[: settings.audio_shards])
    }
    count = settings.image_shards
    return audio | {f"images/train-{i:05d}-of-{count:05d}": ("images", i) for i in range(count)}


def list_shards(settings: ScenesConfig) -> list[dict[str, Any]]:
    """Every shard of the corpus. Sizes and hashes are null: they are known once a shard has been made."""
    return [{"name": name, "part": part, "bytes": None, "sha256": None} for name, (part, _) in _names(settings).items()]


def origins(settings: ScenesConfig) -> dict[str, str]:
    """What the content of every shard depends on: the settings, the things and, for recordings, the word tables of the
    languages."""
    text = settings.model_dump_json() + digest_of_things()
    with_words = text + digest(settings.languages)
    return {name: with_words if part == "audio" else text for name, (part, _) in _names(settings).items()}


def fetch(settings: ScenesConfig, shard: str, destination: Path, truth: Path) -> None:
    """Make one shard at `destination` and its truth at `truth`, both parquet, whole or not at all.

    The truth comes first, so a shard that exists has its truth. Raises ValueError for a shard that is not listed.
    """
    from ves.sources.scenes.pictures import (
        image_shard,
        write,
    )  # imported late: the workflow lists shards at every start
    from ves.sources.scenes.utterances import audio_shard

    names = _names(settings)
    if shard not in names:
        raise ValueError(f"no shard {shard!r} in Spoken Scenes; there are {', '.join(names)}")
    part, number = names[shard]
    make = audio_shard if part == "audio" else image_shard
    rows, known = make(settings, number, f"scenes {shard}")
    write(known, truth)
    write(rows, destination)
