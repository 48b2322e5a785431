"""The blocks of the configuration that decide what is shown, and nothing of any model or number."""

from typing import Annotated, Literal

from pydantic import Field

from ves.config.fields import Positive, Section


class FigureConfig(Section):
    """Words of validation clips, the runs side by side (ves.report.clips.figure1)."""

    clips: Positive


class HeatmapConfig(Section):
    """The gallery of validation clips that people look at (ves.report.clips.gallery)."""

    clips: Positive


class ExplorerConfig(Section):
    """The page that plays validation clips (ves.report.explorer)."""

    clips: Positive


class WandbConfig(Section):
    """A run of Weights & Biases (ves.report.monitoring.boards); `name: null` is the name of the run."""

    project: Annotated[str, Field(min_length=1)]
    name: str | None
    tags: list[str]
    notes: str | None
    mode: Literal["offline", "online"]


class LogConfig(Section):
    """Where a training is shown besides log.jsonl (ves.report.monitoring.boards)."""

    tensorboard: bool
    wandb: WandbConfig | None


class VisualiseConfig(Section):
    """Heatmaps while a model trains (ves.report.monitoring.heatmaps)."""

    every: Positive | None
    samples: Positive


class WatchConfig(Section):
    """<run>/watch.json: what is shown of a training, and where figures find what training must not open
    (ves.report.monitoring.watch)."""

    log: LogConfig
    visualise: VisualiseConfig
    pictures: str
    truth: str
