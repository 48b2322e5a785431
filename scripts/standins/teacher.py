"""What the small DINOv2 learns from: feature maps of EfficientNet-Lite0, trained on ImageNet (ves/standins).

The network sees collages at 320 pixels, so that its last blocks, of stride 32, give one place for each patch of the
stand-in's 10 x 10.

Dimension key
    B pictures     P patches     C channels
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from transformers import EfficientNetModel

from standins.collages import collages
from standins.imagenet import GRID, SIDE, shrink, to_input
from ves.base.progress import track

NETWORK = Path(__file__).resolve().parents[2] / "ves/standins/efficientnet-lite0"
SEEN_AT = 320  # pixels
WIDTH = 320  # channels of the last block
CHUNK = 256  # collages drawn at once
BATCH = 32  # of them in the network at once


class Teacher(nn.Module):
    """Normalised pictures [B, 3, 320, 320] to features [B, P, C] of the last block."""

    def __init__(self) -> None:
        super().__init__()
        network = EfficientNetModel.from_pretrained(NETWORK, dtype=torch.float32).eval()
        self.network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, pictures: Tensor) -> Tensor:
        pictures = pictures.to(memory_format=torch.channels_last)
        last = self.network(pictures, output_hidden_states=True).hidden_states[-1]
        return last.flatten(2).transpose(1, 2)


@torch.no_grad()
def taught(teacher: nn.Module, count: int, seed: int, pool: list[Image.Image]) -> tuple[np.ndarray, Tensor]:
    """Collages as the stand-in sees them (uint8 [n, side, side, 3]), and features [n, P, C] in bfloat16.

    Features have zero mean and unit variance, channel by channel.
    """
    pictures = np.empty((count, SIDE, SIDE, 3), np.uint8)
    features = torch.empty(count, GRID**2, WIDTH, dtype=torch.bfloat16)
    for start in track(range(0, count, CHUNK), label="teacher", unit="chunk"):
        numbers = range(start, min(start + CHUNK, count))
        drawn, _ = collages(seed, numbers, pool, SEEN_AT)
        for first in range(0, len(drawn), BATCH):
            part = drawn[first : first + BATCH]
            rows = slice(start + first, start + first + len(part))
            with torch.autocast("cpu", torch.bfloat16):
                features[rows] = teacher(to_input(torch.from_numpy(part)))
            pictures[rows] = shrink(part)
    sample = features[:2000].float().flatten(0, 1)
    features -= sample.mean(0).bfloat16()
    features /= sample.std(0).clamp_min(1e-3).bfloat16()
    return pictures, features
