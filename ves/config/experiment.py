"""The typed configuration: every key of config.yaml, its type and its bounds.

Nothing here has a default: config.yaml is the one home of every default, and a key that is missing, misspelt or
impossible is an error that names the file, the key and what is allowed, before any job starts.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ves.base.checksums import file_sha256
from ves.config.corpus import CorpusConfig, ScenesConfig
from ves.config.display import ExplorerConfig, FigureConfig, HeatmapConfig, LogConfig, VisualiseConfig
from ves.config.fields import Fraction, Name, Positive, PositiveFloat, Section, Seed, one_of, overrides, read

TRAINING = 4  # raise it when a change of code gives a training another result: runs are then trained anew


# The names in the registries of ves.similarity.pairwise, ves.losses and ves.store.compression, once more: to import a
# registry takes seconds, since torch comes with it. A test holds them equal.
SIMILARITIES = ("max_mean", "mean_max", "bidirectional", "mean_mean", "mean_mean_cosine")
LOSSES = ("info_nce",)
REGULARISERS = ("non_negativity", "temporal_variation")
CODECS = ("zstd", "blosc-lz4", "blosc-zstd")

Similarity = Annotated[str, one_of(SIMILARITIES)]
Loss = Annotated[str, one_of(LOSSES)]
Regulariser = Annotated[str, one_of(REGULARISERS)]
Compression = Annotated[str, one_of(CODECS)]


def _ascends(bounds: list[float]) -> list[float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"{bounds}: the first is above the second")
    return bounds


Pair = (Field(min_length=2, max_length=2), AfterValidator(_ascends))
Bounds = Annotated[list[float], *Pair]
Speeds = Annotated[list[Annotated[float, Field(ge=0.5, le=2)]], *Pair]  # beyond, it is nobody's speech


class StrataConfig(Section):
    """Which languages are frequent, by their shares of all clips (ves.corpus.splits.strata)."""

    high: Fraction
    mid: Fraction

    @model_validator(mode="after")
    def _ascend(self) -> "StrataConfig":
        if not self.high < self.mid:
            raise ValueError(f"high: {self.high} is not below mid: {self.mid}")
        return self


class SplitConfig(StrataConfig):
    """Who is held out (ves.corpus.splits)."""

    seed: Seed
    val: Positive
    tune: Positive
    held_out_speakers: Annotated[float, Field(gt=0, lt=1)]
    near_duplicate_bits: Annotated[int, Field(ge=0, le=16)]


class VisionConfig(Section):
    """The frozen backbone whose patch tokens are cached (ves.models.features)."""

    backbone: str
    revision: str | None
    image_size: Positive
    fit: Literal["stretch", "pad", "crop"]
    batch_size: Positive
    compression: Compression | None
    compile: bool


class AudioConfig(Section):
    """The speech backbone and what it is given (ves.media.audio, ves.models.towers)."""

    backbone: str
    revision: str | None
    seconds: PositiveFloat
    mask: Literal["valid", "non_silent"]
    silence_db: Annotated[float, Field(lt=0)]
    freeze_conv: bool
    mask_time_prob: Fraction
    layer_drop: Fraction


class ModelConfig(Section):
    """The trainable parts around the backbones (ves.models.towers)."""

    dim: Positive
    visual_layers: Annotated[int, Field(ge=0)]
    visual_heads: Positive
    dropout: Fraction


class AugmentConfig(Section):
    """What is changed of a clip each time it is trained on (ves.training.augmentation); pairs are bounds of what is
    drawn."""

    window: Literal["start", "random"]
    speed: Speeds | None
    noise_snr_db: Bounds | None
    gain_db: Bounds | None


class TrainConfig(Section):
    """One training run (ves.training.train); `runs` overrides any of these by name."""

    objective: Annotated[dict[Similarity, PositiveFloat], Field(min_length=1)]
    loss: Loss
    features: Literal["store", "live"]
    regularisers: dict[Regulariser, PositiveFloat]
    batch_size: Annotated[int, Field(ge=2)]
    micro_batch: Positive
    negatives: Literal["batch", "micro_batch"]
    gradient_checkpointing: bool
    epochs: PositiveFloat
    learning_rate: PositiveFloat
    backbone_learning_rate: PositiveFloat
    warmup: Fraction
    weight_decay: Annotated[float, Field(ge=0)]
    clip_norm: PositiveFloat
    optimizer: Literal["adam8bit", "adamw"]
    precision: Literal["bf16", "fp32", "fp64"]
    temperature: PositiveFloat
    max_scale: PositiveFloat
    augment: AugmentConfig
    max_skipped: Positive
    checkpoint_every: Positive
    evaluate_every: Positive
    keep_checkpoints: Annotated[int, Field(ge=2)]
    threads: Positive

    @model_validator(mode="after")
    def _starts_below_the_clamp(self) -> "TrainConfig":
        if self.temperature * self.max_scale < 1:
            raise ValueError(f"temperature: {self.temperature} is below 1/max_scale, {1 / self.max_scale:g}")
        return self

    @model_validator(mode="after")
    def _has_negatives(self) -> "TrainConfig":
        if self.negatives == "micro_batch" and 1 in (self.micro_batch, self.batch_size % self.micro_batch):
            raise ValueError(
                f"micro_batch: {self.batch_size} clips in micro-batches of {self.micro_batch} leave one alone, without "
                "negatives (negatives: micro_batch)"
            )
        return self


class TrainOverrides(overrides(TrainConfig)):
    """The keys of `train` that one of the runs sets for itself."""


class PlanConfig(Section):
    """Rates that the plan of a download assumes (ves.sources.vaani.plan)."""

    download_mb_s: PositiveFloat  # 10**6 bytes a second
    features_s: PositiveFloat  # pictures a second


class TableConfig(Section):
    """Rows of the tables: which runs, as means over which seeds (ves.report.tables.table1)."""

    seeds: Annotated[list[Seed], Field(min_length=1)]
    table: Annotated[list[str], Field(min_length=1)]


class Config(TableConfig):
    """The whole of config.yaml."""

    corpus: CorpusConfig
    split: SplitConfig
    vision: VisionConfig
    audio: AudioConfig
    model: ModelConfig
    train: TrainConfig
    runs: Annotated[dict[Name, TrainOverrides], Field(min_length=1)]
    log: LogConfig
    visualise: VisualiseConfig
    figure1: FigureConfig
    heatmaps: HeatmapConfig
    explorer: ExplorerConfig
    plan: PlanConfig

    @model_validator(mode="after")
    def _fits_together(self) -> "Config":
        for name in self.table:
            if name not in self.runs:
                raise ValueError(f"table: {name!r} is not one of the runs: {', '.join(self.runs)}")
            if self.table.count(name) > 1:
                raise ValueError(f"table: {name!r} stands twice")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: {self.seeds} repeats a seed")
        if "chance" in self.runs:
            raise ValueError("runs.chance: the tables call their row of random ranks so; take another name")
        if (kept := self.corpus.keep_seconds) is not None and kept < self.audio.seconds:
            raise ValueError(f"corpus.keep_seconds: {kept} is less than audio.seconds, {self.audio.seconds}")
        if self.corpus.kind == "scenes" and (scenes := self.corpus.scenes):
            self._fits_scenes(scenes)
        return self

    def _fits_scenes(self, scenes: ScenesConfig) -> None:
        """What can be said of sizes before the corpus is there (afterwards:
        ves.commands.preflight.validate_batches)."""
        if self.split.val + self.split.tune >= scenes.images:
            raise ValueError(f"split.val: with split.tune it must be below corpus.scenes.images ({scenes.images})")
        left = scenes.clips - self.split.val - self.split.tune  # and what else the held-out speakers say is not known
        for name, own in self.runs.items():
            if (batch := own.model_dump().get("batch_size", self.train.batch_size)) > left:
                raise ValueError(
                    f"{self.key_of('batch_size', name)}: {batch} is more than the clips to train on (at most {left})"
                )

    def key_of(self, key: str, run: str) -> str:
        """Where a training setting of a run is set, dotted: in its own block or in the shared one."""
        return f"runs.{run}.{key}" if key in self.runs[run].model_fields_set else f"train.{key}"

    def train_of(self, run: str) -> TrainConfig:
        """The shared training block with that run's overrides."""
        return TrainConfig.model_validate(self.train.model_dump() | self.runs[run].model_dump())


class PlanSettings(Section):
    """data/<corpus>/plan_settings.json: what decides the sizes and times of a corpus that is to be downloaded."""

    corpus: Name
    labels: str | None
    keep_seconds: PositiveFloat | None
    keep_source: bool
    strata: StrataConfig
    pairs: Positive  # to report on and to choose by, so at least as many pictures are needed
    backbone: str
    image_size: Positive
    feature_store: str  # its file name
    rates: PlanConfig
    downloads: Positive  # at once


class DataPaths(Section):
    """Where a run finds its corpus."""

    corpus: str
    manifest: str
    splits: str
    images: str
    audio: str
    features: str  # a store or, where they are live, the settings of the backbone
    live: bool  # whether patch tokens are computed from the pictures in every step (ves.models.live)


class RunConfig(Section):
    """One run, resolved: results/<corpus>/<run>/config.json, the file the trainer reads and the model is loaded by."""

    run: str
    seed: Seed
    data: DataPaths
    audio: AudioConfig
    model: ModelConfig
    train: TrainConfig


def run_config(run: Path) -> RunConfig:
    """The configuration of a run directory. Raises as ves.config.fields.read does: ValueError that names the file and
    every key that is wrong, FileNotFoundError where there is none."""
    return read(RunConfig, run / "config.json")


def features_name(vision: VisionConfig) -> str:
    """Name of the feature store: backbone, revision, image size, fit and compression, if there is one, so that two
    choices never share a store.

    A backbone in a local folder has no revision; the hash of its weights stands for it.
    """
    folder = Path(vision.backbone)
    revision = vision.revision or "latest"
    if (weights := folder / "model.safetensors").is_file():
        revision = file_sha256(weights)
    packing = "" if vision.compression is None else f"-{vision.compression}"
    return f"{folder.name}-{revision[:8]}-{vision.image_size}-{vision.fit}{packing}"
