"""The image tower: layers and a head over patch tokens, which a frozen backbone has made or its own makes of pixels.

Dimension key
    V images        P patches       W backbone width    D embedding     S side of the square of pixels
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from ves.config.experiment import ModelConfig, VisionConfig
from ves.models.heads import finished, projection
from ves.models.vision import load_trainable, patches_of


@contextmanager
def plain_attention(device: torch.device) -> Iterator[None]:
    """On a CPU, make attention a product, a softmax and a product, in bfloat16 if its inputs are.

    Forward and backward of an adapter layer then take two thirds of the time of the fused kernel, whose backward is
    slow in bfloat16. The switch has cuda in its name but works on a CPU too.
    """
    if device.type != "cpu":
        yield
        return
    before = torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed()
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(before)


class ImageTower(nn.Module):
    """Pictures to image tokens: layers and a head over the patch tokens of a backbone, which is a part of the tower
    where training moves it, and otherwise has made them before."""

    def __init__(
        self, model: ModelConfig, width: int, vision: VisionConfig | None = None, normalise: str = "tokens"
    ) -> None:
        super().__init__()
        self.normalise = normalise
        self.backbone = None if vision is None else load_trainable(vision)
        layer = nn.TransformerEncoderLayer(
            width, model.visual_heads, dim_feedforward=4 * width, dropout=model.dropout, batch_first=True
        )
        encoder: Any = nn.TransformerEncoder(layer, model.visual_layers, enable_nested_tensor=False)
        self.layers = encoder if model.visual_layers else None  # without layers: a linear probe of the frozen tokens
        self.head = projection(model.visual_head, width, model.dim)
        self.recompute = False  # whether backward computes a layer again, instead of forward keeping what it needs

    def forward(
        self,
        pictures: Float[Tensor, "V P W"] | Float[Tensor, "V 3 S S"],
        image_mask: Bool[Tensor, "V P"] | None = None,
    ) -> Float[Tensor, "V P D"]:
        """Image tokens of patch tokens or, with a backbone, of pixels as it expects them (ves.media.images.pixels). No
        patch attends to those outside the mask (padding of the square) in the layers; in a backbone all attend to all.
        """
        patches = pictures if self.backbone is None else patches_of(self.backbone, pictures)
        hidden = None if image_mask is None else ~image_mask
        with plain_attention(patches.device):
            if self.layers is not None and self.recompute and self.training:
                for layer in self.layers.layers:
                    output: Any = checkpoint(layer, patches, src_key_padding_mask=hidden, use_reentrant=False)
                    patches = output
            elif self.layers is not None:
                patches = self.layers(patches, src_key_padding_mask=hidden)
        return finished(self.head(patches), self.normalise)
