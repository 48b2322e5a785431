"""The typed configuration: every key of config.yaml, its type and its bounds.

Nothing here has a default, because all defaults are in config.yaml. A key that is missing or misspelt, or has an
impossible value, is an error before any job starts; it names the file, the key and what is allowed.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ves.base.checksums import weight_files, weight_hash
from ves.config.corpus import CorpusConfig
from ves.config.display import ExplorerConfig, FigureConfig, HeatmapConfig, LogConfig, VisualiseConfig
from ves.config.fields import Fraction, Name, Positive, PositiveFloat, Seed, StrictModel, one_of, overrides, read

TRAINING = 4  # raise it if a change of the code changes the result of a training: all runs are then trained again
FEWEST_STEPS = 50  # with fewer, a model has hardly left its random start: training and tables say so

# The names in the registries of ves.similarity.pairwise, ves.losses and ves.store.compression. They are repeated here
# because a registry imports torch, which takes seconds. A test checks that they are equal.
SIMILARITIES = ("max_mean", "mean_max", "bidirectional", "mean_mean", "mean_mean_cosine")
LOSSES = ("info_nce",)
REGULARISERS = ("non_negativity", "non_negativity_scaled", "temporal_variation", "temperature_bounds")
BOUNDED = ("temperature_bounds",)  # regularisers with a RegulariserConfig
SCHEDULES = ("warmup_cosine", "one_cycle", "warmup_constant", "constant")  # of ves.training.schedules
PARTS = ("audio.backbone", "audio.head", "image.backbone", "image.head", "scale")  # of ves.models.parts
CODECS = ("zstd", "blosc-lz4", "blosc-zstd")

Similarity = Annotated[str, one_of(SIMILARITIES)]
Loss = Annotated[str, one_of(LOSSES)]
Regulariser = Annotated[str, one_of(REGULARISERS)]
Compression = Annotated[str, one_of(CODECS)]
Schedule = Annotated[str, one_of(SCHEDULES)]
Part = Annotated[str, one_of(PARTS)]


def _ascends(bounds: list[float]) -> list[float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"{bounds}: the first is greater than the second")
    return bounds


Pair = (Field(min_length=2, max_length=2), AfterValidator(_ascends))
Bounds = Annotated[list[float], *Pair]
Speeds = Annotated[list[Annotated[float, Field(ge=0.5, le=2)]], *Pair]  # beyond these, speech sounds like nobody's


class StrataConfig(StrictModel):
    """Which languages count as frequent, by their shares of all clips (ves.sources.labels.strata)."""

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


class VisionConfig(StrictModel):
    """The frozen backbone whose patch tokens are cached (ves.models.features)."""

    backbone: str
    revision: str | None
    image_size: Positive
    fit: Literal["stretch", "pad", "crop"]
    batch_size: Positive
    compression: Compression | None
    compile: bool


Head = Literal["mlp", "linear"]
Features = Literal["store", "live", "pixels"]


class AudioConfig(StrictModel):
    """The speech backbone and its input (ves.media.audio, ves.models.towers)."""

    backbone: str
    revision: str | None
    seconds: PositiveFloat
    mask: Literal["valid", "non_silent"]
    silence_db: Annotated[float, Field(lt=0)]
    freeze_conv: bool
    mask_time_prob: Fraction
    layer_drop: Fraction
    attention_window: Positive | None
    pool: Literal["mean_2", "none"]
    head: Head


class ModelConfig(StrictModel):
    """The trainable parts around the backbones (ves.models.towers)."""

    dim: Positive
    visual_layers: Annotated[int, Field(ge=0)]
    visual_heads: Positive
    dropout: Fraction
    visual_head: Head


class AugmentConfig(StrictModel):
    """How a clip is changed at random each time it is trained on (ves.training.augmentation). A pair of numbers is the
    bounds of a random value."""

    window: Literal["start", "random"]
    speed: Speeds | None
    noise_snr_db: Bounds | None
    gain_db: Bounds | None
    frame: Literal["middle", "random"]


class RegulariserConfig(StrictModel):
    """The weight of a regulariser that has settings of its own, with these."""

    weight: PositiveFloat
    low: PositiveFloat
    high: PositiveFloat

    @model_validator(mode="after")
    def _ascend(self) -> "RegulariserConfig":
        if not self.low < self.high:
            raise ValueError(f"low: {self.low} is not below high: {self.high}")
        return self


class OneCycleConfig(StrictModel):
    """What the schedule `one_cycle` takes besides `warmup` (ves.training.schedules)."""

    div: Annotated[float, Field(ge=1)]
    final_div: Annotated[float, Field(ge=1)]
    beta1: Annotated[list[Annotated[float, Field(ge=0, lt=1)]], *Pair] | None


class UnfreezeConfig(StrictModel):
    """When a part begins to move, and the share of its own steps in which its rate rises from then on."""

    epoch: PositiveFloat | None = None
    step: Positive | None = None
    warmup: Fraction

    @model_validator(mode="after")
    def _one_time(self) -> "UnfreezeConfig":
        if (self.epoch is None) == (self.step is None):
            raise ValueError("say either the epoch or the step after which the part moves")
        return self


class TrainConfig(StrictModel):
    """One training run (ves.training.train). Each entry of `runs` may override any of these keys."""

    objective: Annotated[dict[Similarity, PositiveFloat], Field(min_length=1)]
    normalise: Literal["tokens", "none"]
    loss: Loss
    features: Features
    regularisers: dict[Regulariser, PositiveFloat | RegulariserConfig]
    batch_size: Annotated[int, Field(ge=2)]
    micro_batch: Positive
    negatives: Literal["batch", "micro_batch"]
    gradient_checkpointing: bool
    epochs: PositiveFloat
    rates: dict[Part, PositiveFloat | None]
    schedule: Schedule
    warmup: Fraction
    one_cycle: OneCycleConfig
    unfreeze: dict[Part, UnfreezeConfig]
    weight_decay: Annotated[float, Field(ge=0)]
    clip_norm: PositiveFloat
    clip_over: Literal["all", "each"]
    optimizer: Literal["adam8bit", "adamw"]
    precision: Literal["bf16", "fp32", "fp64"]
    temperature: PositiveFloat
    min_scale: PositiveFloat
    max_scale: PositiveFloat
    augment: AugmentConfig
    max_skipped: Positive
    checkpoint_every: Positive
    evaluate_every: Positive
    keep_checkpoints: Annotated[int, Field(ge=2)]
    threads: Positive

    @model_validator(mode="after")
    def _starts_within_the_clamp(self) -> "TrainConfig":
        if self.temperature * self.max_scale < 1:
            raise ValueError(f"temperature: {self.temperature} is less than 1/max_scale, {1 / self.max_scale:g}")
        if self.temperature * self.min_scale > 1:
            raise ValueError(f"temperature: {self.temperature} is more than 1/min_scale, {1 / self.min_scale:g}")
        return self

    @model_validator(mode="after")
    def _parts_fit(self) -> "TrainConfig":
        """Each part that moves is in the graph, and only a part that moves is unfrozen."""
        if not self.moving:
            raise ValueError(f"rates: no part has one, so nothing would be trained; name some of {', '.join(PARTS)}")
        if "image.backbone" in self.moving and self.features != "pixels":
            raise ValueError(
                f"rates: image.backbone has a rate, but with features: {self.features} its tokens are made by the "
                "frozen backbone; take features: pixels, or give it no rate"
            )
        if "image.backbone" not in self.moving and self.features == "pixels":
            raise ValueError(
                "features: pixels puts the vision backbone into the graph, but rates has none for image.backbone; give "
                "it one, or take features: live, which gives the same tokens without a graph"
            )
        for part, when in self.unfreeze.items():
            if part not in self.moving:
                raise ValueError(f"unfreeze: {part} is to move, but rates has none for it")
            if when.epoch is not None and when.epoch >= self.epochs:
                raise ValueError(f"unfreeze: {part} would move after epoch {when.epoch:g} of {self.epochs:g}: never")
        if not self.moving - self.unfreeze.keys():
            raise ValueError("unfreeze: every part that has a rate is frozen at first, so the first steps do nothing")
        return self

    @model_validator(mode="after")
    def _regularisers_have_their_settings(self) -> "TrainConfig":
        for name, own in self.regularisers.items():
            if isinstance(own, RegulariserConfig) != (name in BOUNDED):
                needed = "{weight: 8.0, low: 2.3, high: 4.0}" if name in BOUNDED else "a number"
                raise ValueError(f"regularisers: {name} takes {needed}, not {own!r}")
        return self

    @property
    def weights(self) -> dict[str, float]:
        """The weight of every term of the objective and of every regulariser, by name."""
        own = self.regularisers.items()
        return self.objective | {name: one.weight if isinstance(one, RegulariserConfig) else one for name, one in own}

    def regulariser_settings(self, name: str) -> dict[str, float]:
        """What a regulariser takes besides its weight."""
        own = self.regularisers[name]
        return own.model_dump(exclude={"weight"}) if isinstance(own, RegulariserConfig) else {}

    @property
    def moving(self) -> set[str]:
        """The parts that training changes, at once or later."""
        return {part for part, rate in self.rates.items() if rate is not None}

    @model_validator(mode="after")
    def _has_negatives(self) -> "TrainConfig":
        if self.negatives == "micro_batch" and 1 in (self.micro_batch, self.batch_size % self.micro_batch):
            raise ValueError(
                f"micro_batch: {self.batch_size} clips in micro-batches of {self.micro_batch} leave one clip alone, "
                "without negatives (negatives: micro_batch)"
            )
        return self


class TrainOverrides(overrides(TrainConfig)):
    """The keys of `train` that one of `runs` overrides."""


class PlanConfig(StrictModel):
    """The rates that the plan of a download assumes (ves.sources.vaani.plan)."""

    download_mb_s: PositiveFloat  # 10**6 bytes a second
    features_s: PositiveFloat  # pictures a second


class TableConfig(StrictModel):
    """The rows of the tables: which runs, averaged over which seeds (ves.report.tables.table1)."""

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
                raise ValueError(f"table: {name!r} is listed twice")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: {self.seeds} repeats a seed")
        if "chance" in self.runs:
            raise ValueError("runs.chance: the tables use this name for random ranks; take another")
        if (keep := self.corpus.keep_seconds) is not None and keep < self.audio.seconds:
            raise ValueError(f"corpus.keep_seconds: {keep} is less than audio.seconds, {self.audio.seconds}")
        if sizes := self.corpus.block.sizes():
            self._fits_into(**sizes)
        return self

    def _fits_into(self, images: int, clips: int) -> None:
        """What can be checked before the corpus exists, where its block says how large it will be;
        ves.commands.preflight.validate_batches checks it afterwards."""
        held_out = self.split.val + self.split.tune
        if held_out >= images:
            raise ValueError(
                f"split.val: the sum with split.tune must be less than corpus.{self.corpus.kind}."
                f"{self.corpus.block.counted} ({images})"
            )
        left = clips - held_out  # at most: other clips of held-out speakers are dropped too
        for name, own in self.runs.items():
            if (batch := own.model_dump().get("batch_size", self.train.batch_size)) > left:
                raise ValueError(
                    f"{self.key_of('batch_size', name)}: {batch} is more than there are training clips (at most {left})"
                )

    def key_of(self, key: str, run: str) -> str:
        """The dotted key that sets a training setting of a run, in its own block or in the shared one."""
        return f"runs.{run}.{key}" if key in self.runs[run].model_fields_set else f"train.{key}"

    def train_of(self, run: str) -> TrainConfig:
        """The shared training block with the overrides of a run."""
        own = self.runs[run].model_dump()
        if "rates" in own:  # rates that a run does not name are those of `train`
            own["rates"] = self.train.rates | own["rates"]
        return TrainConfig.model_validate(self.train.model_dump() | own)


class PlanSettings(StrictModel):
    """data/<corpus>/plan_settings.json: what decides the size of a corpus to download, and the time that it takes."""

    corpus: Name
    labels: str | None
    keep_seconds: PositiveFloat | None
    keep_source: bool
    strata: StrataConfig
    pairs: Positive  # of val and tune together, so at least as many pictures are needed
    backbone: str
    image_size: Positive
    feature_store: str  # its file name
    rates: PlanConfig
    downloads: Positive  # at a time


class DataPaths(StrictModel):
    """The files of the corpus that a run reads."""

    corpus: str
    manifest: str
    splits: str
    images: str
    audio: str
    features: str  # the feature store or, unless `input` is store, the settings of the backbone
    input: Features  # what the image tower is given (ves.models.pictures)


class RunConfig(StrictModel):
    """results/<corpus>/<run>/config.json: all settings of one run, which training and loading of its model read."""

    run: str
    seed: Seed
    data: DataPaths
    audio: AudioConfig
    vision: VisionConfig | None  # of a backbone that is trained (train.features: pixels), else null
    model: ModelConfig
    train: TrainConfig


def run_config(run: Path) -> RunConfig:
    """The configuration of a run directory. Raises as ves.config.fields.read does: ValueError that names the file and
    every key that is wrong, FileNotFoundError where there is none."""
    return read(RunConfig, run / "config.json")


def features_name(vision: VisionConfig) -> str:
    """Name of the feature store, from backbone, revision, image size, fit and compression (if any), so that two
    choices never share a store.

    A backbone in a local folder has no revision; the hash of its weights takes its place.
    """
    folder = Path(vision.backbone)
    revision = vision.revision or "latest"
    if weight_files(folder):
        revision = weight_hash(folder)
    packing = "" if vision.compression is None else f"-{vision.compression}"
    return f"{folder.name}-{revision[:8]}-{vision.image_size}-{vision.fit}{packing}"
