"""The typed configuration: every key of config.yaml, its type and its bounds.

Nothing here has a default: config.yaml is the one home of every default, and a key that is missing, misspelt or
impossible is an error that names the file, the key and what is allowed, before any job starts.
"""

import ast
import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

TRAINING = 1  # raise it when a change of code gives a training another result: runs are then trained anew

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]  # becomes a folder name and part of a target


def registered(module: str, registry: str) -> tuple[str, ...]:
    """Keys of the dict literal `registry` in ves/<module>.py, read from its source: importing torch takes seconds."""
    tree = ast.parse((Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and ast.unparse(node.targets[0]) == registry
            and isinstance(node.value, ast.Dict)
        ):
            return tuple(ast.literal_eval(key) for key in node.value.keys if key is not None)
    raise LookupError(f"ves/{module}.py: no dict literal named {registry}")


def _one_of(module: str, registry: str) -> AfterValidator:
    """Validator: the value is a key of the registry."""

    def check(name: str) -> str:
        if name not in (allowed := registered(module, registry)):
            raise ValueError(f"{name!r} is not one of {', '.join(allowed)}")
        return name

    return AfterValidator(check)


Similarity = Annotated[str, _one_of("similarity", "SIMILARITIES")]
Loss = Annotated[str, _one_of("losses", "LOSSES")]


def _spoken(languages: list[str]) -> list[str]:
    """Validator: each language has a word table, and none is named twice."""
    known = sorted(table.stem for table in (Path(__file__).parent / "corpora/scenes/lexicon").glob("*.yaml"))
    for language in languages:
        if language not in known:
            raise ValueError(f"{language!r} is not one of {', '.join(known)}")
        if languages.count(language) > 1:
            raise ValueError(f"{language!r} is named twice")
    return languages


class Section(BaseModel):
    """A block of the configuration: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ScenesConfig(Section):
    """The embedded corpus, synthesised (ves.corpora.scenes)."""

    seed: int
    images: Positive
    clips: Positive
    languages: Annotated[list[str], Field(min_length=1), AfterValidator(_spoken)]
    speakers: Positive
    audio_shards: Positive
    image_shards: Positive
    broken: Fraction
    objects: tuple[Positive, Positive] = Field(strict=False)
    mentions: tuple[Positive, Positive] = Field(strict=False)
    snr_db: tuple[float, float] = Field(strict=False)
    code_switching: Fraction
    image_side: tuple[Positive, Positive] = Field(strict=False)

    @model_validator(mode="after")
    def _ranges(self) -> "ScenesConfig":
        for key in ("objects", "mentions", "snr_db", "image_side"):
            low, high = getattr(self, key)
            if low > high:
                raise ValueError(f"{key}: [{low}, {high}] is not an ascending range")
        if self.mentions[0] > self.objects[0]:
            raise ValueError(f"mentions: at least {self.mentions[0]}, but some pictures show {self.objects[0]} objects")
        return self


class VaaniConfig(Section):
    """Project Vaani on the hub (ves.corpora.vaani)."""

    repository: str
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None  # a full commit; null: not chosen yet
    audio: list[str]
    images: list[str]
    shards_per_district: Positive | None


class CorpusConfig(Section):
    """Where pairs come from; everything of a corpus lies under data/<name>/ and results/<name>/."""

    name: Name
    kind: Literal["scenes", "vaani"]
    keep_source: bool
    keep_seconds: PositiveFloat | None
    scenes: ScenesConfig | None = None
    vaani: VaaniConfig | None = None

    @model_validator(mode="after")
    def _has_its_block(self) -> "CorpusConfig":
        if getattr(self, self.kind) is None:
            raise ValueError(f"{self.kind}: kind is {self.kind!r}, so this block is needed")
        return self


class SplitConfig(Section):
    """Who is held out (ves.splits)."""

    seed: int
    val: Positive
    tune: Positive
    held_out_speakers: Annotated[float, Field(gt=0, lt=1)]
    near_duplicate_bits: Annotated[int, Field(ge=0, le=16)]
    high: Fraction
    mid: Fraction

    @model_validator(mode="after")
    def _strata_ascend(self) -> "SplitConfig":
        if not self.high < self.mid:
            raise ValueError(f"high: {self.high} is not below mid: {self.mid}")
        return self


class VisionConfig(Section):
    """The frozen backbone whose patch tokens are cached (ves.features)."""

    backbone: str
    revision: str | None
    image_size: Positive
    fit: Literal["stretch", "pad", "crop"]
    batch_size: Positive


class AudioConfig(Section):
    """The speech backbone and what it is given (ves.audio, ves.model)."""

    backbone: str
    revision: str | None
    seconds: PositiveFloat
    mask: Literal["valid", "non_silent"]
    silence_db: Annotated[float, Field(lt=0)]
    freeze_conv: bool
    mask_time_prob: Fraction
    layer_drop: Fraction


class ModelConfig(Section):
    """The trainable parts around the backbones (ves.model)."""

    dim: Positive
    visual_layers: Annotated[int, Field(ge=0)]
    visual_heads: Positive
    dropout: Fraction


class TrainConfig(Section):
    """One training run (ves.train); `runs` overrides any of these by name."""

    objective: Annotated[dict[Similarity, PositiveFloat], Field(min_length=1)]
    loss: Loss
    batch_size: Annotated[int, Field(ge=2)]
    accumulate: Positive
    epochs: PositiveFloat
    learning_rate: PositiveFloat
    backbone_learning_rate: PositiveFloat
    warmup: Fraction
    weight_decay: Annotated[float, Field(ge=0)]
    clip_norm: PositiveFloat
    optimizer: Literal["adam8bit", "adamw"]
    precision: Literal["bf16", "fp32"]
    temperature: PositiveFloat
    max_scale: PositiveFloat
    checkpoint_every: Positive
    evaluate_every: Positive
    keep_checkpoints: Annotated[int, Field(ge=2)]
    threads: Positive


class HeatmapConfig(Section):
    """The gallery of validation clips that people look at (ves.heatmaps)."""

    clips: Positive


class TableConfig(Section):
    """Rows of the tables: which runs, as means over which seeds (ves.tables)."""

    seeds: Annotated[list[int], Field(min_length=1)]
    table: Annotated[list[str], Field(min_length=1)]


class Config(TableConfig):
    """The whole of config.yaml."""

    corpus: CorpusConfig
    split: SplitConfig
    vision: VisionConfig
    audio: AudioConfig
    model: ModelConfig
    train: TrainConfig
    runs: Annotated[dict[Name, dict[str, Any]], Field(min_length=1)]
    heatmaps: HeatmapConfig

    @model_validator(mode="after")
    def _fits_together(self) -> "Config":
        for name in self.table:
            if name not in self.runs:
                raise ValueError(f"table: {name!r} is not one of the runs: {', '.join(self.runs)}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: {self.seeds} repeats a seed")
        if self.corpus.kind == "scenes" and (scenes := self.corpus.scenes):
            self._fits_scenes(scenes)
        return self

    def _fits_scenes(self, scenes: ScenesConfig) -> None:
        """What can be said of sizes before the corpus is there (afterwards: ves.validate.validate_batches)."""
        if self.split.val + self.split.tune >= scenes.images:
            raise ValueError(f"split.val: with split.tune it must be below corpus.scenes.images ({scenes.images})")
        for name, overrides in self.runs.items():
            batch = overrides.get("batch_size", self.train.batch_size)
            if isinstance(batch, int) and batch > scenes.clips:
                key = f"runs.{name}.batch_size" if "batch_size" in overrides else "train.batch_size"
                raise ValueError(f"{key}: {batch} is more than corpus.scenes.clips ({scenes.clips})")

    def train_of(self, run: str) -> TrainConfig:
        """The shared training block with that run's overrides."""
        return TrainConfig.model_validate(self.train.model_dump() | self.runs[run])

    def corpus_slice(self) -> CorpusConfig:
        """Settings of the corpus alone: other kinds' blocks change nothing in it, nor does keeping its raw shards."""
        other = {kind: None for kind in ("scenes", "vaani") if kind != self.corpus.kind}
        return self.corpus.model_copy(update={"keep_source": False, **other})


class DataPaths(Section):
    """Where a run finds its corpus."""

    corpus: str
    manifest: str
    splits: str
    images: str
    audio: str
    features: str


class RunConfig(Section):
    """One run, resolved: results/<corpus>/<run>/config.json, the file the trainer reads and the model is loaded by."""

    run: str
    seed: int
    data: DataPaths
    audio: AudioConfig
    model: ModelConfig
    train: TrainConfig


def features_name(vision: VisionConfig) -> str:
    """Name of the feature store: backbone, revision, image size and fit, so that two choices never share a store.

    A backbone in a local folder has no revision; the hash of its weights stands for it.
    """
    folder = Path(vision.backbone)
    revision = vision.revision or "latest"
    if (weights := folder / "model.safetensors").is_file():
        revision = hashlib.sha256(weights.read_bytes()).hexdigest()
    return f"{folder.name}-{revision[:8]}-{vision.image_size}-{vision.fit}"
