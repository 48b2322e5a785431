"""The blocks of the configuration that decide what is shown, and nothing of any model or number."""

from typing import Annotated, Literal

from pydantic import Field

from ves.config.fields import Positive, Section


class FigureConfig(Section):
    """Words of validation clips, the runs side by side (ves.figure1)."""

    clips: Positive


class HeatmapConfig(Section):
    """The gallery of validation clips that people look at (ves.heatmaps)."""

    clips: Positive


class ExplorerConfig(Section):
    """The page that plays validation clips (ves.explorer)."""

    clips: Positive


class WandbConfig(Section):
    """A run of Weights & Biases (ves.boards); `name: null` is the name of the run."""

    project: Annotated[str, Field(min_length=1)]
    name: str | None
    tags: list[str]
    notes: str | None
    mode: Literal["offline", "online"]


class LogConfig(Section):
    """Where a training is shown besides log.jsonl (ves.boards)."""

    tensorboard: bool
    wandb: WandbConfig | None


class VisualiseConfig(Section):
    """Heatmaps while a model trains (ves.watched)."""

    every: Positive | None
    samples: Positive


class WatchConfig(Section):
    """<run>/watch.json: what is shown of a training, and where figures find what training must not open (ves.watch)."""

    log: LogConfig
    visualise: VisualiseConfig
    pictures: str
    truth: str
