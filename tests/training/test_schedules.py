"""Shapes of rates against torch's schedulers and against their definitions, and when parts move."""

import math

import pytest
import torch
from torch.optim.lr_scheduler import OneCycleLR

from tests.support.tiny_corpus import tiny_config
from ves.config.train import OneCycleConfig, TrainConfig
from ves.training.schedules import SCHEDULES, begins, check, pace

pytestmark = pytest.mark.numbers

CYCLE = OneCycleConfig(div=10.0, final_div=1e4, beta1=[0.85, 0.95])


def train_settings(**changes) -> TrainConfig:
    """`dense` of the committed configuration, with changes, checked as a whole."""
    return TrainConfig.model_validate(tiny_config().train_of("dense").model_dump() | changes)


@pytest.mark.parametrize(("steps", "warmup"), [(40, 0.3), (100, 0.1), (1000, 0.015), (9, 0.5), (20, 0.95)])
@pytest.mark.parametrize(("div", "final_div"), [(10.0, 1e4), (25.0, 100.0)])
def test_one_cycle_is_that_of_torch_with_its_beta1(steps, warmup, div, final_div):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([weight], lr=8e-4)
    schedule = OneCycleLR(
        optimizer, 8e-4, total_steps=steps, pct_start=warmup, div_factor=div, final_div_factor=final_div
    )
    cycle = OneCycleConfig(div=div, final_div=final_div, beta1=[0.85, 0.95])
    for step in range(steps):
        group, ours = optimizer.param_groups[0], SCHEDULES["one_cycle"](step, steps, warmup, cycle)
        assert 8e-4 * ours.factor == pytest.approx(group["lr"], rel=1e-9, abs=1e-15), step
        assert ours.beta1 == pytest.approx(group["betas"][0], rel=1e-9), step
        optimizer.step()
        if step < steps - 1:
            schedule.step()


def test_one_cycle_without_beta1_leaves_it_and_a_run_of_few_steps_has_rates():
    still = CYCLE.model_copy(update={"beta1": None})
    assert SCHEDULES["one_cycle"](3, 40, 0.3, still).beta1 is None
    for steps in (1, 2, 3):
        factors = [SCHEDULES["one_cycle"](step, steps, 0.01, CYCLE).factor for step in range(steps)]
        assert factors[0] == 1.0 and all(0 < factor <= 1 for factor in factors)


def test_warm_up_and_cosine():
    factors = [SCHEDULES["warmup_cosine"](step, 100, 0.1, CYCLE).factor for step in range(100)]
    assert factors[0] == pytest.approx(0.1) and factors[9] == 1.0
    assert factors[55] == pytest.approx(0.5, abs=0.01) and factors[-1] < 0.001
    expected = [0.5 * (1 + math.cos(math.pi * (step - 10) / 90)) for step in range(10, 100)]
    assert factors[10:] == pytest.approx(expected)


def test_warm_up_and_constant_and_constant():
    factors = [SCHEDULES["warmup_constant"](step, 10, 0.4, CYCLE).factor for step in range(10)]
    assert factors == pytest.approx([0.25, 0.5, 0.75] + 7 * [1.0])
    assert {SCHEDULES["constant"](step, 10, 0.4, CYCLE) for step in range(10)} == {(1.0, None)}


def test_a_part_that_moves_late_has_its_own_schedule_over_the_steps_that_are_left():
    """AV-Align: HuBERT from epoch 2 of 10, its own cycle over the other 80 steps."""
    late = {"audio.backbone": {"epoch": 2.0, "warmup": 0.1}}
    train = train_settings(epochs=10.0, schedule="one_cycle", warmup=0.015, one_cycle=CYCLE.model_dump(), unfreeze=late)
    assert begins(train, "audio.backbone", 100) == 20 and begins(train, "audio.head", 100) == 0
    assert [pace(train, "audio.backbone", step, 100) for step in range(20)] == [None] * 20
    for step in (20, 27, 28, 60, 99):
        assert pace(train, "audio.backbone", step, 100) == SCHEDULES["one_cycle"](step - 20, 80, 0.1, CYCLE)
        assert pace(train, "audio.head", step, 100) == SCHEDULES["one_cycle"](step, 100, 0.015, CYCLE)
    assert pace(train, "image.backbone", 50, 100) is None, "it has no rate"


def test_a_part_that_would_never_move_is_an_error():
    train = train_settings(unfreeze={"audio.backbone": {"step": 30, "warmup": 0.1}})
    check(train, 31)
    with pytest.raises(ValueError, match="train.unfreeze: audio.backbone would move after step 30, but the run has 30"):
        check(train, 30)
