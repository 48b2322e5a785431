"""Sounding Scenes, the synthesised corpus with sound: short films of the scenes of Spoken Scenes in which things sound.

In a film somebody speaks about what is seen, or a thing sounds, or both at once about different things; or the sound
comes from something that is not in the picture; or nothing happens. A film is one recording, cut into segments. Shards
are in Vaani's layout, each made on its own, the same to the byte with the same library versions. When words and sounds
are heard, and which pixels each thing covers, is written to files of their own.
"""

from pathlib import Path
from typing import Any

from ves.config.corpus import SoundingConfig
from ves.sources.scenes.lexicon import digest
from ves.sources.scenes.things import digest as digest_of_things


def _names(settings: SoundingConfig) -> dict[str, tuple[str, int]]:
    """The name of every shard -> its part and its number within the part."""
    parts = ("audio", "images")
    return {f"{part}/films-{i:03d}": (part, i) for part in parts for i in range(settings.shards)}


def list_shards(settings: SoundingConfig) -> list[dict[str, Any]]:
    """Every shard of the corpus. Sizes and hashes are null: they are known once a shard has been made."""
    return [{"name": name, "part": part, "bytes": None, "sha256": None} for name, (part, _) in _names(settings).items()]


def origins(settings: SoundingConfig) -> dict[str, str]:
    """What the content of every shard depends on: the settings, the things, and the word tables of the languages,
    since what is said decides nothing but the sound."""
    text = settings.model_dump_json() + digest_of_things()
    with_words = text + digest(settings.languages)
    return {name: with_words if part == "audio" else text for name, (part, _) in _names(settings).items()}


def fetch(settings: SoundingConfig, shard: str, destination: Path, truth: Path) -> None:
    """Make one shard at `destination` and its truth at `truth`, both parquet, whole or not at all.

    The truth comes first, so a shard that exists has its truth. Raises ValueError for a shard that is not listed.
    """
    from ves.sources.scenes.pictures import write  # imported late: the workflow lists shards at every start
    from ves.sources.sounding.shards import audio_shard, image_shard

    names = _names(settings)
    if shard not in names:
        raise ValueError(f"no shard {shard!r} in Sounding Scenes; there are {', '.join(names)}")
    part, number = names[shard]
    make = audio_shard if part == "audio" else image_shard
    rows, known = make(settings, number, f"sounding {shard}")
    write(known, truth)
    write(rows, destination)
