"""The block `train` of the configuration: one training run, from its objective to how often it is saved.

Names of registries are repeated here, because a registry imports torch, which takes seconds. A test checks that they
are equal to those of ves.similarity.pairwise, ves.losses, ves.models.parts and ves.training.schedules.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ves.config.fields import Fraction, Positive, PositiveFloat, StrictModel, one_of, overrides

Features = Literal["store", "live", "pixels"]

SIMILARITIES = ("max_mean", "mean_max", "bidirectional", "mean_mean", "mean_mean_cosine")
LOSSES = ("info_nce",)
REGULARISERS = ("non_negativity", "non_negativity_scaled", "temporal_variation", "temperature_bounds")
BOUNDED = ("temperature_bounds",)  # regularisers with a RegulariserConfig
SCHEDULES = ("warmup_cosine", "one_cycle", "warmup_constant", "constant")  # of ves.training.schedules
PARTS = ("audio.backbone", "audio.head", "image.backbone", "image.head", "scale")  # of ves.models.parts

Similarity = Annotated[str, one_of(SIMILARITIES)]
Loss = Annotated[str, one_of(LOSSES)]
Regulariser = Annotated[str, one_of(REGULARISERS)]
Schedule = Annotated[str, one_of(SCHEDULES)]
Part = Annotated[str, one_of(PARTS)]


def _ascends(bounds: list[float]) -> list[float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"{bounds}: the first is greater than the second")
    return bounds


Pair = (Field(min_length=2, max_length=2), AfterValidator(_ascends))
Bounds = Annotated[list[float], *Pair]
Speeds = Annotated[list[Annotated[float, Field(ge=0.5, le=2)]], *Pair]  # beyond these, speech sounds like nobody's


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
