"""Threads with a core each: the order of results, errors, and a gradient that is the same to the bit every time."""

import threading
import time

import pytest
import torch
from torch import Tensor

from tests.support.steps import assert_equal, gradients, pairs, settings
from tests.support.tiny_corpus import tiny_config
from ves.base.cpu import side_by_side
from ves.config.experiment import ModelConfig
from ves.models.towers import VeS
from ves.training.gradient_cache import gradient


def test_results_come_in_the_order_of_the_work_from_threads_of_one_core():
    def work(number: int) -> tuple[int, int, int]:
        time.sleep(0.02 * (3 - number))  # the first ends last
        return number, torch.get_num_threads(), threading.get_ident()

    found = side_by_side(work, [0, 1, 2], 3)
    assert [number for number, *_ in found] == [0, 1, 2]
    assert [threads for _, threads, _ in found] == [1, 1, 1]
    assert threading.get_ident() not in {thread for *_, thread in found}
    assert side_by_side(lambda _: threading.get_ident(), [0, 1], 1) == 2 * [threading.get_ident()]


def test_an_error_in_a_thread_is_raised():
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda number: 1 // number, [1, 0], 2)


def quiet() -> VeS:
    """A model in training in which nothing is drawn."""
    torch.manual_seed(0)
    audio = tiny_config().audio.model_copy(update={"seconds": 1.0, "freeze_conv": False})
    model = VeS(
        audio, ModelConfig(dim=16, visual_layers=2, visual_heads=2, dropout=0.0), pairs().patches.shape[2], 0.07
    )
    assert not model.draws
    return model.train()


def measured(**changes) -> tuple[dict[str, Tensor], dict[str, float]]:
    model = quiet()
    logs = gradient(model, pairs(), settings(**({"batch_size": 8, "micro_batch": 8} | changes)))
    return gradients(model), logs


@pytest.mark.parametrize("micro_batch", [8, 4, 3])
def test_halves_side_by_side_give_the_gradient_of_the_whole(micro_batch):
    """Kept graphs (8), and cached representations."""
    expected, logs = measured(threads=1)
    found, same = measured(threads=2, micro_batch=micro_batch)
    assert_equal(found, expected, 1e-5)
    assert same == pytest.approx(logs, rel=1e-5)


def test_bfloat16_gives_the_same_bits_every_time():
    """Autocast's cache of weights is of the whole process: with it, runs differed."""
    first, logs = measured(threads=2, precision="bf16")
    for _ in range(12):
        again, same = measured(threads=2, precision="bf16")
        assert same == logs
        assert all(torch.equal(grad, again[name]) for name, grad in first.items())


def test_what_draws_is_not_done_side_by_side():
    model = quiet()
    model.audio.backbone.config.attention_dropout = 0.1
    assert model.draws
