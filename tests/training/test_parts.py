"""Parts that move, at once or late, or never: what is trained, what is saved, and what a resumed run does."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.support.steps import gradients, pairs, settings, towers
from ves.config.experiment import ModelConfig, RunConfig, run_config
from ves.config.train import PARTS, UnfreezeConfig
from ves.models.localise import load as localiser_of
from ves.models.parts import PREFIXES, part_of
from ves.models.towers import VeS, load
from ves.training import train as training
from ves.training.gradient_cache import gradient
from ves.training.optimiser import clip, make_optimizer, set_pace
from ves.training.train import optimise, train

LATE = {"audio.backbone": {"step": 4, "warmup": 0.1}}


def log_of(run: Path) -> list[dict[str, Any]]:
    """The log, without what depends on the clock."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in ("seconds", "data_wait")} for line in lines]


def test_every_weight_belongs_to_a_part():
    assert tuple(PREFIXES) == PARTS
    assert {part_of(name) for name, _ in towers().named_parameters()} == set(PARTS) - {"image.backbone"}
    with pytest.raises(ValueError, match="depth.weight: no part of a model"):
        part_of("depth.weight")


def test_a_part_without_a_rate_is_frozen_and_not_saved():
    model = towers()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    train = settings(rates={"image.head": 1e-3, "scale": None, "audio.head": 1e-3}, clip_norm=1.0)
    model.learn(train.moving)
    optimizer = make_optimizer(model, train)
    set_pace(model, optimizer, train, 5, 10)
    optimise(model, optimizer, pairs(), train)
    changed = {
        part_of(name) for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])
    }
    assert changed == {"audio.head", "image.head"} == {part_of(name) for name in model.trainable()}


def test_a_part_that_moves_late_gets_no_gradient_before_and_is_saved_from_the_start():
    when = {part: UnfreezeConfig.model_validate(late) for part, late in LATE.items()}
    model, late = towers(), settings(unfreeze=when)
    model.learn(late.moving)
    saved, optimizer = set(model.trainable()), make_optimizer(model, late)
    for step, moves in ((3, False), (4, True)):
        model.zero_grad()
        logged = set_pace(model, optimizer, late, step, 10)
        gradient(model, pairs(), late)
        assert any(part_of(name) == "audio.backbone" for name in gradients(model)) == moves
        assert ("learning_rate/audio.backbone" in logged) == moves
        assert set(model.trainable()) == saved
    assert any(part_of(name) == "audio.backbone" for name in saved)


def test_buffers_of_what_is_trained_are_saved_and_others_are_not():
    """Such as the running statistics of a batch norm, without which a model is not complete."""
    model = towers()
    model.visual.head.append(nn.BatchNorm1d(16))
    model.audio.backbone.register_buffer("mean", torch.ones(3))
    model.learn(["image.head", "scale"])
    names = set(model.trainable())
    assert {"visual.head.3.running_mean", "visual.head.3.num_batches_tracked"} <= names
    assert "audio.backbone.mean" not in names


def test_gradients_are_clipped_together_or_each():
    def clipped(over: str) -> tuple[float, list[Tensor]]:
        parameters = [nn.Parameter(torch.zeros(2)) for _ in range(3)]
        parameters[0].grad, parameters[1].grad = torch.tensor([3.0, 4.0]), torch.tensor([0.3, 0.4])
        norm = clip(parameters, settings(clip_norm=1.0, clip_over=over))
        return norm.item(), [parameter.grad for parameter in parameters[:2] if parameter.grad is not None]

    for over, expected in (("all", [[0.597, 0.796], [0.0597, 0.0796]]), ("each", [[0.6, 0.8], [0.3, 0.4]])):
        norm, grads = clipped(over)
        assert norm == pytest.approx((25 + 0.25) ** 0.5)
        assert torch.allclose(torch.stack(grads), torch.tensor(expected), atol=1e-3)


@pytest.fixture
def staged(tiny, tmp_path):
    """A short run of AV-Align's kind: pixels, two backbones that move one after the other, plain inner products."""
    config, data = tiny
    settings_file = tmp_path / "vision.json"
    settings_file.write_text(config.vision.model_copy(update={"image_size": 80}).model_dump_json())
    data = data.model_copy(update={"input": "pixels", "features": str(settings_file)})

    def make(name: str, **changes: Any) -> Path:
        values = config.train_of("dense").model_dump() | {
            "features": "pixels",
            "rates": dict.fromkeys(PARTS, 1e-3) | {"audio.backbone": 1e-4, "image.backbone": 1e-4},
            "schedule": "one_cycle",
            "unfreeze": LATE | {"image.backbone": {"step": 6, "warmup": 0.1}},
            "regularisers": {
                "non_negativity_scaled": 0.15,
                "temperature_bounds": {"weight": 8.0, "low": 2.3, "high": 4.0},
            },
            "normalise": "none",
            "temperature": 2.0,
            "batch_size": 8,
            "micro_batch": 8,
            "epochs": 10 * 8 / 100,
            "checkpoint_every": 3,
        }
        folder = tmp_path / name
        folder.mkdir()
        run = RunConfig(
            run=name,
            seed=0,
            data=data,
            audio=config.audio.model_copy(update={"pool": "none", "head": "linear", "seconds": 1.0}),
            vision=config.vision.model_copy(update={"image_size": 80}),
            model=ModelConfig(dim=16, visual_layers=0, visual_heads=1, dropout=0.0, visual_head="linear"),
            train=type(config.train).model_validate(values | changes),
        )
        (folder / "config.json").write_text(run.model_dump_json())
        return folder

    return make


def test_a_staged_run_that_was_stopped_and_resumed_has_the_same_bytes(staged, monkeypatch):
    """Stopped before the second part moves, right after it has begun to, and while both do."""
    whole, broken = staged("whole"), staged("broken")
    train(whole)
    steps = len(log_of(whole))
    assert steps > 8
    real = training.optimise
    for stop in (2, 3, 4):
        taken = []

        def interrupt(*arguments, stop=stop, taken=taken):
            taken.append(1)
            if len(taken) > stop:
                raise KeyboardInterrupt
            return real(*arguments)

        with monkeypatch.context() as patched:
            patched.setattr(training, "optimise", interrupt)
            with pytest.raises(KeyboardInterrupt):
                train(broken)
    train(broken)
    assert log_of(broken) == log_of(whole)
    assert (broken / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    rates = log_of(whole)
    assert "learning_rate/audio.backbone" not in rates[3] and "learning_rate/audio.backbone" in rates[4]
    assert "learning_rate/image.backbone" not in rates[5] and "learning_rate/image.backbone" in rates[6]


def test_micro_batches_give_the_gradient_of_one_batch_from_pixels(staged):
    logs = []
    for name, size in (("one", 8), ("parts", 3)):
        folder = staged(name, micro_batch=size, precision="fp64", threads=1)
        train(folder)
        logs.append([entry["loss"] for entry in log_of(folder)])
    assert len(logs[0]) > 8 and logs[0] == pytest.approx(logs[1], rel=1e-7)


def test_a_trained_vision_backbone_is_in_the_model_and_a_loaded_one_has_its_weights(staged):
    folder = staged("loaded", unfreeze={})
    train(folder)
    model, _ = load(folder)
    saved = load_file(folder / "model.safetensors")
    moved = [name for name in saved if part_of(name) == "image.backbone"]
    assert len(moved) > 20
    parameters = dict(model.named_parameters())
    assert all(torch.equal(parameters[name], saved[name]) for name in saved)
    config = run_config(folder)
    fresh = dict(VeS(config.audio, config.model, 192, 2.0, config.vision).named_parameters())
    assert any(not torch.equal(fresh[name], saved[name]) for name in moved)
    tokens = localiser_of(folder).localise(Image.new("RGB", (90, 70), "red"), np.arange(16_000, dtype=np.int16))
    assert tokens.similarity.shape == (len(tokens.valid), 4, 4)
    pixels = torch.zeros(2, 3, 80, 80)
    with torch.no_grad():
        assert model.image_tokens(pixels).shape == (2, 16, 16)
