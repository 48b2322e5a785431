"""The objective of a training step: where similarities, losses and regularisers meet the tokens of a model.

Dimension key
    A clips of this process    V images of all processes (A = V in one)
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

    On a CPU, autocast's cache of bfloat16 weights is off. The whole process shares it and empties it whenever a thread
    leaves autocast, and gradients of two uses of one copy are added in bfloat16, those of two copies in fp32.
    """
    return torch.autocast(
        device.type, dtype=torch.bfloat16, enabled=train.precision == "bf16", cache_enabled=device.type != "cpu"
    )


type Term = tuple[Float[Tensor, ""], dict[str, Tensor]]  # what it adds to the objective; its metrics by name


@dataclass(frozen=True)
class Pairs:
    """Tokens of clips and of the images that they are compared with; clip a shows image `first + a`.

    `picture` numbers the images by content: equal numbers are one picture. So `recording` numbers the recordings that
    the clips of these images are of (None where the corpus has none).
    """

    audio: Float[Tensor, "A T D"]
    mask: Bool[Tensor, "A T"]
    image: Float[Tensor, "V P D"]
    image_mask: Bool[Tensor, "V P"] | None
    picture: Int[Tensor, "V"]
    first: int
    recording: Int[Tensor, "V"] | None = None

    @property
    def tokens(self) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Both sides with their masks, as similarities and regularisers take them."""
        return self.audio, self.mask, self.image, self.image_mask

    @property
    def same_image(self) -> Bool[Tensor, "V V"]:
        """Marks pairs (i, j) that show one picture."""
        return self.picture[:, None] == self.picture[None, :]

    @property
    def same_group(self) -> Bool[Tensor, "V V"]:
        """Marks pairs (i, j) of one picture or one recording, which so are not negatives of each other."""
        if self.recording is None:
            return self.same_image
        return self.same_image | (self.recording[:, None] == self.recording[None, :])


def represent(model: VeS, batch: Batch, train: TrainConfig) -> Pairs:
    """The tokens of a batch, which must be on the model's device."""
    with autocast(train, batch.valid.device):
        audio, mask = model.audio_tokens(batch.waveform, batch.valid)
        image = model.image_tokens(batch.patches, batch.image_mask)
    return Pairs(audio, mask, image, batch.image_mask, batch.image, 0, batch.recording)


def objective(pairs: Pairs, log_scale: Float[Tensor, ""], train: TrainConfig, world: World = ALONE) -> Term:
    """The weighted sum of losses and regularisers over pairs that are each other's negatives, and its metrics.

    Metrics are those of the terms, as `<term>/<metric>`, and `masked_pairs`: of all pairs of two clips, the share that
    are not negatives because they show one picture or are of one recording. Over all processes the gradients add up to
    that of the whole batch; metrics are of the whole batch in each.
    """
    with autocast(train, pairs.audio.device):
        terms = {name: contrastive_term(pairs, name, log_scale, train, world) for name in train.objective}
        terms |= {name: regulariser_term(pairs, name, train, world) for name in train.regularisers}
    total, metrics = torch.zeros((), device=pairs.audio.device), {}
    for name, (loss, of_term) in terms.items():
        total = total + loss
        metrics |= {f"{name}/{metric}": value for metric, value in of_term.items()}
    same_group = pairs.same_group
    others = max(1, len(same_group) * (len(same_group) - 1))
    metrics["masked_pairs"] = (same_group.sum() - len(same_group)) / others
    return total, metrics


def contrastive_term(pairs: Pairs, name: str, log_scale: Float[Tensor, ""], train: TrainConfig, world: World) -> Term:
    """The loss of one similarity times its weight, and the metrics of the loss.

    Each process computes the rows of its own clips, and all compute the loss of all rows. All similarities share
    one temperature, as in the reference code.
    """
    logits = world.gather_with_gradient(log_scale.exp() * widened(SIMILARITIES[name](*pairs.tokens)))
    loss, metrics = LOSSES[train.loss](logits, pairs.same_group)
    return train.objective[name] * loss, metrics


def regulariser_term(pairs: Pairs, name: str, train: TrainConfig, world: World) -> Term:
    """This process's share of one regulariser times its weight, and as metric `loss` the regulariser of all processes.

    The shares of all processes add up to the weighted mean; dividing the sum of one by the count of all keeps that so.
    """
    total, count = REGULARISERS[name](*pairs.tokens, pairs.first)
    count = world.sum(count).clamp(min=1)
    return train.regularisers[name] * total / count, {"loss": world.sum(total.detach()) / count}
