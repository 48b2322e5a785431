"""The objective of a training step: where similarities, losses and regularisers meet the tokens of a model.

Dimension key
    A utterances of this process    V images of all processes (A = V in one)
    T audio tokens    P image patches    D embedding
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ves.base.precision import widened
from ves.config.experiment import TrainConfig
from ves.losses.contrastive import LOSSES
from ves.losses.regularisers import REGULARISERS
from ves.models.towers import VeS
from ves.similarity.pairwise import SIMILARITIES
from ves.training.dataset import Batch
from ves.training.distributed import ALONE, World


def autocast(train: TrainConfig, device: torch.device) -> torch.autocast:
    """bfloat16 where it is safe, or nothing for fp32 and fp64.

    On a CPU, weights are not kept in bfloat16 from one use to the next: that cache is the process's, emptied whenever
    any thread leaves autocast, and gradients of two uses of one copy are added in bfloat16, of two copies in fp32.
    """
    return torch.autocast(
        device.type, dtype=torch.bfloat16, enabled=train.precision == "bf16", cache_enabled=device.type != "cpu"
    )


@dataclass(frozen=True)
class Pairs:
    """Tokens of utterances and of the images that they are compared with; utterance a is of image `first + a`.

    `picture` numbers the images by content: equal numbers are one picture.
    """

    audio: Float[Tensor, "A T D"]
    mask: Bool[Tensor, "A T"]
    image: Float[Tensor, "V P D"]
    image_mask: Bool[Tensor, "V P"] | None
    picture: Int[Tensor, "V"]
    first: int

    @property
    def same_image(self) -> Bool[Tensor, "V V"]:
        """Marks pairs (i, j) that show one picture, so are not negatives of each other."""
        return self.picture[:, None] == self.picture[None, :]


def represent(model: VeS, batch: Batch, train: TrainConfig) -> Pairs:
    """The tokens of a batch, which must be on the model's device."""
    with autocast(train, batch.valid.device):
        audio, mask = model.audio_tokens(batch.waveform, batch.valid)
        image = model.image_tokens(batch.patches, batch.image_mask)
    return Pairs(audio, mask, image, batch.image_mask, batch.image, 0)


def objective(
    pairs: Pairs, log_scale: Float[Tensor, ""], train: TrainConfig, world: World = ALONE
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """The weighted sum of losses and regularisers over pairs that are each other's negatives, and what to log of it.

    All losses share one temperature, as in the reference code. `effective_scale` of a term is the standard deviation of
    its logits over the negatives: what the softmax of that term really sees of the shared scale. It is left out where
    there are fewer than two negatives, which have no standard deviation. `masked_pairs` is the share of the pairs of
    two clips that are no negatives, being of one picture. Over ranks the gradients add up to that of the whole, and
    what is logged is of the whole.
    """
    tokens = (pairs.audio, pairs.mask, pairs.image, pairs.image_mask)
    same_image, logged = pairs.same_image, {}
    total = torch.zeros((), device=pairs.audio.device)
    with autocast(train, pairs.audio.device):
        for name, weight in train.objective.items():
            logits = world.gather_with_gradient(log_scale.exp() * widened(SIMILARITIES[name](*tokens)))
            loss = LOSSES[train.loss](logits, same_image)
            total = total + weight * loss
            logged[f"{name}/loss"] = loss.detach()
            negatives = logits.detach()[~same_image]
            if len(negatives) > 1:
                logged[f"{name}/effective_scale"] = negatives.std()
        for name, weight in train.regularisers.items():
            added, count = REGULARISERS[name](*tokens, pairs.first)
            count = world.sum(count).clamp(min=1)
            total = total + weight * added / count
            logged[f"{name}/loss"] = world.sum(added.detach()) / count
    others = max(1, len(same_image) * (len(same_image) - 1))
    logged["masked_pairs"] = (same_image.sum() - len(same_image)) / others
    return total, logged
