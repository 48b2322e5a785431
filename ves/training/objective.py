"""The objective of a training step: where similarities, losses and regularisers meet the tokens of a model.

Dimension key
    A clips of this process    V images of all processes (A = V in one)
    T audio tokens    P image patches    D embedding
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ves.base.precision import widened
from ves.config.train import TrainConfig
from ves.losses.context import Context, Pairs, Term
from ves.losses.contrastive import LOSSES
from ves.losses.regularisers import REGULARISERS
from ves.models.towers import VeS
from ves.similarity.pairwise import SIMILARITIES
from ves.training.dataset import Batch
from ves.training.distributed import ALONE, World


def autocast(train: TrainConfig, device: torch.device) -> torch.autocast:
    """bfloat16 where it is safe, or nothing for fp32 and fp64.

    On a CPU, autocast's cache of bfloat16 weights is off. The whole process shares it and empties it whenever a thread
    leaves autocast, and gradients of two uses of one copy are added in bfloat16, those of two copies in fp32.
    """
    return torch.autocast(
        device.type, dtype=torch.bfloat16, enabled=train.precision == "bf16", cache_enabled=device.type != "cpu"
    )


def represent(model: VeS, batch: Batch, train: TrainConfig) -> Pairs:
    """The tokens of a batch, which must be on the model's device."""
    with autocast(train, batch.valid.device):
        audio, mask = model.audio_tokens(batch.waveform, batch.valid)
        image = model.image_tokens(batch.patches, batch.image_mask)
    return Pairs(audio, mask, image, batch.image_mask, batch.image, batch.recording, 0)


def objective(pairs: Pairs, log_scale: Float[Tensor, ""], train: TrainConfig, world: World = ALONE) -> Term:
    """The weighted sum of losses and regularisers over pairs that are each other's negatives, and its metrics.

    Metrics are those of the terms, as `<term>/<metric>`, and `masked_pairs`: of all pairs of two clips, the share that
    are not negatives because they show one picture or come from one recording. Over all processes the gradients add up
    to that of the whole batch; metrics are of the whole batch in each.
    """
    with autocast(train, pairs.audio.device):
        context = Context(**vars(pairs), scale=log_scale.exp(), sum_processes=world.sum)
        terms = {name: contrastive_term(context, name, train, world) for name in train.objective}
        for name in train.regularisers:
            terms[name] = REGULARISERS[name](context, **train.regulariser_settings(name))
    total, metrics = torch.zeros((), device=pairs.audio.device), {}
    for name, (loss, of_term) in terms.items():
        total = total + train.weights[name] * loss
        metrics |= {f"{name}/{metric}": value for metric, value in of_term.items()}
    not_negative = pairs.not_negative
    others = max(1, len(not_negative) * (len(not_negative) - 1))
    metrics["masked_pairs"] = (not_negative.sum() - len(not_negative)) / others
    return total, metrics


def contrastive_term(context: Context, name: str, train: TrainConfig, world: World) -> Term:
    """The loss of one similarity, and its metrics.

    Each process computes the rows of its own clips, and all compute the loss of all rows. All similarities share
    one temperature, as in the reference code.
    """
    logits = world.gather_with_gradient(context.scale * widened(SIMILARITIES[name](*context.tokens)))
    return LOSSES[train.loss](logits, context.not_negative)
