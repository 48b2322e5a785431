"""The blocks of the configuration that decide what is shown; no model and no number depends on them."""

from typing import Annotated, Literal

from pydantic import Field

from ves.config.fields import Positive, StrictModel


class FigureConfig(StrictModel):
    """Figure 1: words of validation clips, with all runs side by side (ves.report.clips.figure1)."""

    clips: Positive


class HeatmapConfig(StrictModel):
    """The gallery of validation clips (ves.report.clips.gallery)."""

    clips: Positive


class ExplorerConfig(StrictModel):
    """The interactive page that plays validation clips (ves.report.explorer)."""

    clips: Positive


class WandbConfig(StrictModel):
    """A run of Weights & Biases (ves.report.monitoring.boards); `name: null` takes the name of the run."""

    project: Annotated[str, Field(min_length=1)]
    name: str | None
    tags: list[str]
    notes: str | None
    mode: Literal["offline", "online"]


class LogConfig(StrictModel):
    """Where a training is logged besides log.jsonl (ves.report.monitoring.boards)."""

    tensorboard: bool
    wandb: WandbConfig | None


class VisualiseConfig(StrictModel):
    """Heatmaps that are drawn while a model trains (ves.report.monitoring.heatmaps)."""

    every: Positive | None
    samples: Positive


class WatchConfig(StrictModel):
    """<run>/watch.json: what is shown of a training, and where its figures find the files that training itself must not
    open (ves.report.monitoring.watch)."""

    log: LogConfig
    visualise: VisualiseConfig
    pictures: str
    truth: str
