"""The typed configuration: every key of config.yaml, its type and its bounds.

Nothing here has a default, because all defaults are in config.yaml. A key that is missing or misspelt, or has an
impossible value, is an error before any job starts; it names the file, the key and what is allowed.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ves.base.checksums import weight_files, weight_hash
from ves.config.corpus import CorpusConfig
from ves.config.display import ExplorerConfig, FigureConfig, HeatmapConfig, LogConfig, VisualiseConfig
from ves.config.fields import Fraction, Name, Positive, PositiveFloat, Seed, StrictModel, one_of, read
from ves.config.train import Features, TrainConfig, TrainOverrides

TRAINING = 4  # raise it if a change of the code changes the result of a training: all runs are then trained again
FEWEST_STEPS = 50  # with fewer, a model has hardly left its random start: training and tables say so

# the names in ves.store.compression.CODECS, repeated here because that registry imports numpy; a test compares them
CODECS = ("zstd", "blosc-lz4", "blosc-zstd")

Compression = Annotated[str, one_of(CODECS)]


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
    class_token: bool


Head = Literal["mlp", "linear"]


class AudioConfig(StrictModel):
    """The speech backbone and its input (ves.media.audio, ves.models.audio_tower)."""

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
    """The trainable parts around the backbones (ves.models.image_tower)."""

    dim: Positive
    visual_layers: Annotated[int, Field(ge=0)]
    visual_heads: Positive
    dropout: Fraction
    visual_head: Head


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
    """Name of the feature store, from backbone, revision, image size, fit, compression and class tokens (if any), so
    that two choices never share a store.

    A backbone in a local folder has no revision; the hash of its weights takes its place.
    """
    folder = Path(vision.backbone)
    revision = vision.revision or "latest"
    if weight_files(folder):
        revision = weight_hash(folder)
    packing = "" if vision.compression is None else f"-{vision.compression}"
    beside = "-class" if vision.class_token else ""
    return f"{folder.name}-{revision[:8]}-{vision.image_size}-{vision.fit}{packing}{beside}"
