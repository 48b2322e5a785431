"""What the vision stand-in learns from: a small convolutional network that knows random things again, and colours.

A ViT of this size learns shapes from scratch too slowly for a CPU (LOG.md); convolutions do it in minutes. So a network
of convolutions learns the exemplars (Dosovitskiy et al. 2014: each of THINGS random things is a class of its own,
whatever its colour, size, tilt, mirroring, place, neighbours and background), and the ViT learns to give, at each
patch, what that network gives there. Which random thing was drawn where, and how large, is used; no mask, no kind of
the corpus and no colour name is.

Dimension key
    B pictures     P patches     W width     K things in a picture
"""

import logging
import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from standins.descent import descend
from standins.pictures import THINGS_SHOWN, surrogate_picture
from ves.base.progress import track

log = logging.getLogger(__name__)

PATCH, GRID = 14, 10
SIDE = PATCH * GRID
WIDTH = 192
THINGS = 200  # surrogate classes
REACH = 0.75  # of a thing's size: patches whose centre is nearer to its centre must name it
LEVELS = 4  # of each of red, green and blue in a histogram
MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]  # ImageNet's, as the real DINOv2 takes them
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


def to_input(pictures: np.ndarray) -> Tensor:
    """uint8 [B, side, side, 3] to normalised [B, 3, side, side]."""
    return (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255 - MEAN) / STD


@dataclass(frozen=True, eq=False)
class Drawn:
    """Pictures (uint8 [n, side, side, 3]), which things they show [n, K], and where: x, y, size in [-1, 1]."""

    pictures: np.ndarray
    things: Tensor
    places: Tensor


def draw(count: int, seed: int) -> Drawn:
    """`count` pictures of surrogate things in random colours on random textures."""
    rng = np.random.default_rng(seed)
    numbers = np.stack([rng.choice(THINGS, THINGS_SHOWN, replace=False) for _ in range(count)])
    shown = [surrogate_picture(rng, row, SIDE) for row in track(numbers, label="random pictures")]
    places = torch.tensor(np.array([place for _, place in shown])).float()
    return Drawn(np.stack([picture for picture, _ in shown]), torch.from_numpy(numbers), places)


def thing_at_patch(drawn: Drawn, rows: Tensor) -> Tensor:
    """Which thing each patch must name [B, P]: the nearest one, measured in its size; -100 beyond REACH."""
    centre = (torch.arange(GRID) + 0.5) / GRID * 2 - 1
    patch = torch.stack(torch.meshgrid(centre, centre, indexing="xy"), -1).flatten(0, 1)
    place = drawn.places[rows]
    distance, nearest = ((patch - place[:, :, None, :2]).norm(dim=-1) / place[:, :, None, 2]).min(1)
    return torch.where(distance < REACH, drawn.things[rows].gather(1, nearest), -100)


def colour_histogram(pictures: np.ndarray) -> Tensor:
    """Share of the LEVELS^3 coarse colours among the pixels of each patch [B, P, LEVELS^3]."""
    level = torch.from_numpy(pictures).long() * LEVELS // 256
    code = (level[..., 0] * LEVELS + level[..., 1]) * LEVELS + level[..., 2]
    patch = code.unflatten(1, (GRID, PATCH)).unflatten(3, (GRID, PATCH)).transpose(2, 3).flatten(3).flatten(1, 2)
    count = torch.zeros(*patch.shape[:2], LEVELS**3)
    return count.scatter_add_(2, patch, torch.ones(patch.shape)) / PATCH**2


def _convolution(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        self.branch = nn.Sequential(_convolution(width, width, 3, 1), second)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.branch(x))


class Teacher(nn.Module):
    """Normalised pictures [B, 3, SIDE, SIDE] to features [B, WIDTH, GRID, GRID]."""

    def __init__(self) -> None:
        super().__init__()
        stem = [_convolution(3, 24, 5, 2), _convolution(24, 64, 3, 2), _Residual(64), _Residual(64)]
        self.fine = nn.Sequential(*stem, _convolution(64, 128, 3, 2), _Residual(128), _Residual(128))
        self.coarse = nn.Sequential(_convolution(128, WIDTH, 3, 1), _Residual(WIDTH))

    def forward(self, pictures: Tensor) -> Tensor:
        fine = self.fine(pictures.to(memory_format=torch.channels_last))
        return self.coarse(F.interpolate(fine, (GRID, GRID), mode="area"))


def train_teacher(drawn: Drawn, steps: int, batch_size: int, rate: float, seed: int) -> Teacher:
    """Cross-entropy of the thing at each patch that lies on one; AdamW, one-cycle rate. The head is thrown away."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model, head = Teacher().to(memory_format=torch.channels_last), nn.Conv2d(WIDTH, THINGS, 1)
    parameters = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.2)
    started = time.monotonic()
    for step in track(range(steps), label="teacher"):
        rows = rng.integers(0, len(drawn.pictures), batch_size)
        with torch.autocast("cpu", torch.bfloat16):
            logits = head(model(to_input(drawn.pictures[rows])))
        wanted = thing_at_patch(drawn, torch.from_numpy(rows))
        loss = F.cross_entropy(logits.float().flatten(2), wanted, ignore_index=-100)
        descend(loss, parameters, optimizer, schedule)
        if step % 100 == 0:
            log.info("step %d teacher %.3f, %.0f s", step, loss.item(), time.monotonic() - started)
    return model.eval()


@torch.no_grad()
def targets(teacher: Teacher, drawn: Drawn) -> Tensor:
    """The teacher's features at each patch [n, P, WIDTH], each of unit variance and zero mean; bfloat16."""
    features = torch.empty(len(drawn.pictures), GRID**2, WIDTH, dtype=torch.bfloat16)
    for rows in track(np.array_split(np.arange(len(features)), len(features) // 64), label="teacher's features"):
        with torch.autocast("cpu", torch.bfloat16):
            features[torch.from_numpy(rows)] = teacher(to_input(drawn.pictures[rows])).flatten(2).transpose(1, 2)
    sample = features[:2000].float().flatten(0, 1)
    return (features - sample.mean(0).bfloat16()) / sample.std(0).clamp_min(0.05).bfloat16()
