"""Several processes give the gradient, the log and the model of one, with everything random on (gloo, on the CPU)."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.support.fork_server import WARM
from tests.support.steps import REGULARISED, assert_equal, gradients, pairs, pixel_pairs, pixel_towers, settings, towers
from tests.support.waiting import PATIENCE, until
from ves.base import gpus
from ves.training.distributed import ALONE, World, join_world
from ves.training.gradient_cache import gradient, own_rows
from ves.training.train import train

pytestmark = pytest.mark.numbers

HYBRID = {"max_mean": 0.7, "mean_mean": 0.3}
CASES: dict[str, dict[str, Any]] = {  # of eight pairs
    "cached": {"micro_batch": 1, "negatives": "batch", "objective": HYBRID, "regularisers": REGULARISED},
    "one part each": {"micro_batch": 2, "negatives": "batch", "objective": HYBRID, "regularisers": REGULARISED},
    "recordings": {"micro_batch": 1, "negatives": "batch"},
    "pixels": {"micro_batch": 2, "negatives": "batch", "regularisers": {"non_negativity_scaled": 0.15}},
    "as in the paper": {"micro_batch": 2, "negatives": "micro_batch", "regularisers": REGULARISED},
}


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


def _as_rank(rank: int, size: int, port: int, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """In a child: be one of the processes that torchrun would start."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    work(*arguments)


def on_ranks(size: int, work: Callable[..., None], *arguments: Any) -> None:
    """Run `work` in so many processes that train together."""
    port = free_port()
    children = [WARM.Process(target=_as_rank, args=(rank, size, port, work, arguments)) for rank in range(size)]
    for child in children:
        child.start()
    for child in children:
        child.join(PATIENCE)
    codes = [child.exitcode for child in children]
    for child in children:
        child.kill()
    assert codes == [0] * size


def gradients_and_log(world: World, name: str) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """Gradients and log of a case, on this rank. Of the case "recordings", three clips are of one recording."""
    batch = pairs()
    if name == "recordings":
        batch = replace(batch, recording=torch.tensor([0, 1, 2, 0, 4, 0, 6, 7]))
    if name == "pixels":
        batch = pixel_pairs()
    model, train_settings = pixel_towers() if name == "pixels" else towers(), settings(batch_size=8, **CASES[name])
    torch.manual_seed(3 + world.rank)  # only rank 0's random number is used
    logs = gradient(model, batch[own_rows(train_settings, world)], train_settings, world)
    return gradients(model), logs


def measure(folder: Path) -> None:
    with join_world() as world:
        assert not world.any(False) and world.any(world.rank == 1)
        for name in CASES:
            torch.save(gradients_and_log(world, name), folder / f"{name}-{world.rank}.pt")


@pytest.mark.parametrize("size", [2, 4])
def test_processes_together_give_the_gradient_of_one(size, tmp_path):
    on_ranks(size, measure, tmp_path)
    for name in CASES:
        expected, logs = gradients_and_log(ALONE, name)
        actual = [torch.load(tmp_path / f"{name}-{rank}.pt", weights_only=True) for rank in range(size)]
        for on_rank, logged in actual:
            # a bias of keys has no gradient but rounding, which six layers make larger
            assert_equal(on_rank, expected, 1e-4 if name == "pixels" else 1e-5)
            assert logged == pytest.approx(logs, rel=1e-5)
            assert all(torch.equal(grad, actual[0][0][key]) for key, grad in on_rank.items()), "to the bit on all"
            assert logged == actual[0][1]
        if name == "recordings":
            assert logs["masked_pairs"] == pytest.approx(8 / 56), "three pairs of them, and the two of one picture"


def _quietly(run: Path) -> None:
    torch.manual_seed(os.getpid())  # each is seeded by the run, whatever it did before
    train(run)


def log_of(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_two_processes_train_the_model_of_one(tiny_run):
    """To rounding: losses, temperature, recall, weights; one log, one lock, checkpoints written once."""
    changes = {"precision": "fp32", "batch_size": 16, "micro_batch": 4, "epochs": 0.3, "threads": 1}
    alone, together = tiny_run("alone", **changes), tiny_run("together", **changes)
    train(alone)
    on_ranks(2, _quietly, together)
    expected, actual = log_of(alone), log_of(together)
    assert [line["step"] for line in actual] == [line["step"] for line in expected]
    assert len(actual) >= 2
    for line, wanted in zip(actual, expected, strict=True):
        for key in ("loss", "gradient_norm", "temperature", "masked_pairs"):
            assert line[key] == pytest.approx(wanted[key], rel=1e-3), key
    weights, same = load_file(together / "model.safetensors"), load_file(alone / "model.safetensors")
    assert all(torch.allclose(weights[name], same[name], atol=1e-3) for name in same)


@pytest.mark.slow
def test_torchrun_starts_the_same_command(tiny_run):
    """And two processes resume to the bit: killed after a checkpoint, begun again."""
    models, steps = [], 0
    for name in ("straight", "stopped"):
        run = tiny_run(name, precision="fp32", batch_size=16, micro_batch=4, epochs=0.6, threads=1)
        config = json.loads((run / "config.json").read_text())
        (run / "config.json").write_text(json.dumps(config | {"run": "same"}))
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
        command += ["-m", "--", "ves", "train", str(run), "--log", str(run / "train.log")]
        if name == "stopped":
            with subprocess.Popen(command, env=os.environ | {"VES_DIE_WITH_PARENT": "1"}) as process:
                until(lambda: process.poll() is not None or list(run.glob("checkpoints/**/step-00000003")))  # noqa: B023
                assert process.poll() is None
                process.kill()  # and with it the two
            assert len(log_of(run)) < steps
        subprocess.run(command, check=True, timeout=PATIENCE)
        steps = len(log_of(run))
        assert "2 x cpu" in (run / "train.log").read_text()
        models.append((run / "model.safetensors").read_bytes())
    assert models[0] == models[1]


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "2")
    gpus.take.cache_clear()
    with pytest.raises(ValueError, match="--nproc_per_node: more processes than the 2 GPUs"), join_world():
        pass


def test_alone_nothing_is_asked_of_others():
    value = torch.ones(2, requires_grad=True)
    assert ALONE.is_main and ALONE.sum(value) is value is ALONE.gather(value) is ALONE.gather_with_gradient(value)
    assert ALONE.broadcast(3) == 3 and ALONE.any(True) and not ALONE.any(False) and ALONE.gather_objects([1]) == [1]
