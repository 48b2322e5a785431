"""The loop: schedule, groups, and a kill -9 that changes nothing."""

import math
import os
import random
import re
import signal
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import ves.training.train as train_module
from tests.support.fork_server import WARM
from tests.support.training_log import log_of
from tests.support.waiting import PATIENCE
from ves.__main__ import main
from ves.base.signals import EX_TEMPFAIL
from ves.config.experiment import FEWEST_STEPS, RunConfig
from ves.evaluation.retrieval.tune import recall
from ves.losses.contrastive import LOSSES
from ves.models.towers import VeS, load
from ves.training.log import cut_log
from ves.training.optimiser import parameter_groups, steps_of, warn_of_few_steps
from ves.training.train import train


def test_steps_are_whole_batches(tiny):
    settings = tiny[0].train
    assert steps_of(settings.model_copy(update={"epochs": 2.0, "batch_size": 16}), 100) == 12
    with pytest.raises(ValueError, match="batch_size: 101 is more than the 100 training clips"):
        steps_of(settings.model_copy(update={"batch_size": 101}), 100)


def test_groups_cover_each_trained_parameter_once(tiny):
    config, _ = tiny
    model = VeS(config.audio, config.model, 24, 0.07)
    groups = parameter_groups(model, config.train)
    covered = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(covered) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    by_id = {id(parameter): group for group in groups for parameter in group["params"]}
    assert by_id[id(model.log_scale)]["weight_decay"] == 0 == by_id[id(model.visual.head[1].weight)]["weight_decay"]
    assert by_id[id(model.audio.head[0].weight)]["weight_decay"] == config.train.weight_decay
    backbone = next(p for n, p in model.named_parameters() if n.startswith("audio.backbone.encoder.") and p.ndim > 1)
    assert by_id[id(backbone)]["lr"] == config.train.rates["audio.backbone"]


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
    train(run, recall=recall)
    log = log_of(run)
    assert log[-1]["step"] == len(log)
    assert sum(line["loss"] for line in log[-3:]) < 0.97 * sum(line["loss"] for line in log[:3])
    for name in changes["objective"]:
        assert log[-1][f"{name}/effective_scale"] > 0 and math.isfinite(log[-1][f"{name}/loss"])
        assert 0 <= log[-1][f"{name}/accuracy"] <= 1
    assert {"temperature", "learning_rate", "gradient_norm", "tune/R@10", "tune/median_rank"} <= set(log[-1])
    model, config = load(run)
    assert config.run == "dense" and not model.training
    stored = load_file(run / "model.safetensors")
    assert all(torch.equal(stored[name], tensor) for name, tensor in model.trainable().items())


@pytest.mark.numbers
def test_two_runs_are_equal_and_another_seed_is_not(tiny_run):
    weights = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run = tiny_run(name, seed=seed, epochs=1)
        train(run)
        weights.append((run / "model.safetensors").read_bytes())
    assert weights[0] == weights[1] != weights[2]


def stage(run: Path) -> None:
    """`ves train RUN`, in a child."""
    sys.exit(main(["train", str(run)]))


def stage_with_signal(run: Path, step: int, number: int) -> None:
    """The same; when the log shows the step and the next has begun, the signal comes."""
    real, left = train_module.optimise, [number]

    def optimise(*arguments):
        if left and (run / "log.jsonl").read_text().count("\n") >= step:
            os.kill(os.getpid(), left.pop())
        return real(*arguments)

    train_module.optimise = optimise
    stage(run)


def train_with_signal(run: Path, step: int, number: int) -> int | None:
    """Train in a child that gets a signal in the step after this one; how it ended."""
    child = WARM.Process(target=stage_with_signal, args=(run, step, number))
    child.start()
    child.join(PATIENCE)
    return child.exitcode


RANDOM = {"mask_time_prob": 0.1, "layer_drop": 0.2}
AUGMENT = {"window": "random", "speed": [0.9, 1.1], "noise_snr_db": [10.0, 30.0], "gain_db": [-6.0, 6.0]}


@pytest.fixture
def random_run(tiny_run, tiny):
    """Runs in which all that can be drawn is drawn, and a batch is more than a micro-batch."""

    def make(name: str, optimizer: str) -> Path:
        augment = tiny[0].train.augment.model_copy(update=AUGMENT)
        run = tiny_run(name, epochs=3, optimizer=optimizer, batch_size=32, micro_batch=8, augment=augment)
        config = RunConfig.model_validate_json((run / "config.json").read_text())
        audio, model = config.audio.model_copy(update=RANDOM), config.model.model_copy(update={"dropout": 0.1})
        changes = {"audio": audio, "model": model, "run": "same"}
        (run / "config.json").write_text(config.model_copy(update=changes).model_dump_json())
        return run

    return make


@pytest.mark.parametrize("optimizer", ["adamw", pytest.param("adam8bit", marks=pytest.mark.slow)])
def test_kill_and_resume_is_bitwise(random_run, optimizer):
    """Killed twice, once before and once after a checkpoint (every 3 steps)."""
    straight, killed = random_run("straight", optimizer), random_run("killed", optimizer)
    train(straight)
    assert train_with_signal(killed, 2, signal.SIGKILL) == -signal.SIGKILL
    assert train_with_signal(killed, 5, signal.SIGKILL) == -signal.SIGKILL
    train(killed)
    assert (killed / "model.safetensors").read_bytes() == (straight / "model.safetensors").read_bytes()
    assert log_of(killed) == log_of(straight)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "adam8bit"])
def test_twenty_kills_at_random_moments_change_nothing(random_run, optimizer):
    """Moments are drawn over the whole life of a child: start, steps, checkpoints, and publishing."""
    straight, killed = random_run("straight", optimizer), random_run("killed", optimizer)
    started = time.monotonic()
    child = WARM.Process(target=stage, args=(straight,))
    child.start()
    child.join()
    life, draw, kills = time.monotonic() - started, random.Random(0), 0
    assert child.exitcode == 0
    while kills < 20:
        child = WARM.Process(target=stage, args=(killed,))
        child.start()
        child.join(draw.uniform(0, life))
        child.kill()
        child.join()
        kills += 1
    train(killed)
    assert (killed / "model.safetensors").read_bytes() == (straight / "model.safetensors").read_bytes()
    assert log_of(killed) == log_of(straight)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_writes_a_checkpoint_and_goes_on_later(tiny_run, number):
    straight, stopped = tiny_run("straight", epochs=2), tiny_run("stopped", epochs=2, checkpoint_every=1000)
    train(straight)
    assert train_with_signal(stopped, 4, number) == EX_TEMPFAIL == 75
    (kept,) = (stopped / "checkpoints").glob("step-*")
    assert int(kept.name.removeprefix("step-")) >= 4
    assert not (stopped / "model.safetensors").exists()
    train(stopped)
    assert (stopped / "model.safetensors").read_bytes() == (straight / "model.safetensors").read_bytes()
    assert log_of(stopped) == log_of(straight)


def poison(monkeypatch, bad: set[int]) -> list[int]:
    """Let the losses of these steps be NaN, by the number of the call; one call is one step here."""
    calls: list[int] = []

    def nan_loss(logits, not_negative=None):
        calls.append(1)
        loss = logits.sum() * (float("nan") if len(calls) in bad else 1e-3)
        return loss, {"loss": loss.detach()}

    monkeypatch.setitem(LOSSES, "info_nce", nan_loss)
    return calls


def test_a_step_that_is_not_finite_is_skipped_and_counted(tiny_run, monkeypatch):
    run = tiny_run(epochs=1, evaluate_every=1000)
    poison(monkeypatch, {3, 5})
    train(run)
    log = log_of(run)
    assert [line["skipped"] for line in log[:6]] == [0, 0, 1, 1, 2, 2]
    assert "loss" not in log[2] and "gradient_norm" not in log[2], "NaN is no JSON"
    assert log[2]["temperature"] == log[1]["temperature"] != log[3]["temperature"], "nothing moved in that step"
    assert all(tensor.isfinite().all() for tensor in load_file(run / "model.safetensors").values())


def test_a_skipped_step_is_skipped_again_on_resume(tiny_run, monkeypatch):
    runs = [tiny_run(name, epochs=1, evaluate_every=1000) for name in ("straight", "stopped")]
    poison(monkeypatch, {2, 5})
    train(runs[0])
    real = train_module.optimise

    def interrupt(*arguments):
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*arguments)

    calls = poison(monkeypatch, {2})
    with monkeypatch.context() as patched:
        patched.setattr(train_module, "optimise", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(runs[1])
    poison(monkeypatch, {2})  # from the checkpoint of step 3 on, its second step is the fifth
    train(runs[1])
    assert (runs[0] / "model.safetensors").read_bytes() == (runs[1] / "model.safetensors").read_bytes()
    assert log_of(runs[0]) == log_of(runs[1])


def test_too_many_in_a_row_end_the_training_with_the_last_checkpoint_kept(tiny_run, monkeypatch):
    run = tiny_run(epochs=2, max_skipped=3)
    poison(monkeypatch, {2, *range(5, 100)})
    with pytest.raises(FloatingPointError, match=r"step 7: loss or gradient was not finite in 3 steps in a row"):
        train(run)
    assert max(path.name for path in (run / "checkpoints").glob("step-*")) == "step-00000003", "none of the bad steps"
    state = load_file(run / "checkpoints" / "step-00000003" / "model.safetensors")
    assert all(tensor.isfinite().all() for tensor in state.values())
    assert not (run / "model.safetensors").exists()


def test_the_log_says_how_much_of_the_time_was_waiting(tiny_run, caplog):
    with caplog.at_level("INFO"):
        train(tiny_run(epochs=0.5))
    assert re.search(r"waiting for data took \d+\.\d\d % of the time of the steps", caplog.text)


def test_the_log_is_cut_after_the_checkpoint(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    cut_log(log, 2)
    assert log.read_text() == '{"step": 1}\n{"step": 2}\n'


def test_a_log_that_is_damaged_or_has_lost_lines_is_named(tmp_path, caplog):
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1}\n{"step": 4}\n')
    cut_log(log, 4)
    assert f"{log}: it has 2 of the 4 steps up to the checkpoint" in caplog.text
    log.write_text('{"step": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(ValueError, match="log.jsonl: line 2 is damaged"):
        cut_log(log, 3)


@pytest.mark.parametrize(("clips", "epochs", "steps"), [(60, 0.5, 1), (784, 1.0, 49)])
def test_a_training_of_few_steps_is_warned_of_with_what_makes_more(tiny, tmp_path, caplog, clips, epochs, steps):
    train = tiny[0].train.model_copy(update={"batch_size": 16, "epochs": epochs})
    assert steps_of(train, clips) == steps
    warn_of_few_steps(tmp_path, train, steps, clips)
    plural = "" if steps == 1 else "s"
    assert f"{tmp_path}: only {steps} step{plural} ({epochs:g} epochs of {clips} clips in batches" in caplog.text
    enough = int(re.findall(r"Raise train.epochs to (\d+)", caplog.text)[0])
    assert steps_of(train.model_copy(update={"epochs": float(enough)}), clips) >= FEWEST_STEPS
    assert steps_of(train.model_copy(update={"epochs": float(enough - 1)}), clips) < FEWEST_STEPS


def test_fifty_steps_are_no_cause_for_a_warning(tiny, tmp_path, caplog):
    warn_of_few_steps(tmp_path, tiny[0].train, FEWEST_STEPS, 800)
    assert not caplog.records
