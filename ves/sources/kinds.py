"""The kinds of sources, and all that the rest of VeS knows about each. Each hands over shards in Vaani's layout.

A kind is entered here, and everything of its own bears its name:

    ves/sources/<kind>/           its code
    ves/commands/<kind>.py        its stages, in STAGES
    workflow/rules/<kind>.smk     its rules, which bring data/<corpus>/shards.json and the shards that it lists
    corpus.<kind>                 its block of the configuration (ves.config.corpus.SourceBlocks)

An entry names up to three modules. They are imported only when they are used, because no source needs the libraries of
another, and the workflow asks for the last two at every start.

`shards` has two functions. `list_shards(block)` gives the shards of the corpus in order, each a dict of `name` (a path
without suffix), `part` ("audio" or "images"), `bytes` and `sha256` (None if they are unknown before the shard exists).
`fetch(block, ...)` puts one shard at a destination as parquet, whole or not at all. If shards are made here and not
downloaded, it also has `origins(block)`: for each shard, by name, a text that changes with its content.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from ves.config.experiment import Config
from ves.config.fields import StrictModel


@dataclass(frozen=True)
class Source:
    """What the workflow has to know about a kind."""

    shards: str
    downloaded: bool  # the listing has hashes of the shards, and transcripts come with the clips
    localised: bool  # its truth has word timings and object masks, by which evaluation measures pointing
    settings: str | None = None  # has `files(config, features, downloads)`: settings files that only this kind has
    planned: bool = False  # its rules make results/<corpus>/plan.md, what the corpus will hold and take
    preflight: str | None = None  # has `check(block, config)` and `inputs(block)`, for people's own files


SOURCES = {
    "scenes": Source("ves.sources.scenes", downloaded=False, localised=True),
    "sounding": Source("ves.sources.sounding", downloaded=False, localised=True),
    "pairs": Source(
        "ves.sources.pairs.packing", downloaded=False, localised=False, preflight="ves.sources.pairs.preflight"
    ),
    "video": Source(
        "ves.sources.video.shards",
        downloaded=False,
        localised=False,
        preflight="ves.sources.video.preflight",
        planned=True,
    ),
    "vaani": Source(
        "ves.sources.vaani.listing",
        downloaded=True,
        localised=False,
        settings="ves.sources.vaani.settings",
        planned=True,
    ),
}


def source(kind: str) -> ModuleType:
    """The module with the shards of a kind."""
    return import_module(SOURCES[kind].shards)


def settings_files(config: Config, features: str, downloads: int) -> dict[str, StrictModel]:
    """The settings files that only this kind of corpus has, by path; ves.config.slices.files has all others.

    `features` is the name of the feature store, `downloads` the number of downloads at a time.
    """
    if (module := SOURCES[config.corpus.kind].settings) is None:
        return {}
    files = import_module(module).files(config, features, downloads)
    return {f"data/{config.corpus.name}/{name}": block for name, block in files.items()}


def check(config: Config) -> None:
    """Check the files of a source before any job starts. Raises ValueError that begins with the key at fault."""
    if (module := SOURCES[config.corpus.kind].preflight) is not None:
        import_module(module).check(config.corpus.block, config)


def inputs(config: Config) -> list[Path]:
    """Files besides the settings that say what pairs there are; they may change any time. Raises ValueError that begins
    with a key if one is missing."""
    if (module := SOURCES[config.corpus.kind].preflight) is None:
        return []
    return import_module(module).inputs(config.corpus.block)
