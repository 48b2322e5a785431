"""Slices of the configuration: each becomes one settings file, with exactly the settings that some steps depend on.

A step reads its settings from such a file, and runs again when the file's text changes. So a slice has a setting if and
only if the results of its steps depend on that setting.
"""

from collections.abc import Mapping

from ves.config.corpus import KINDS, CorpusSettings, SurveyConfig, VaaniConfig
from ves.config.display import WatchConfig
from ves.config.experiment import Config, DataPaths, PlanSettings, RunConfig, StrataConfig, TableConfig
from ves.config.fields import StrictModel


def files(config: Config, features: str, downloads: int) -> dict[str, StrictModel]:
    """Every settings file of an experiment, by its path.

    `features` is the name of the feature store (ves.config.experiment.features_name; finding it means reading the
    weights), `downloads` the number of downloads at a time.
    """
    data, results = f"data/{config.corpus.name}", f"results/{config.corpus.name}"
    settings: dict[str, StrictModel] = {
        f"{data}/corpus.json": corpus(config),
        f"{data}/split.json": config.split,
        f"{data}/features/{features}.json": config.vision,
        f"{results}/table.json": table(config),
    }
    if vaani := config.corpus.vaani if config.corpus.kind == "vaani" else None:
        settings[f"{data}/survey_config.json"] = survey(vaani)
        settings[f"{data}/plan_settings.json"] = plan(config, features, downloads)
    for run, (name, seed) in runs(config).items():
        settings[f"{results}/{run}/config.json"] = training(config, name, seed, features)
        settings[f"{results}/{run}/watch.json"] = watch(config)
    return settings


def runs(config: Config) -> Mapping[str, tuple[str, int]]:
    """Every run of an experiment by its full name, such as dense-s0: its name in `runs`, and its seed."""
    return {f"{name}-s{seed}": (name, seed) for name in config.runs for seed in config.seeds}


def _subset[T: StrictModel](kind: type[T], block: StrictModel, *omit: str) -> T:
    """A smaller model, filled from the keys of the same names in a block; keys in `omit` keep their defaults."""
    return kind(**{key: getattr(block, key) for key in kind.model_fields if key not in omit})


def corpus(config: Config) -> CorpusSettings:
    """What the corpus depends on: without the blocks of other kinds, and without `keep_source`."""
    return _subset(CorpusSettings, config.corpus, *(kind for kind in KINDS if kind != config.corpus.kind))


def survey(vaani: VaaniConfig) -> SurveyConfig:
    """Which files are surveyed, without the choice of their clips."""
    return _subset(SurveyConfig, vaani)


def plan(config: Config, features: str, downloads: int) -> PlanSettings:
    """What sizes and times depend on, `keep_source` included; of the split, the strata and the number of pairs."""
    return PlanSettings(
        corpus=config.corpus.name,
        labels=config.corpus.labels,
        keep_seconds=config.corpus.keep_seconds,
        keep_source=config.corpus.keep_source,
        strata=_subset(StrataConfig, config.split),
        pairs=config.split.val + config.split.tune,
        backbone=config.vision.backbone,
        image_size=config.vision.image_size,
        feature_store=f"{features}.zarr",
        rates=config.plan,
        downloads=downloads,
    )


def training(config: Config, name: str, seed: int, features: str) -> RunConfig:
    """Everything that one run depends on; editing another run changes nothing here."""
    data, train = f"data/{config.corpus.name}", config.train_of(name)
    live = train.features == "live"
    paths = DataPaths(
        corpus=config.corpus.name,
        manifest=f"{data}/manifest.parquet",
        splits=f"{data}/splits.parquet",
        images=f"{data}/images.parquet",
        audio=f"{data}/audio.zarr",
        features=f"{data}/features/{features}.{'json' if live else 'zarr'}",
        live=live,
    )
    run = f"{name}-s{seed}"
    return RunConfig(run=run, seed=seed, data=paths, audio=config.audio, model=config.model, train=train)


def watch(config: Config) -> WatchConfig:
    """What is shown of a training. The model does not depend on it, so it is not part of the run's configuration."""
    data = f"data/{config.corpus.name}"
    return WatchConfig(log=config.log, visualise=config.visualise, pictures=f"{data}/images", truth=f"{data}/truth")


def table(config: Config) -> TableConfig:
    """The rows of the tables."""
    return _subset(TableConfig, config)
