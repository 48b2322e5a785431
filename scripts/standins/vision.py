"""The vision stand-in: a small DINOv2 taught, without a name or a mask, by a network that knows photographs.

Its patch tokens must give, read by straight lines, what the teacher (standins.teacher) gives at that place of a
collage, and the histogram of the patch's colours, which are spoken of and to which a classifier of things is blind.
Ways that taught less are in LOG.md: contrast of patches between two crops, random shapes as exemplars, a home-made
teacher.

Dimension key
    B batch     P patches     D width     C channels of the teacher
"""

import logging
import math
import time

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from transformers import Dinov2Config, Dinov2Model

from standins.collages import collages
from standins.descent import descend
from standins.imagenet import GRID, PATCH, SIDE, shrink, to_input
from standins.pictures import probe_picture
from standins.probe import ridge_accuracy
from ves.base.progress import track

log = logging.getLogger(__name__)

LEVELS = 4  # of each of red, green and blue in a histogram
COLOURS_WEIGHT = 0.2  # of the histogram's loss beside the squared error of the teacher's features
COLOURS_FROM = 0.625  # of the steps: colours are so much easier that from the start they keep shapes from being learned
MEAN_WEIGHT = 0.5  # of the squared error of each patch's mean colour
MOSTLY = 0.6  # share of a patch that a thing covers whose name is asked for


def config() -> Dinov2Config:
    """Six layers of width 192 on a 10 x 10 grid; other sizes interpolate the position embeddings."""
    return Dinov2Config(
        image_size=SIDE,
        patch_size=PATCH,
        hidden_size=192,
        num_hidden_layers=6,
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


def colour_histogram(pictures: Tensor) -> Tensor:
    """Share of the LEVELS^3 coarse colours among the pixels of each patch [B, P, LEVELS^3].

    `pictures` are uint8 [B, side, side, 3].
    """
    level = pictures.long() * LEVELS // 256
    code = (level[..., 0] * LEVELS + level[..., 1]) * LEVELS + level[..., 2]
    patch = code.unflatten(1, (GRID, PATCH)).unflatten(3, (GRID, PATCH)).transpose(2, 3).flatten(3).flatten(1, 2)
    count = torch.zeros(*patch.shape[:2], LEVELS**3)
    return count.scatter_add_(2, patch, torch.ones(patch.shape)) / PATCH**2


def train(pictures: np.ndarray, features: Tensor, steps: int, batch_size: int, rate: float, seed: int) -> Dinov2Model:
    """Learn `features` [n, P, C] and the colours of each patch; AdamW, one-cycle rate. The heads are thrown away.

    `pictures` are uint8 [n, side, side, 3]. Half of the batches are mirrored, and their features with them.
    """
    rng = np.random.default_rng(seed)
    model = untrained(seed).train()
    width = model.config.hidden_size
    taught, mean, coloured = nn.Linear(width, features.shape[-1]), nn.Linear(width, 3), nn.Linear(width, LEVELS**3)
    parameters = [parameter for part in (model, taught, mean, coloured) for parameter in part.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    started = time.monotonic()
    for step in track(range(steps), label="vision"):
        rows = rng.integers(0, len(pictures), batch_size)
        shown, wanted = torch.from_numpy(pictures[rows]), features[torch.from_numpy(rows)].float()
        if rng.random() < 0.5:
            shown, wanted = shown.flip(2), wanted.unflatten(1, (GRID, GRID)).flip(2).flatten(1, 2)
        seen = to_input(shown)
        with torch.autocast("cpu", torch.bfloat16):
            tokens = model(seen).last_hidden_state[:, 1:]
        tokens = tokens.float()
        error = F.mse_loss(taught(tokens), wanted)
        colour = F.mse_loss(mean(tokens), F.adaptive_avg_pool2d(seen, GRID).flatten(2).transpose(1, 2))
        loss = error + MEAN_WEIGHT * colour
        if step >= COLOURS_FROM * steps:
            share = colour_histogram(shown)
            loss = loss + COLOURS_WEIGHT * F.cross_entropy(coloured(tokens).flatten(0, 1), share.flatten(0, 1))
        descend(loss, parameters, optimizer, schedule)
        if step % 100 == 0:
            log.info("step %d error %.3f colour %.4f, %.0f s", step, error, colour, time.monotonic() - started)
    return model.eval()


def _labels(maps: np.ndarray) -> np.ndarray:
    """The class that covers MOSTLY of each patch [n, P], 0 where none does; maps [n, h, w] count from 1."""
    labels = []
    for one in torch.from_numpy(maps.astype(np.int64)):
        classes = one.unique()
        share, place = F.adaptive_avg_pool2d((one == classes[:, None, None]).float(), GRID).max(0)
        labels.append(torch.where(share > MOSTLY, classes[place], 0).flatten())
    return torch.stack(labels).numpy()


def thing_set(count: int, seed: int, things: list[Image.Image]) -> tuple[Tensor, np.ndarray]:
    """Inputs of collages of `things`, and which of them each patch shows (from 1; 0 where mixed or none)."""
    pictures, owners = collages(seed, range(count), things, 2 * SIDE)
    return to_input(torch.from_numpy(shrink(pictures))), _labels(owners)


def colour_set(count: int, seed: int) -> tuple[Tensor, np.ndarray]:
    """Inputs of pictures of random shapes, and the colour of each patch (from 1; 0 where mixed or none)."""
    rng = np.random.default_rng(seed)
    drawn = [probe_picture(rng) for _ in range(count)]
    pictures = to_input(torch.from_numpy(shrink(np.stack([picture for picture, _ in drawn]))))
    return pictures, _labels(np.stack([colours for _, colours in drawn]))


@torch.no_grad()
def probe(model: Dinov2Model, seed: int, things: list[Image.Image]) -> dict[str, float]:
    """Accuracy of linear (ridge) read-outs from one patch token, on pictures not fitted: of things that were never
    trained on, and of colours."""
    sets = {
        "thing": [thing_set(count, seed + i, things) for i, count in enumerate((700, 300))],
        "colour": [colour_set(count, seed + i) for i, count in enumerate((700, 300))],
    }
    scores = {}
    for name, pair in sets.items():
        read = []
        for pictures, labels in pair:
            tokens = torch.cat([model(part).last_hidden_state[:, 1:] for part in pictures.split(50)])
            read += [tokens[torch.from_numpy(labels > 0)], torch.from_numpy(labels[labels > 0])]
        scores[name] = ridge_accuracy(*read)
    return scores
