"""Batches, models and gradients of single steps of training."""

from typing import Any

import torch
from torch import Tensor, nn

from tests.support.tiny_corpus import tiny_config
from tests.support.towers import audio_config
from ves.config.experiment import ModelConfig
from ves.config.train import TrainConfig
from ves.models.towers import VeS
from ves.training.dataset import Batch

REGULARISED = {"non_negativity": 1.0, "temporal_variation": 0.1}
WIDTH = 24


def settings(**changes: Any) -> TrainConfig:
    """The committed settings of `dense` in fp32, with changes."""
    return tiny_config().train_of("dense").model_copy(update={"precision": "fp32", **changes})


def towers() -> VeS:
    """A model in training with dropout, SpecAugment and layer drop on."""
    torch.manual_seed(0)
    model = ModelConfig(dim=16, visual_layers=2, visual_heads=2, dropout=0.2, visual_head="mlp")
    made = VeS(
        audio_config(seconds=1.0, freeze_conv=False, mask_time_prob=0.3, layer_drop=0.3), model, WIDTH, 0.07
    ).train()
    for module in made.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.2
    return made


def pairs(size: int = 8) -> Batch:
    """Clips of up to one second; the first and the last are of one picture; some patches do not count."""
    draw = torch.Generator().manual_seed(1)
    valid = torch.tensor([16_000, 9_000, 12_000, 16_000] * (size // 4))
    waveform = torch.randn(size, 16_000, generator=draw) * (torch.arange(16_000) < valid[:, None])
    patches = torch.randn(size, 9, WIDTH, generator=draw).bfloat16()
    mask = torch.ones(size, 9, dtype=torch.bool)
    mask[1, 5:] = False
    picture = torch.arange(size)
    picture[-1] = 0
    return Batch(waveform, valid, patches, mask, picture)


def pixel_towers() -> VeS:
    """A model whose vision backbone is trained too, without anything random."""
    torch.manual_seed(0)
    config = tiny_config()
    vision = config.vision.model_copy(update={"image_size": 40})
    model = ModelConfig(dim=16, visual_layers=0, visual_heads=1, dropout=0.0, visual_head="linear")
    return VeS(audio_config(seconds=1.0), model, 192, 2.0, vision, "none").train()


def pixel_pairs() -> Batch:
    """The clips of `pairs`, each with a picture of 40 x 40 pixels."""
    batch, draw = pairs(), torch.Generator().manual_seed(2)
    return Batch(batch.waveform, batch.valid, torch.randn(8, 3, 40, 40, generator=draw), None, batch.image)


def gradients(model: VeS) -> dict[str, Tensor]:
    """What each parameter has; those of layers that were dropped have none."""
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_equal(actual: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    """To `tolerance` of the largest entry of each gradient (or of one thousandth of the largest of all)."""
    assert set(actual) == set(expected)
    largest = max(grad.abs().max().item() for grad in expected.values())
    for name, grad in expected.items():
        scale = max(grad.abs().max().item(), 1e-3 * largest)
        assert (actual[name] - grad).abs().max().item() <= tolerance * scale, name
