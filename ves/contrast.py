"""The gradient of one training step: where losses, similarities and the model meet.

Dimension key
    B clips of a step, each with its image
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from ves.config import TrainConfig
from ves.dataset import Batch
from ves.losses import LOSSES
from ves.model import VeS
from ves.similarity import SIMILARITIES


def autocast(train: TrainConfig, device: torch.device) -> torch.autocast:
    """bfloat16 where it is safe, or nothing for fp32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=train.precision == "bf16")


def objective(model: VeS, batch: Batch, train: TrainConfig) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum of the run's losses over pairs that are each other's negatives, and what to log of each term.

    All terms share one temperature, as in the reference code. `effective_scale` of a term is the standard deviation of
    its logits over the negatives: what the softmax of that term really sees of the shared scale. It is left out where
    there are fewer than two negatives, which have no standard deviation.
    """
    audio, mask = model.audio_tokens(batch.waveform, batch.valid)
    image = model.image_tokens(batch.patches, batch.image_mask)
    scale, same_image = model.log_scale.exp(), batch.same_image
    total, logged = torch.zeros((), device=audio.device), {}
    for name, weight in train.objective.items():
        logits = scale * SIMILARITIES[name](audio, mask, image, batch.image_mask).float()
        loss = LOSSES[train.loss](logits, same_image)
        total = total + weight * loss
        logged[f"{name}/loss"] = loss.detach()
        negatives = logits.detach()[~same_image]
        if len(negatives) > 1:
            logged[f"{name}/effective_scale"] = negatives.std()
    return total, logged


def _parts(batch: Batch, size: int) -> Iterator[Batch]:
    """The batch in pieces of `size` pairs."""
    for start in range(0, len(batch), size):
        yield batch[start : start + size]


def gradient(model: VeS, batch: Batch, train: TrainConfig) -> dict[str, float]:
    """Add the gradient of the objective over a batch to the parameters' `.grad`; what to log of it.

    With `negatives: micro_batch` the objective is the mean of those of the micro-batches, as in the paper, each by its
    number of clips: a clip's negatives are those of its own micro-batch.
    """
    device, logs = model.log_scale.device, {}
    for part in _parts(batch, train.micro_batch):
        share = len(part) / len(batch)
        with autocast(train, device):
            loss, logged = objective(model, part.to(device), train)
        (loss * share).backward()
        for name, value in {"loss": loss.detach(), **logged}.items():
            logs[name] = logs.get(name, 0.0) + share * value.item()
    return logs
