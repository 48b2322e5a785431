"""Slices of the configuration: each becomes one settings file, with exactly the settings that some steps depend on.

A step reads its settings from such a file, and runs again when the file's text changes. So a slice has a setting if and
only if the results of its steps depend on that setting.
"""

from collections.abc import Mapping

from ves.config.corpus import KINDS, CorpusSettings
from ves.config.display import WatchConfig
from ves.config.experiment import Config, DataPaths, RunConfig, TableConfig
from ves.config.fields import StrictModel, subset


def files(config: Config, features: str) -> dict[str, StrictModel]:
    """The settings files that every experiment has, by path; ves.sources.kinds.settings_files has those of its source.

    `features` is the name of the feature store (ves.config.experiment.features_name; finding it means reading the
    weights).
    """
    data, results = f"data/{config.corpus.name}", f"results/{config.corpus.name}"
    settings: dict[str, StrictModel] = {
        f"{data}/corpus.json": corpus(config),
        f"{data}/split.json": config.split,
        f"{data}/features/{features}.json": config.vision,
        f"{results}/table.json": table(config),
    }
    for run, (name, seed) in runs(config).items():
        settings[f"{results}/{run}/config.json"] = training(config, name, seed, features)
        settings[f"{results}/{run}/watch.json"] = watch(config)
    return settings


def runs(config: Config) -> Mapping[str, tuple[str, int]]:
    """Every run of an experiment by its full name, such as dense-s0: its name in `runs`, and its seed."""
    return {f"{name}-s{seed}": (name, seed) for name in config.runs for seed in config.seeds}


def corpus(config: Config) -> CorpusSettings:
    """What the corpus depends on: without the blocks of other kinds, and without `keep_source`."""
    return subset(CorpusSettings, config.corpus, *(kind for kind in KINDS if kind != config.corpus.kind))


def training(config: Config, name: str, seed: int, features: str) -> RunConfig:
    """Everything that one run depends on; editing another run changes nothing here."""
    data, train = f"data/{config.corpus.name}", config.train_of(name)
    paths = DataPaths(
        corpus=config.corpus.name,
        manifest=f"{data}/manifest.parquet",
        splits=f"{data}/splits.parquet",
        images=f"{data}/images.parquet",
        audio=f"{data}/audio.zarr",
        features=f"{data}/features/{features}.{'zarr' if train.features == 'store' else 'json'}",
        input=train.features,
    )
    run = f"{name}-s{seed}"
    vision = config.vision if train.features == "pixels" else None
    parts = {"audio": config.audio, "vision": vision, "model": config.model, "train": train}
    return RunConfig(run=run, seed=seed, data=paths, **parts)


def watch(config: Config) -> WatchConfig:
    """What is shown of a training. The model does not depend on it, so it is not part of the run's configuration."""
    data = f"data/{config.corpus.name}"
    return WatchConfig(log=config.log, visualise=config.visualise, pictures=f"{data}/images", truth=f"{data}/truth")


def table(config: Config) -> TableConfig:
    """The rows of the tables."""
    return subset(TableConfig, config)
