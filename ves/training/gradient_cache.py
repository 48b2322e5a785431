"""The gradient of one training step, in the memory of a micro-batch.

The true contrastive loss over a batch needs the tokens of all its pairs at once, but not all that was computed on the
way to them. So a batch larger than `micro_batch` goes through the towers twice (gradient caching, Gao et al. 2021):
once without a graph, for its tokens; then the loss and its gradient by the tokens are taken; then once more, with a
graph and the same random draws, micro-batch by micro-batch, to carry that gradient on into the parameters. Memory is
that of one micro-batch and of the tokens.

Several processes (ves.training.distributed) embed some of the pairs each. Every one compares its utterances with the
images of all: together these are all the similarities, each taken once.

Dimension key
    A utterances of this process    V images of all processes (A = V in one)
    T audio tokens    P image patches    D embedding
"""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from itertools import batched

import torch
from torch import Tensor

from ves.base.cpu import side_by_side, use_cores
from ves.config.experiment import TrainConfig
from ves.models.towers import VeS, plain_attention
from ves.training.dataset import Batch
from ves.training.distributed import ALONE, World
from ves.training.objective import Pairs, objective, represent
from ves.training.randomness import drawn_from, new_key


def own_rows(train: TrainConfig, world: World) -> slice:
    """Which rows of a step's batch this process reads. Raises ValueError when they do not share it out evenly."""
    share, rest = divmod(train.batch_size, world.size)
    if rest:
        raise ValueError(f"train.batch_size: {train.batch_size} does not divide by the {world.size} processes")
    if train.negatives == "micro_batch" and share % train.micro_batch and world.size > 1:
        raise ValueError(
            f"train.micro_batch: {train.micro_batch} does not divide the {share} clips of each of {world.size} "
            "processes, so that other clips would be negatives than in one process (negatives: micro_batch)"
        )
    return slice(world.rank * share, (world.rank + 1) * share)


def _parts(batch: Batch, size: int) -> Iterator[tuple[int, Batch]]:
    """The batch in pieces of `size` pairs, each with the number of its first row."""
    for start in range(0, len(batch), size):
        yield start, batch[start : start + size]


def _join(parts: list[Pairs], world: World) -> Pairs:
    """All pairs as one, with the images of all ranks; its tokens are leaves, which collect the gradient of a loss."""
    masks = [part.image_mask for part in parts if part.image_mask is not None]  # all have one, or none has
    mask = world.gather(torch.cat(masks)) if masks else None
    audio = torch.cat([part.audio.detach() for part in parts])
    image = world.gather(torch.cat([part.image.detach() for part in parts]))
    picture = world.gather(torch.cat([part.picture for part in parts]))
    audible = torch.cat([part.mask for part in parts])
    return Pairs(audio.requires_grad_(), audible, image.requires_grad_(), mask, picture, world.rank * len(audio))


def _whole_on_a_core(model: VeS, device: torch.device) -> bool:
    """Whether each core of a CPU can have clips of its own: where nothing is drawn at random, from one generator."""
    return device.type == "cpu" and not model.draws


def share_cores(model: VeS, train: TrainConfig) -> None:
    """Give the steps of a training in this thread `train.threads` cores."""
    use_cores(train.threads, whole=_whole_on_a_core(model, model.log_scale.device))


class _Towers:
    """The towers over the parts of some pairs, several at once where each core of a CPU can have one."""

    def __init__(self, model: VeS, batch: Batch, train: TrainConfig, key: tuple[int, int]) -> None:
        self.model, self.train, self.key, self.device = model, train, key, model.log_scale.device
        self.threads = train.threads if _whole_on_a_core(model, self.device) else 1
        at_once = min(train.micro_batch, len(batch))
        self.parts = list(_parts(batch, -(-at_once // self.threads)))
        self.once = at_once == len(batch)  # nothing to cache: graphs are kept
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def tokens(self, numbered: tuple[int, Batch], graph: bool) -> Pairs:
        """Of one part; what is drawn hangs on the number of its first row."""
        start, part = numbered
        drawn = drawn_from(self.device, self.key[0], self.key[1] + start) if self.threads == 1 else nullcontext()
        with torch.set_grad_enabled(graph), drawn:
            return represent(self.model, part.to(self.device), self.train)

    def forward(self) -> list[Pairs]:
        """The tokens of every part."""
        with plain_attention(self.device):  # a switch of the whole process: not one for each thread to turn
            return side_by_side(lambda part: self.tokens(part, self.once), self.parts, self.threads)

    def backward(self, found: list[Pairs], audio: Tensor, image: Tensor) -> None:
        """Add to the parameters' gradients what these gradients of all tokens make of them, part after part."""

        def carried(number: int) -> tuple[Tensor | None, ...]:
            start, part = self.parts[number]
            again = found[number] if self.once else self.tokens(self.parts[number], True)
            given = (audio[start : start + len(part)], image[start : start + len(part)])
            return torch.autograd.grad((again.audio, again.image), self.parameters, given, allow_unused=True)

        with plain_attention(self.device):
            for some in batched(range(len(self.parts)), self.threads):
                for gradients in side_by_side(carried, some, self.threads):
                    for parameter, gradient in zip(self.parameters, gradients, strict=True):
                        if gradient is not None:
                            parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)


def _contrast(
    model: VeS, batch: Batch, train: TrainConfig, share: float, key: tuple[int, int], world: World
) -> dict[str, float]:
    """Add `share` of the gradient of the objective over pairs that are each other's negatives; what to log of it.

    `key` is of what is drawn: the number of the step and that of the first row of this batch in the whole one.
    """
    towers = _Towers(model, batch, train, key)
    pairs = _join(found := towers.forward(), world)
    found = found if towers.once else []  # without graphs all is in `pairs`: 0.4 GB less at 1,024
    loss, logged = objective(pairs, model.log_scale, train, world)
    (loss * share).backward()
    assert pairs.audio.grad is not None and pairs.image.grad is not None
    image_gradient = world.sum(pairs.image.grad)[pairs.first :]  # every rank has compared its utterances with them
    towers.backward(found, pairs.audio.grad, image_gradient)
    return {name: value.item() for name, value in logged.items()}


def _mean(groups: list[tuple[float, dict[str, float]]], train: TrainConfig) -> dict[str, float]:
    """What to log of a step, out of that of its groups of negatives by their shares: all that every group has."""
    names = [name for name in groups[0][1] if all(name in logged for _, logged in groups)]
    logs = {name: sum(share * logged[name] for share, logged in groups) for name in names}
    weights: Mapping[str, float] = train.objective | train.regularisers
    return {"loss": sum(weight * logs[f"{name}/loss"] for name, weight in weights.items())} | logs


def gradient(model: VeS, batch: Batch, train: TrainConfig, world: World = ALONE) -> dict[str, float]:
    """Add the gradient of the objective over a step's batch to the parameters' `.grad`; what to log of it.

    `batch` holds this rank's rows of it (see `own_rows`); gradients and what is logged are of the whole, on every rank,
    to the same bits. With `negatives: batch` all other clips are a clip's negatives. With `negatives: micro_batch`
    the objective is the mean of those of the micro-batches, as in the paper, each by its number of clips: a clip's
    negatives are those of its own micro-batch.
    """
    step, first = world.broadcast(new_key()), world.rank * len(batch)
    if train.negatives == "batch":
        groups = [(1.0, _contrast(model, batch, train, 1.0, (step, first), world))]
    else:
        groups = []
        for start, part in _parts(batch, train.micro_batch):
            share = len(part) / (len(batch) * world.size)
            groups.append((share, _contrast(model, part, train, share, (step, first + start), ALONE)))
        groups = world.gather_objects(groups)
    world.sum_gradients(model.parameters())
    return _mean(groups, train)
