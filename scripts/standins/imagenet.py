"""The grid of the vision stand-in, and pictures as its input."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

PATCH, GRID = 20, 10
SIDE = PATCH * GRID
MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]  # ImageNet's, as the real DINOv2 takes them
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


def to_input(pictures: Tensor) -> Tensor:
    """uint8 [B, side, side, 3] to normalised [B, 3, side, side]."""
    return (pictures.permute(0, 3, 1, 2).float() / 255 - MEAN) / STD


def shrink(pictures: np.ndarray) -> np.ndarray:
    """uint8 [n, h, w, 3] to [n, SIDE, SIDE, 3]."""
    small = [Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for one in pictures]
    return np.stack([np.asarray(one) for one in small])
