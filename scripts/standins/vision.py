"""The vision stand-in: a small DINOv2 that learned, without labels, to know a random thing again.

Exemplar learning (Dosovitskiy et al. 2014): each of THINGS random things is a class of its own, and a patch token that
lies on one must say which, whatever its colour, size, tilt, mirroring, place, neighbours and background. That makes
tokens tell shapes apart; a second straight line from each token to the mean colour of its patch keeps colours, which
are spoken of. Where a thing was drawn (centre and size) is known, as the crops of any self-supervised method are; no
mask, no kind of the corpus and no colour name is seen. Contrast of patches between two crops was tried before: it kept
colours and taught hardly any shape (LOG.md).

Dimension key
    B batch     P patches     D width     K things in a picture     N places looked at
"""

import logging
import math
import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Dinov2Config, Dinov2Model

from standins.pictures import PROBE_COLOURS, THINGS_SHOWN, probe_picture, surrogate_picture
from standins.probe import ridge_accuracy
from ves.progress import track

log = logging.getLogger(__name__)

PATCH, GRID = 14, 10
SIDE = PATCH * GRID
MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]  # ImageNet's, as the real DINOv2 takes them
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
THINGS = 200  # surrogate classes
PLACES = 2  # looked at on each thing of a picture, within half its size of the centre
PROBE_THINGS = 12


def config() -> Dinov2Config:
    """Four layers of width 192 on a 10 x 10 grid; other sizes interpolate the position embeddings."""
    return Dinov2Config(
        image_size=SIDE,
        patch_size=PATCH,
        hidden_size=192,
        num_hidden_layers=4,
        num_attention_heads=6,
        mlp_ratio=2,
    )


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


def untrained(seed: int) -> Dinov2Model:
    """Weights that start local, so that a small ViT learns in minutes (mimetic initialisation, Trockman & Kolter 2023).

    Position codes are sines of column and row, and queries equal keys, so a patch attends to its like and its
    neighbours before anything is learned; with transformers' own initialisation the same training took twice the steps.
    """
    torch.manual_seed(seed)
    model = Dinov2Model._from_config(config(), attn_implementation="eager")  # half the time of sdpa in bf16
    y, x = torch.meshgrid(torch.arange(float(GRID)), torch.arange(float(GRID)), indexing="ij")
    frequency = torch.exp(torch.linspace(math.log(0.25), math.log(2.0), model.config.hidden_size // 4))
    waves = [wave(axis.flatten()[:, None] * frequency) for axis in (x, y) for wave in (torch.sin, torch.cos)]
    with torch.no_grad():
        for layer in model.encoder.layer:
            for matrix in (parameter for parameter in layer.parameters() if parameter.ndim == 2):
                nn.init.xavier_uniform_(matrix)
            layer.attention.q_proj.weight.normal_(0, 0.06)
            layer.attention.k_proj.weight.copy_(layer.attention.q_proj.weight)
        model.embeddings.position_embeddings[0, 1:] = 0.7 * torch.cat(waves, 1)
        nn.init.normal_(model.embeddings.patch_embeddings.projection.weight, 0, (3 * PATCH**2) ** -0.5)
    return model


def at(tokens: Tensor, places: Tensor) -> Tensor:
    """Tokens [B, P, D] read between patches at places [B, N, 2] in [-1, 1]: [B, N, D]."""
    grid = tokens.transpose(1, 2).unflatten(2, (GRID, GRID))
    return F.grid_sample(grid, places[:, :, None], align_corners=False, padding_mode="border")[..., 0].transpose(1, 2)


def losses(
    model: Dinov2Model, which: nn.Linear, colour: nn.Linear, drawn: Drawn, rows: np.ndarray, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the thing at places on things, and squared error of every patch's mean colour."""
    seen, place = to_input(drawn.pictures[rows]), drawn.places[torch.from_numpy(rows)]
    with torch.autocast("cpu", torch.bfloat16):
        tokens = model(seen).last_hidden_state[:, 1:]
    tokens = tokens.float()
    shift = torch.from_numpy(rng.uniform(-0.5, 0.5, (*place.shape[:2], PLACES, 2))).float()
    places = (place[:, :, None, :2] + shift * place[:, :, None, 2:]).flatten(1, 2)
    label = drawn.things[torch.from_numpy(rows)].repeat_interleave(PLACES, 1)
    named = F.cross_entropy(which(at(tokens, places)).flatten(0, 1), label.flatten())
    mean_colour = F.adaptive_avg_pool2d(seen, GRID).flatten(2).transpose(1, 2)
    return named, F.mse_loss(colour(tokens), mean_colour)


def train(drawn: Drawn, steps: int, batch_size: int, rate: float, seed: int) -> Dinov2Model:
    """AdamW, one-cycle rate. Both heads are thrown away."""
    rng = np.random.default_rng(seed)
    model = untrained(seed).train()
    which, colour = nn.Linear(model.config.hidden_size, THINGS), nn.Linear(model.config.hidden_size, 3)
    parameters = [*model.parameters(), *which.parameters(), *colour.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.15)
    started = time.monotonic()
    for step in track(range(steps), label="things"):
        rows = rng.integers(0, len(drawn.pictures), batch_size)
        named, coloured = losses(model, which, colour, drawn, rows, rng)
        optimizer.zero_grad()
        (named + coloured).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            log.info("step %d things %.3f colour %.4f, %.0f s", step, named, coloured, time.monotonic() - started)
    return model.eval()


def probe_set(count: int, seed: int) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Pictures of PROBE_THINGS things never trained on, and of each patch its thing and colour (0 where mixed)."""
    rng = np.random.default_rng(seed)
    drawn = [probe_picture(rng, PROBE_THINGS) for _ in range(count)]
    pictures = F.interpolate(to_input(np.stack([picture for picture, _, _ in drawn])), (SIDE, SIDE), mode="area")

    def patches(maps: np.ndarray, classes: int) -> np.ndarray:
        share = torch.stack([torch.from_numpy(maps == label).float() for label in range(classes + 1)], 1)
        share, label = F.adaptive_avg_pool2d(share, GRID).max(1)
        return torch.where(share > 0.6, label, 0).flatten(1).numpy()

    things = patches(np.stack([shape for _, shape, _ in drawn]), PROBE_THINGS)
    return pictures, things, patches(np.stack([colour for _, _, colour in drawn]), len(PROBE_COLOURS))


@torch.no_grad()
def probe(model: Dinov2Model, seed: int) -> dict[str, float]:
    """Accuracy of linear (ridge) read-outs from patch tokens, on pictures not fitted.

    `thing` and `colour` are read from the patch's own token, `thing_3x3` from it and its eight neighbours together.
    """
    scores = {}
    fitted, held = probe_set(700, seed), probe_set(300, seed + 1)
    tokens = [torch.cat([model(part).last_hidden_state[:, 1:] for part in one[0].split(50)]) for one in (fitted, held)]
    wide = [F.unfold(one.transpose(1, 2).unflatten(2, (GRID, GRID)), 3, padding=1).transpose(1, 2) for one in tokens]
    for name, index, read in (("thing", 1, tokens), ("colour", 2, tokens), ("thing_3x3", 1, wide)):
        (x, y), (x_held, y_held) = (
            (token[torch.from_numpy(one[index] > 0)], torch.from_numpy(one[index][one[index] > 0]))
            for token, one in zip(read, (fitted, held), strict=True)
        )
        scores[name] = ridge_accuracy(x, y, x_held, y_held)
    return scores
