"""Settings files that only a corpus of Vaani has: what is surveyed, and what its plan depends on."""

from ves.config.corpus import SurveyConfig
from ves.config.experiment import Config, PlanSettings, StrataConfig
from ves.config.fields import StrictModel, subset


def files(config: Config, features: str, downloads: int) -> dict[str, StrictModel]:
    """Each by its name in data/<corpus>/. `features` is the name of the feature store, `downloads` the number of
    downloads at a time."""
    return {
        "survey_config.json": subset(SurveyConfig, config.corpus.block),  # without the choice of clips
        "plan_settings.json": plan(config, features, downloads),
    }


def plan(config: Config, features: str, downloads: int) -> PlanSettings:
    """What sizes and times depend on, `keep_source` included; of the split, the strata and the number of pairs."""
    return PlanSettings(
        corpus=config.corpus.name,
        labels=config.corpus.labels,
        keep_seconds=config.corpus.keep_seconds,
        keep_source=config.corpus.keep_source,
        strata=subset(StrataConfig, config.split),
        pairs=config.split.val + config.split.tune,
        backbone=config.vision.backbone,
        image_size=config.vision.image_size,
        feature_store=f"{features}.zarr",
        rates=config.plan,
        downloads=downloads,
    )
