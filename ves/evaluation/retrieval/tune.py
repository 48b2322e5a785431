"""Retrieval on `tune`, the split for choices, while a model trains."""

import polars as pl
import torch
from torch import Tensor

from ves.base.cpu import cores, run_on_cores
from ves.config.train import TrainConfig
from ves.evaluation.retrieval.chance import chance
from ves.evaluation.retrieval.metrics import rank_queries, summary
from ves.models.image_tower import plain_attention
from ves.models.towers import VeS
from ves.similarity.pairwise import score
from ves.training.dataset import PairReader
from ves.training.objective import autocast


@torch.no_grad()
def recall(
    model: VeS, reader: PairReader, frame: pl.DataFrame, train: TrainConfig, device: torch.device
) -> dict[str, float]:
    """A2V retrieval on `tune`: R@10 in percent and the median rank; the number of clips, and R@10 by chance.

    Scores are fp32 at least, as in evaluation: in bfloat16 short clips tie, in the model's favour (it would take half
    the time, and save 3 s of a run).
    """
    model.eval()
    rows = frame["image_row"].to_numpy(writable=True)

    def tokens(start: int) -> tuple[Tensor, Tensor, Tensor]:
        part = slice(start, start + train.batch_size)
        waveform, valid = reader.waveforms(frame[part])
        patches, mask = reader.patches(rows[part])
        with autocast(train, device):
            audio, audible = model.audio_tokens(waveform.to(device), valid.to(device))
            image = model.image_tokens(patches.to(device), None if mask is None else mask.to(device))
        return audio, audible, image

    with plain_attention(device):  # a switch of the whole process: not one for each thread to turn
        parts = run_on_cores(tokens, range(0, len(frame), train.batch_size), cores())
    audio, audible, images = (torch.cat(part) for part in zip(*parts, strict=True))
    image_mask = None if reader.masks is None else reader.masks[rows].to(device)
    scores = score(train.objective, audio, audible, images, image_mask)
    image_of = torch.from_numpy(rows)
    right = image_of[:, None] == image_of[None, :]
    measured = summary(rank_queries(scores.cpu(), right))
    at_random = chance(right.sum(1).numpy(), len(frame))
    model.train()
    return {
        "tune/R@10": measured["R@10"],
        "tune/median_rank": measured["median_rank"],
        "tune/n": len(frame),
        "tune/chance_R@10": at_random["R@10"],
    }
