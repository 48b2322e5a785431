"""The vision stand-in: a small DINOv2 that learned, without labels, to know a random thing again.

Its patch tokens must give, read by straight lines, what a convolutional teacher gives at that patch (exemplars.py) and
the histogram of the patch's colours, which are spoken of. Two ways were tried before and taught hardly any shape or
little of it: contrast of patches between two crops, and the exemplars learned by the ViT itself (LOG.md).

Dimension key
    B batch     P patches     D width
"""

import logging
import math
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Dinov2Config, Dinov2Model

from standins.descent import descend
from standins.exemplars import GRID, LEVELS, PATCH, SIDE, WIDTH, Drawn, colour_histogram, to_input
from standins.pictures import PROBE_COLOURS, probe_picture
from standins.probe import ridge_accuracy
from ves.base.progress import track

log = logging.getLogger(__name__)

COLOURS_WEIGHT = 0.2  # of the histogram's loss beside the squared error of the teacher's features
COLOURS_FROM = 0.625  # of the steps: colours are so much easier that from the start they keep shapes from being learned
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


def train(drawn: Drawn, targets: Tensor, steps: int, batch_size: int, rate: float, seed: int) -> Dinov2Model:
    """Learn `targets` [n, P, W] and the colours of each patch; AdamW, one-cycle rate. Both heads are thrown away."""
    rng = np.random.default_rng(seed)
    model = untrained(seed).train()
    width = model.config.hidden_size
    taught, mean, coloured = nn.Linear(width, WIDTH), nn.Linear(width, 3), nn.Linear(width, LEVELS**3)
    parameters = [parameter for part in (model, taught, mean, coloured) for parameter in part.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.15)
    started = time.monotonic()
    for step in track(range(steps), label="vision"):
        rows = rng.integers(0, len(drawn.pictures), batch_size)
        seen = to_input(drawn.pictures[rows])
        with torch.autocast("cpu", torch.bfloat16):
            tokens = model(seen).last_hidden_state[:, 1:]
        tokens = tokens.float()
        error = F.mse_loss(taught(tokens), targets[torch.from_numpy(rows)].float())
        colour = F.mse_loss(mean(tokens), F.adaptive_avg_pool2d(seen, GRID).flatten(2).transpose(1, 2))
        loss = error + colour
        if step >= COLOURS_FROM * steps:
            share = colour_histogram(drawn.pictures[rows])
            loss = loss + COLOURS_WEIGHT * F.cross_entropy(coloured(tokens).flatten(0, 1), share.flatten(0, 1))
        descend(loss, parameters, optimizer, schedule)
        if step % 100 == 0:
            log.info("step %d error %.3f colour %.4f, %.0f s", step, error, colour, time.monotonic() - started)
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
