"""Threads with a core each: the order of results, errors, and a gradient that is the same to the bit every time."""

import threading

import pytest
import torch
from torch import Tensor

from tests.support.steps import assert_equal, gradients, pairs, settings
from tests.support.tiny_corpus import tiny_config
from tests.support.waiting import PATIENCE
from ves.base.cpu import cores, run_on_cores, use_cores
from ves.base.precision import weights_of
from ves.config.experiment import ModelConfig
from ves.config.train import TrainConfig
from ves.models.towers import VeS
from ves.training.gradient_cache import gradient

pytestmark = pytest.mark.numbers


def test_results_come_in_the_order_of_the_work_from_threads_of_one_core():
    ended = [threading.Event() for _ in range(4)]
    ended[3].set()

    def work(number: int) -> tuple[int, int, int]:
        assert ended[number + 1].wait(PATIENCE)  # the first ends last
        ended[number].set()
        return number, torch.get_num_threads(), threading.get_ident()

    found = run_on_cores(work, [0, 1, 2], 3)
    assert [number for number, *_ in found] == [0, 1, 2]
    assert [threads for _, threads, _ in found] == [1, 1, 1]
    assert threading.get_ident() not in {thread for *_, thread in found}
    assert run_on_cores(lambda _: threading.get_ident(), [0, 1], 1) == 2 * [threading.get_ident()]


def test_cores_are_of_the_thread_that_asked_for_them():
    threads = torch.get_num_threads()
    try:
        use_cores(2, whole=True)
        assert cores() == 2 and torch.get_num_threads() == 1
        assert run_on_cores(lambda _: (cores(), torch.get_num_threads()), [0, 1], 2) == [(1, 1), (1, 1)]
        use_cores(2, whole=False)
        assert cores() == 1 and torch.get_num_threads() == 2
    finally:
        use_cores(threads, whole=False)


def test_gradients_are_recorded_where_the_caller_records_them():
    def modes(_: int) -> tuple[bool, bool]:
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    assert run_on_cores(modes, [0, 1], 2) == [(True, False)] * 2
    with torch.no_grad():
        assert run_on_cores(modes, [0, 1], 2) == [(False, False)] * 2
    with torch.inference_mode():
        assert run_on_cores(modes, [0, 1], 2) == [(False, True)] * 2
    assert run_on_cores(modes, [0, 1], 2) == [(True, False)] * 2, "what a thread was set to does not stay"


def test_an_error_in_a_thread_is_raised():
    with pytest.raises(ZeroDivisionError):
        run_on_cores(lambda number: 1 // number, [1, 0], 2)


def quiet(train: TrainConfig) -> VeS:
    """A model in training in which nothing is drawn."""
    torch.manual_seed(0)
    audio = tiny_config().audio.model_copy(update={"seconds": 1.0, "freeze_conv": False})
    adapter = ModelConfig(dim=16, visual_layers=2, visual_heads=2, dropout=0.0, visual_head="mlp")
    with weights_of(train.precision):
        model = VeS(audio, adapter, pairs().patches.shape[2], 0.07)
    assert not model.is_stochastic
    return model.train()


def gradients_and_logs(**changes) -> tuple[dict[str, Tensor], dict[str, float]]:
    train = settings(**({"batch_size": 8, "micro_batch": 8} | changes))
    logs = gradient(model := quiet(train), pairs(), train)
    return gradients(model), logs


@pytest.mark.parametrize("micro_batch", [8, 4, 3])
def test_halves_side_by_side_give_the_gradient_of_the_whole(micro_batch):
    """Kept graphs (8), and cached representations; in fp64, where no part of it can hide behind rounding."""
    expected, logs = gradients_and_logs(threads=1, precision="fp64")
    found, same = gradients_and_logs(threads=2, micro_batch=micro_batch, precision="fp64")
    assert_equal(found, expected, 1e-10)
    assert same == pytest.approx(logs, rel=1e-10)


def test_bfloat16_gives_the_same_bits_every_time():
    """Autocast's cache of weights is of the whole process: with it, runs differed."""
    first, logs = gradients_and_logs(threads=2, precision="bf16")
    for _ in range(12):
        again, same = gradients_and_logs(threads=2, precision="bf16")
        assert same == logs
        assert all(torch.equal(grad, again[name]) for name, grad in first.items())


def test_what_draws_is_not_done_side_by_side():
    model = quiet(settings())
    model.audio.backbone.config.attention_dropout = 0.1
    assert model.is_stochastic
