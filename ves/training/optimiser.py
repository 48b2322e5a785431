"""Number of steps, rates of the parts, clipping and the optimiser of a run."""

import logging
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ves.config.experiment import FEWEST_STEPS
from ves.config.train import PARTS, TrainConfig
from ves.models.parts import part_of
from ves.models.towers import VeS
from ves.training.schedules import pace

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


def set_pace(
    model: VeS, optimizer: torch.optim.Optimizer, train: TrainConfig, step: int, steps: int
) -> dict[str, float]:
    """Let those parts move that do at `step` (from 0) of `steps`, each at its rate.

    Returns what is logged: `learning_rate`, that of the image head (of the first part that moves if it does not), and
    where parts have other rates, `learning_rate/<part>` of each part that moves.
    """
    paces = {part: pace(train, part, step, steps) for part in PARTS}
    model.let_move({part for part, now in paces.items() if now is not None})
    rates: dict[str, float] = {}
    for group in optimizer.param_groups:
        if (now := paces[group["part"]]) is None:
            continue  # its weights have no gradient, so the optimiser leaves them and its own state of them alone
        group["lr"] = rates[group["part"]] = now.factor * group["initial_lr"]
        if now.beta1 is not None:
            group["betas"] = (now.beta1, group["betas"][1])
    logged = {"learning_rate": rates.get("image.head", next(iter(rates.values())))}
    if train.unfreeze or len({train.rates[part] for part in train.moving}) > 1:
        logged |= {f"learning_rate/{part}": rate for part, rate in rates.items()}
    return logged


def parameter_groups(model: VeS, train: TrainConfig) -> list[dict[str, Any]]:
    """A group for the matrices of each part, and one for its vectors and scalars, which have no weight decay."""
    groups: dict[tuple[str, bool], list[Tensor]] = {}
    for name, parameter in model.learned.items():
        groups.setdefault((part_of(name), parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "part": part,
            "lr": train.rates[part],
            "initial_lr": train.rates[part],
            "weight_decay": train.weight_decay if matrix else 0.0,
        }
        for (part, matrix), parameters in groups.items()
    ]


def clip(parameters: list[nn.Parameter], train: TrainConfig) -> Tensor:
    """Clip the gradients to `clip_norm`, all together or each tensor alone; returns the norm of all before that."""
    moved = [parameter for parameter in parameters if parameter.grad is not None]
    if train.clip_over == "all":
        return nn.utils.clip_grad_norm_(moved, train.clip_norm)
    norm = nn.utils.get_total_norm([parameter.grad for parameter in moved if parameter.grad is not None])
    for parameter in moved:
        nn.utils.clip_grad_norm_([parameter], train.clip_norm)
    return norm


def make_optimizer(model: VeS, train: TrainConfig) -> torch.optim.Optimizer:
    """Fused AdamW, or Adam with 8-bit state (bitsandbytes), whose weight decay is decoupled too."""
    groups = parameter_groups(model, train)
    if train.optimizer == "adamw":
        return torch.optim.AdamW(groups, fused=True)
    from bitsandbytes.optim.adam import Adam8bit  # its import takes seconds, and most runs do not need it

    return Adam8bit(groups)
