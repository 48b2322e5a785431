"""The frozen vision backbone: where it is, how it cuts the square into patches, pictures to patch tokens.

A local folder, a stand-in and a model of the hub load by the same call; DINOv2, with or without register tokens.

Dimension key
    V images    P patches    W backbone width    S side of the square
"""

import math
from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub import snapshot_download
from jaxtyping import BFloat16, Float
from torch import Tensor, nn

from ves.config.experiment import VisionConfig
from ves.models.pretrained import load_pretrained

VISION = ("backbone", "revision", "weight_hash", "image_size", "fit")  # what a picture must go through to be compared


def backbone_folder(vision: VisionConfig) -> Path:
    """The folder of the backbone: a local one, or that of the hub's cache (downloaded if need be).

    Raises ValueError that names the key when there is neither, or no safetensors in it.
    """
    folder = Path(vision.backbone)
    if not folder.is_dir():
        if vision.backbone.count("/") != 1:
            raise ValueError(f"vision.backbone: {vision.backbone!r} is no folder and no owner/name of the hub")
        wanted = ["config.json", "*.safetensors", "*.safetensors.index.json"]
        folder = Path(snapshot_download(vision.backbone, revision=vision.revision, allow_patterns=wanted))
    if not any(folder.glob("[!.]*.safetensors")):
        raise ValueError(f"vision.backbone: no *.safetensors in {folder}; other formats of weights are not loaded")
    return folder


def patch_grid(config: Any, size: int) -> tuple[int, int]:
    """Rows and columns of patches of a square of `size` pixels. Raises ValueError that names the key if they misfit."""
    patch = config.patch_size
    high, wide = (patch, patch) if isinstance(patch, int) else patch
    if size % high or size % wide:
        step = math.lcm(high, wide)
        near = [str(n) for n in (size // step * step, (size // step + 1) * step) if n]
        raise ValueError(
            f"vision.image_size: {size} is not a multiple of the backbone's patches ({high} x {wide}); "
            f"take {' or '.join(near)}"
        )
    return size // high, size // wide


def device_name() -> str:
    """What the backbone computes on here, as far as the last bits of tokens may depend on it."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"cpu, {torch.backends.cpu.get_cpu_capability()}"


def load_backbone(vision: VisionConfig) -> nn.Module:
    """The backbone in fp32, in eval mode, on the GPU if there is one; compiled at its first batch if so configured."""
    model = load_pretrained(backbone_folder(vision), dtype=torch.float32).eval()
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    if vision.compile:
        model.compile(dynamic=False)  # in place: batches are all of one size
    return model


@torch.inference_mode()
def patch_tokens(model: nn.Module, squares: Float[Tensor, "V 3 S S"]) -> BFloat16[Tensor, "V P W"]:
    """Patch tokens of pictures (ves.media.images.pixels), in main memory; class and register tokens are left out.

    Under bfloat16 autocast on a CPU too: it took 0.6 of the time of fp32 (2 cores with AVX-512, the stand-in), and the
    store rounds to bfloat16 anyway. Raises ValueError for a model whose tokens are not class, registers, patches.
    """
    device, config = next(model.parameters()).device, cast(Any, model.config)
    with torch.autocast(device.type, torch.bfloat16):
        hidden = model(pixel_values=squares.to(device)).last_hidden_state
    rows, columns = patch_grid(config, squares.shape[-1])
    others = 1 + getattr(config, "num_register_tokens", 0)
    if hidden.shape[1] != others + rows * columns:
        raise ValueError(
            f"{config.model_type}: {hidden.shape[1]} tokens, not {others} and {rows} x {columns} patches; "
            "vision.backbone must be DINOv2 or alike"
        )
    return hidden[:, others:].to("cpu", torch.bfloat16)
