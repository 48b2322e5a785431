"""The vision backbone, frozen or trained: its folder, its grid of patches, and patch tokens of pictures.

A local folder, a stand-in and a model of the hub load with the same call. ves.models.backbone lists the kinds.

Dimension key
    V images    P patches    W backbone width    S side of the square
"""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import BFloat16, Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ves.config.experiment import VisionConfig
from ves.models.backbone import CONVOLUTIONS, backbone_folder, token_cell
from ves.models.pretrained import load_pretrained

# attributes of features that two pictures must share to be comparable
VISION = ("backbone", "revision", "weight_hash", "image_size", "fit", "normalisation")


def vision_folder(vision: VisionConfig) -> Path:
    """The folder of the backbone (ves.models.backbone). Raises ValueError that names the key."""
    return backbone_folder("vision.backbone", vision.backbone, vision.revision)


def patch_grid(config: Any, size: int) -> tuple[int, int]:
    """Rows and columns of patches in a square of `size` pixels. Raises ValueError that names the key if they misfit."""
    high, wide = token_cell(config.to_dict())
    if size % high or size % wide:
        step = math.lcm(high, wide)
        near = [str(n) for n in (size // step * step, (size // step + 1) * step) if n]
        raise ValueError(
            f"vision.image_size: {size} is not a multiple of the backbone's patches ({high} x {wide}); "
            f"take {' or '.join(near)}"
        )
    return size // high, size // wide


def device_name() -> str:
    """The device that the backbone runs on here, as far as the last bits of tokens may depend on it."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"cpu, {torch.backends.cpu.get_cpu_capability()}"


def load_backbone(vision: VisionConfig) -> nn.Module:
    """The backbone in fp32, in eval mode, on the GPU if there is one; with `compile`, compiled at its first batch."""
    model = load_pretrained(vision_folder(vision), dtype=torch.float32).eval()
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    if model.config.model_type in CONVOLUTIONS:
        fold_norms(model)
        model.to(memory_format=torch.channels_last)  # half the time on a CPU with bfloat16
    if vision.compile:
        model.compile(dynamic=False)  # in place; all batches have one size
    return model


def fold_norms(model: nn.Module) -> None:
    """Make each batch norm that follows a convolution a part of its weights, in place; for a network in eval mode.

    Maps differ by rounding only. On a CPU a norm is one more walk through memory (benchmarks/convolutions.py).
    """
    for parent in list(model.modules()):
        children = list(parent.named_children())
        for (name, convolution), (after, norm) in pairwise(children):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(convolution, norm))
                setattr(parent, after, nn.Identity())


def load_trainable(vision: VisionConfig) -> nn.Module:
    """The backbone as a part of a model that is trained, its weights in torch's default type.

    Batch norms are folded into the convolutions before them: they keep the statistics of pretraining, so a step does
    not depend on which pictures are computed together, and micro-batches change nothing.
    """
    model = load_pretrained(vision_folder(vision), dtype=torch.get_default_dtype()).eval()
    if model.config.model_type in CONVOLUTIONS:
        fold_norms(model)
    return model.train()


def patches_of(model: nn.Module, squares: Float[Tensor, "V 3 S S"]) -> Float[Tensor, "V P W"]:
    """Patch tokens of pictures (ves.media.images.pixels), without class and register tokens.

    Of convolutions they are the places of the last map, row by row; of EfficientNet, that of its last block, before the
    convolution that widens it for the classifier. Raises ValueError for a model whose tokens are not class, registers,
    patches.
    """
    config = cast(Any, model.config)
    if config.model_type in CONVOLUTIONS:
        squares = squares.contiguous(memory_format=torch.channels_last)
        maps = model(pixel_values=squares, output_hidden_states=True).hidden_states[-1]
        return maps.flatten(2).transpose(1, 2)
    hidden = model(pixel_values=squares).last_hidden_state
    rows, columns = patch_grid(config, squares.shape[-1])
    others = 1 + getattr(config, "num_register_tokens", 0)
    if hidden.shape[1] != others + rows * columns:
        raise ValueError(
            f"{config.model_type}: {hidden.shape[1]} tokens, not {others} and {rows} x {columns} patches; "
            "vision.backbone must be DINOv2 or a model with the same tokens"
        )
    return hidden[:, others:]


@torch.inference_mode()
def patch_tokens(model: nn.Module, squares: Float[Tensor, "V 3 S S"]) -> BFloat16[Tensor, "V P W"]:
    """`patches_of` a frozen backbone, in main memory.

    bfloat16 autocast is on, even on a CPU: it takes 0.6 of the time of fp32 (2 cores with AVX-512, the stand-in), and
    the store rounds to bfloat16 anyway.
    """
    device = next(model.parameters()).device
    with torch.autocast(device.type, torch.bfloat16):
        return patches_of(model, squares.to(device)).to("cpu", torch.bfloat16)
