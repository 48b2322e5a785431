"""Slices of the configuration: each is one settings file, which has what decides the results of some steps, no more.

A step reads its settings from such a file, and a change of the text makes it run again. So a setting is in the slices
of those steps whose results depend on it, and in no other.
"""

from collections.abc import Mapping

from ves.config.corpus import KINDS, CorpusSettings, SurveyConfig, VaaniConfig
from ves.config.display import WatchConfig
from ves.config.experiment import Config, DataPaths, PlanSettings, RunConfig, StrataConfig, TableConfig
from ves.config.fields import Section


def files(config: Config, features: str, downloads: int) -> dict[str, Section]:
    """Every settings file of an experiment, by its path.

    `features` is the name of the feature store (ves.config.experiment.features_name), which takes reading the weights;
    so many `downloads` are made at once.
    """
    data, results = f"data/{config.corpus.name}", f"results/{config.corpus.name}"
    found: dict[str, Section] = {
        f"{data}/corpus.json": corpus(config),
        f"{data}/split.json": config.split,
        f"{data}/features/{features}.json": config.vision,
        f"{results}/table.json": table(config),
    }
    if vaani := config.corpus.vaani if config.corpus.kind == "vaani" else None:
        found[f"{data}/survey_config.json"] = survey(vaani)
        found[f"{data}/plan_settings.json"] = plan(config, features, downloads)
    for run, (name, seed) in runs(config).items():
        found[f"{results}/{run}/config.json"] = training(config, name, seed, features)
        found[f"{results}/{run}/watch.json"] = watch(config)
    return found


def runs(config: Config) -> Mapping[str, tuple[str, int]]:
    """Every run of an experiment, such as dense-s0: its name in `runs`, and its seed."""
    return {f"{name}-s{seed}": (name, seed) for name in config.runs for seed in config.seeds}


def _taken[T: Section](kind: type[T], block: Section, *but: str) -> T:
    """Those keys of a block that a smaller one has too, but for some, which keep their default."""
    return kind(**{key: getattr(block, key) for key in kind.model_fields if key not in but})


def corpus(config: Config) -> CorpusSettings:
    """The corpus as its stages make it: without the blocks of other kinds, and whether its raw shards are kept."""
    return _taken(CorpusSettings, config.corpus, *(kind for kind in KINDS if kind != config.corpus.kind))


def survey(vaani: VaaniConfig) -> SurveyConfig:
    """Which files are surveyed, not which of their clips are taken."""
    return _taken(SurveyConfig, vaani)


def plan(config: Config, features: str, downloads: int) -> PlanSettings:
    """What decides sizes and times, also whether raw shards are kept; of the split, the strata and how many pairs."""
    return PlanSettings(
        corpus=config.corpus.name,
        labels=config.corpus.labels,
        keep_seconds=config.corpus.keep_seconds,
        keep_source=config.corpus.keep_source,
        strata=_taken(StrataConfig, config.split),
        pairs=config.split.val + config.split.tune,
        backbone=config.vision.backbone,
        image_size=config.vision.image_size,
        feature_store=f"{features}.zarr",
        rates=config.plan,
        downloads=downloads,
    )


def training(config: Config, name: str, seed: int, features: str) -> RunConfig:
    """Everything that decides one run: editing another run leaves this as it is."""
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
    """What is shown of a training; it decides nothing of the model, so it is no part of the run's configuration."""
    data = f"data/{config.corpus.name}"
    return WatchConfig(log=config.log, visualise=config.visualise, pictures=f"{data}/images", truth=f"{data}/truth")


def table(config: Config) -> TableConfig:
    """The rows of the tables."""
    return _taken(TableConfig, config)
