"""Number of steps, learning rates, parameter groups and the optimiser of a run."""

import logging
import math
from pathlib import Path

import torch
from torch import Tensor

from ves.config.experiment import FEWEST_STEPS, TrainConfig
from ves.models.towers import VeS

log = logging.getLogger(__name__)


def steps_of(train: TrainConfig, clip_count: int) -> int:
    """Optimiser steps of a run: whole batches in `epochs` passes over the training clips.

    Raises ValueError when one step needs more clips than there are.
    """
    if (needed := train.batch_size) > clip_count:
        raise ValueError(f"train.batch_size: {needed} is more than the {clip_count} training clips; lower it")
    return max(1, int(train.epochs * clip_count / train.batch_size))


def warn_of_few_steps(run: Path, train: TrainConfig, steps: int, clip_count: int) -> None:
    """Warn before a training that is too short to learn anything, and say what makes it longer."""
    if steps < FEWEST_STEPS:
        log.warning(
            "%s: only %d step%s (%g epochs of %d clips in batches of %d): with fewer than %d a model learns next to "
            "nothing, and its tables say nothing about the objective. Raise train.epochs to %d or more, or lower "
            "train.batch_size",
            *(run, steps, "s" * (steps != 1), train.epochs, clip_count, train.batch_size, FEWEST_STEPS),
            math.ceil(FEWEST_STEPS * train.batch_size / clip_count),
        )


def learning_rate_at(step: int, steps: int, warmup: float) -> float:
    """Factor on the learning rate: linear warm-up over the first share of the steps, then half a cosine to zero."""
    ramp = max(1, round(warmup * steps))
    if step < ramp:
        return (step + 1) / ramp
    return 0.5 * (1 + math.cos(math.pi * (step - ramp) / max(1, steps - ramp)))


def set_learning_rate(optimizer: torch.optim.Optimizer, train: TrainConfig, step: int, steps: int) -> float:
    """Set the learning rate of every group at `step` (from 0) of `steps`; returns that of the new parts."""
    factor = learning_rate_at(step, steps, train.warmup)
    for group in optimizer.param_groups:
        group["lr"] = factor * group["initial_lr"]
    return factor * train.learning_rate


def parameter_groups(model: VeS, train: TrainConfig) -> list[dict]:
    """Weight decay is for matrices, not for vectors and the temperature. The pretrained speech backbone has its own
    learning rate."""
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((name.startswith("audio.backbone."), parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": (rate := train.backbone_learning_rate if backbone else train.learning_rate),
            "initial_lr": rate,
            "weight_decay": train.weight_decay if matrix else 0.0,
        }
        for (backbone, matrix), parameters in groups.items()
    ]


def make_optimizer(model: VeS, train: TrainConfig) -> torch.optim.Optimizer:
    """Fused AdamW, or Adam with 8-bit state (bitsandbytes), whose weight decay is decoupled too."""
    groups = parameter_groups(model, train)
    if train.optimizer == "adamw":
        return torch.optim.AdamW(groups, fused=True)
    from bitsandbytes.optim.adam import Adam8bit  # its import takes seconds, and most runs do not need it

    return Adam8bit(groups)
