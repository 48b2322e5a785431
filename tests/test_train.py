"""The loop: schedule, groups, a golden curve, and a kill -9 that changes nothing."""

import json
import math
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from forked import WARM
from safetensors.torch import load_file

from ves import checkpoint
from ves.config import RunConfig
from ves.losses import LOSSES
from ves.model import VeS, load
from ves.optimiser import learning_rate_at, parameter_groups, steps_of
from ves.train import cut_log, train

GOLDEN = Path(__file__).parent / "golden" / "dense-10-steps.txt"
TIMES = {"seconds", "data_wait"}


def log_of(run: Path) -> list[dict]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


def test_the_schedule_warms_up_and_falls_to_zero():
    factors = [learning_rate_at(step, 100, 0.1) for step in range(100)]
    assert factors[0] == pytest.approx(0.1) and factors[9] == 1.0
    assert factors[55] == pytest.approx(0.5, abs=0.01) and factors[-1] < 0.001
    assert factors[10:] == sorted(factors[10:], reverse=True)


def test_steps_are_whole_batches(tiny):
    settings = tiny[0].train
    assert steps_of(settings.model_copy(update={"epochs": 2.0, "batch_size": 16}), 100) == 12
    with pytest.raises(ValueError, match="batch_size: 101 is more than the 100 training clips"):
        steps_of(settings.model_copy(update={"batch_size": 101}), 100)


def test_groups_cover_each_trained_parameter_once(tiny):
    config, _ = tiny
    model = VeS(config.audio, config.model, 24, 0.07)
    groups = parameter_groups(model, config.train)
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    by_id = {id(parameter): group for group in groups for parameter in group["params"]}
    assert by_id[id(model.log_scale)]["weight_decay"] == 0 == by_id[id(model.visual.head[1].weight)]["weight_decay"]
    assert by_id[id(model.audio.head[0].weight)]["weight_decay"] == config.train.weight_decay
    backbone = next(p for n, p in model.named_parameters() if n.startswith("audio.backbone.encoder.") and p.ndim > 1)
    assert by_id[id(backbone)]["lr"] == config.train.backbone_learning_rate


@pytest.mark.parametrize(
    "changes",
    [
        {"objective": {"max_mean": 1.0}},
        {
            "objective": {"max_mean": 0.7, "mean_mean": 0.3},
            "optimizer": "adam8bit",
            "micro_batch": 8,
            "precision": "fp32",
        },
    ],
)
def test_a_run_learns_and_is_a_complete_model(tiny_run, changes):
    run = tiny_run(**changes, epochs=3)
    train(run)
    log = log_of(run)
    assert log[-1]["step"] == len(log)
    assert sum(line["loss"] for line in log[-3:]) < 0.97 * sum(line["loss"] for line in log[:3])
    for name in changes["objective"]:
        assert log[-1][f"{name}/effective_scale"] > 0 and math.isfinite(log[-1][f"{name}/loss"])
    assert {"temperature", "learning_rate", "gradient_norm", "tune/R@10", "tune/median_rank"} <= set(log[-1])
    model, config = load(run)
    assert config.run == "dense" and not model.training
    stored = load_file(run / "model.safetensors")
    assert all(torch.equal(stored[name], tensor) for name, tensor in model.trainable().items())


def test_the_golden_curve(tiny_run):
    """Ten steps at a fixed seed give the recorded losses (fp32; VES_GOLDEN=write records them anew)."""
    run = tiny_run(precision="fp32", epochs=2)
    train(run)
    losses = [line["loss"] for line in log_of(run)][:10]
    if os.environ.get("VES_GOLDEN") == "write":
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text("".join(f"{step} {loss:.6f}\n" for step, loss in enumerate(losses, 1)))
    recorded = [float(line.split()[1]) for line in GOLDEN.read_text().splitlines()]
    assert len(recorded) == 10
    assert losses == pytest.approx(recorded, rel=2e-3), (
        "the arithmetic changed: if meant so, VES_GOLDEN=write records it"
    )


def test_two_runs_are_equal_and_another_seed_is_not(tiny_run):
    weights = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run = tiny_run(name, seed=seed, epochs=1)
        train(run)
        weights.append((run / "model.safetensors").read_bytes())
    assert weights[0] == weights[1] != weights[2]


def killed_at(run: Path, step: int) -> None:
    """Train in a child and kill -9 it once the log shows the step."""
    child = WARM.Process(target=train, args=(run,))
    child.start()
    log = run / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (log.exists() and log.read_text().count("\n") >= step):
        assert child.is_alive() and time.monotonic() < deadline
        time.sleep(0.005)
    child.kill()
    child.join()
    assert child.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("optimizer", ["adamw", "adam8bit"])
def test_kill_and_resume_is_bitwise(tiny_run, optimizer):
    """Killed twice, once before and once after a checkpoint (every 3 steps); masking, layer drop and caching are on."""
    runs = []
    for name in ("straight", "killed"):
        run = tiny_run(name, epochs=3, optimizer=optimizer, batch_size=32, micro_batch=16)
        config = RunConfig.model_validate_json((run / "config.json").read_text())
        audio = config.audio.model_copy(update={"mask_time_prob": 0.1, "layer_drop": 0.2})
        (run / "config.json").write_text(config.model_copy(update={"audio": audio, "run": "same"}).model_dump_json())
        runs.append(run)
    straight, killed = runs
    train(straight)
    killed_at(killed, 2)
    killed_at(killed, 5)
    train(killed)
    assert (killed / "model.safetensors").read_bytes() == (straight / "model.safetensors").read_bytes()
    assert log_of(killed) == log_of(straight)


def test_a_changed_configuration_starts_anew_and_keeps_the_old_checkpoints(tiny_run):
    run = tiny_run(epochs=1)
    train(run)
    first, old = (run / "model.safetensors").read_bytes(), sorted((run / "checkpoints").rglob("*.safetensors"))
    tiny_run(epochs=1, learning_rate=5e-4)
    train(run)
    assert (run / "model.safetensors").read_bytes() != first
    assert all(path.exists() for path in old)
    tiny_run(epochs=1)
    train(run)  # changed back: nothing to train, the same model
    assert (run / "model.safetensors").read_bytes() == first


def test_a_loss_that_is_not_finite_stops_before_it_is_applied(tiny_run, monkeypatch):
    run = tiny_run(epochs=2)
    calls = []

    def poisoned(logits, not_negative=None):
        calls.append(1)
        return logits.sum() * (float("nan") if len(calls) == 5 else 1e-3)

    monkeypatch.setitem(LOSSES, "info_nce", poisoned)
    with pytest.raises(FloatingPointError, match="step 5 is not finite"):
        train(run)
    config = RunConfig.model_validate_json((run / "config.json").read_text())
    kept = run / "checkpoints" / checkpoint.identity(config)
    assert [path.name for path in kept.glob("step-*")] == ["step-00000003"]
    assert not (run / "model.safetensors").exists()


def test_the_log_is_cut_after_the_checkpoint(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    cut_log(log, 2)
    assert log.read_text() == '{"step": 1}\n{"step": 2}\n'
