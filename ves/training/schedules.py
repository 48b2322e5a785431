"""How fast each part learns at each step: pure functions of the step, so that a resumed run goes on to the bit.

`SCHEDULES` are shapes by name: functions of (step, steps, warmup, settings) that give a Pace. `pace` is that of one
part, which may begin to move late: its shape then spans the steps that are left to it, and before them it has none.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from ves.config.train import OneCycleConfig, TrainConfig


class Pace(NamedTuple):
    """The share of a part's highest rate at one step, and Adam's beta1 there; None leaves the optimiser's own."""

    factor: float
    beta1: float | None = None


def _ramp(step: int, steps: int, warmup: float) -> tuple[int, float]:
    """Steps of a linear warm-up, and the factor at this one; 1 after it."""
    ramp = max(1, round(warmup * steps))
    return ramp, min((step + 1) / ramp, 1.0)


def warmup_cosine(step: int, steps: int, warmup: float, cycle: OneCycleConfig) -> Pace:
    """Linear warm-up over the first share of the steps, then half a cosine to zero."""
    ramp, factor = _ramp(step, steps, warmup)
    if step < ramp:
        return Pace(factor)
    return Pace(0.5 * (1 + math.cos(math.pi * (step - ramp) / max(1, steps - ramp))))


def warmup_constant(step: int, steps: int, warmup: float, cycle: OneCycleConfig) -> Pace:
    """Linear warm-up, then the highest rate to the end (DenseAV)."""
    return Pace(_ramp(step, steps, warmup)[1])


def constant(step: int, steps: int, warmup: float, cycle: OneCycleConfig) -> Pace:
    """The highest rate at every step; `warmup` is not read."""
    return Pace(1.0)


def one_cycle(step: int, steps: int, warmup: float, cycle: OneCycleConfig) -> Pace:
    """torch's OneCycleLR with two cosine phases (Smith & Topin 2018), `warmup` being its pct_start.

    The rate rises from highest / div to the highest, and falls to (highest / div) / final_div, while beta1 falls and
    rises. Where the first phase has no length, torch divides by zero; here it is left out.
    """
    top, last = warmup * steps - 1, steps - 1
    first, final = 1 / cycle.div, 1 / cycle.div / cycle.final_div
    rises = step <= top and top > 0
    done = step / top if rises else (step - max(top, 0)) / max(last - max(top, 0), 1e-9)
    factor = _cosine(*((first, 1.0) if rises else (1.0, final)), done)
    if cycle.beta1 is None:
        return Pace(factor)
    low, high = cycle.beta1
    return Pace(factor, _cosine(*((high, low) if rises else (low, high)), done))


def _cosine(start: float, end: float, done: float) -> float:
    """Half a cosine from `start` (done = 0) to `end` (done = 1)."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * done))


SCHEDULES: dict[str, Callable[[int, int, float, OneCycleConfig], Pace]] = {
    "warmup_cosine": warmup_cosine,
    "one_cycle": one_cycle,
    "warmup_constant": warmup_constant,
    "constant": constant,
}


def begins(train: TrainConfig, part: str, steps: int) -> int:
    """The number of steps that are taken before a part moves. An epoch is a pass over the clips, as `train.epochs`."""
    when = train.unfreeze.get(part)
    if when is None:
        return 0
    return when.step or round((when.epoch or 0) / train.epochs * steps)


def pace(train: TrainConfig, part: str, step: int, steps: int) -> Pace | None:
    """The pace of a part at `step` (from 0) of `steps`; None while it does not move."""
    begin = begins(train, part, steps)
    if part not in train.moving or step < begin:
        return None
    late = train.unfreeze.get(part)
    warmup = train.warmup if late is None else late.warmup
    return SCHEDULES[train.schedule](step - begin, steps - begin, warmup, train.one_cycle)


def check(train: TrainConfig, steps: int) -> None:
    """Raise ValueError, which names the key, if a part would begin to move only after the last step."""
    for part in train.unfreeze:
        if (begin := begins(train, part, steps)) >= steps:
            raise ValueError(f"train.unfreeze: {part} would move after step {begin}, but the run has {steps}")
