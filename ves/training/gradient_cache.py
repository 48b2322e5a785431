"""The gradient of one training step, in the memory of a micro-batch.

The true contrastive loss over a batch needs the tokens of all its pairs at once, but not everything that was computed
on the way to them. So a batch larger than `micro_batch` goes through the towers twice (gradient caching, Gao et al.
2021). The first pass computes the tokens, without a graph. Then the loss and its gradient with respect to the tokens
are computed. The second pass, micro-batch by micro-batch, has a graph and the same random numbers, and carries that
gradient on into the parameters. Memory is that of one micro-batch and of the tokens.

Several processes (ves.training.distributed) embed some of the pairs each. Each compares its clips with the images
of all of them; together these are all similarities, each computed once.

Dimension key
    A clips of this process    V images of all processes (A = V in one)
    T audio tokens    P image patches    D embedding
"""

from collections.abc import Iterator
from contextlib import nullcontext
from itertools import batched

import torch
from jaxtyping import Float
from torch import Tensor

from ves.base.cpu import run_on_cores, use_cores
from ves.config.train import TrainConfig
from ves.losses.context import Pairs
from ves.models.image_tower import plain_attention
from ves.models.towers import VeS
from ves.training.dataset import Batch
from ves.training.distributed import ALONE, World
from ves.training.objective import objective, represent
from ves.training.randomness import new_key, rng_from_key


def own_rows(train: TrainConfig, world: World) -> slice:
    """The rows of a step's batch that this process reads.

    Raises ValueError when the processes cannot have the same number of rows, or would have other negatives than one
    process has.
    """
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
    """The batch in parts of `size` pairs, each with the number of its first row; the last may be smaller."""
    for start in range(0, len(batch), size):
        yield start, batch[start : start + size]


def _join(parts: list[Pairs], world: World) -> Pairs:
    """The pairs of all parts, with the images of all processes. Tokens are leaves, which collect a loss's gradient."""
    masks = [part.image_mask for part in parts if part.image_mask is not None]  # every part has one, or none does
    mask = world.gather(torch.cat(masks)) if masks else None
    audio = torch.cat([part.audio.detach() for part in parts])
    image = world.gather(torch.cat([part.image.detach() for part in parts]))
    picture = world.gather(torch.cat([part.picture for part in parts]))
    numbers = [part.recording for part in parts if part.recording is not None]  # likewise
    recording = world.gather(torch.cat(numbers)) if numbers else None
    audible = torch.cat([part.mask for part in parts])
    first = world.rank * len(audio)
    return Pairs(audio.requires_grad_(), audible, image.requires_grad_(), mask, picture, recording, first)


def _whole_on_a_core(model: VeS, device: torch.device) -> bool:
    """Whether each core of a CPU can have clips of its own: not where random numbers come from one generator."""
    return device.type == "cpu" and not model.is_stochastic


def share_cores(model: VeS, train: TrainConfig) -> None:
    """Let training steps of this thread use `train.threads` cores."""
    use_cores(train.threads, whole=_whole_on_a_core(model, model.log_scale.device))


class _Towers:
    """Both passes of some pairs through the towers, in parts; several at once where each core of a CPU can have one."""

    def __init__(self, model: VeS, batch: Batch, train: TrainConfig, key: tuple[int, int]) -> None:
        self.model, self.train, self.key, self.device = model, train, key, model.log_scale.device
        self.threads = train.threads if _whole_on_a_core(model, self.device) else 1
        at_once = min(train.micro_batch, len(batch))
        self.parts = list(_parts(batch, -(-at_once // self.threads)))
        self.one_pass = at_once == len(batch)  # graphs are kept, and nothing is computed twice
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def tokens(self, number: int, *, graph: bool) -> Pairs:
        """The tokens of one part; its random numbers depend on the step and on the number of the part's first row."""
        start, part = self.parts[number]
        step, row = self.key
        rng = rng_from_key(self.device, step, row + start) if self.threads == 1 else nullcontext()
        with torch.set_grad_enabled(graph), rng:
            return represent(self.model, part.to(self.device), self.train)

    def forward(self) -> list[Pairs]:
        """The tokens of every part."""
        numbers = range(len(self.parts))
        with plain_attention(self.device):  # a switch of the whole process, so no thread may turn it
            return run_on_cores(lambda number: self.tokens(number, graph=self.one_pass), numbers, self.threads)

    def backward(self, graphs: list[Pairs], audio: Float[Tensor, "A T D"], image: Float[Tensor, "A P D"]) -> None:
        """Carry the gradients of all audio and image tokens on into the parameters, part after part.

        `graphs` is what `forward` returned; it is not used where the parts must be computed once more.
        """

        def carry_on(number: int) -> tuple[Tensor | None, ...]:
            start, part = self.parts[number]
            pairs = graphs[number] if self.one_pass else self.tokens(number, graph=True)
            of_tokens = (audio[start : start + len(part)], image[start : start + len(part)])
            return torch.autograd.grad((pairs.audio, pairs.image), self.parameters, of_tokens, allow_unused=True)

        with plain_attention(self.device):
            for numbers in batched(range(len(self.parts)), self.threads):
                for of_part in run_on_cores(carry_on, numbers, self.threads):
                    for parameter, added in zip(self.parameters, of_part, strict=True):
                        if added is not None:
                            parameter.grad = added if parameter.grad is None else parameter.grad.add_(added)


def _accumulate(
    model: VeS, batch: Batch, train: TrainConfig, share: float, key: tuple[int, int], world: World
) -> dict[str, float]:
    """Add `share` of the gradient of the objective over pairs that are each other's negatives; returns its metrics.

    `key` decides the random numbers: the number of the step, and that of this batch's first row in the whole batch.
    """
    towers = _Towers(model, batch, train, key)
    parts = towers.forward()
    pairs = _join(parts, world)
    graphs = parts if towers.one_pass else []
    del parts  # without graphs, `pairs` has all that is needed: 0.4 GB less at 1,024
    loss, metrics = objective(pairs, model.log_scale, train, world)
    (loss * share).backward()
    assert pairs.audio.grad is not None and pairs.image.grad is not None
    image_gradient = world.sum(pairs.image.grad)  # every process compares its clips with all images
    towers.backward(graphs, pairs.audio.grad, image_gradient[pairs.first : pairs.first + len(batch)])
    return {name: value.item() for name, value in metrics.items()}


def _mean(groups: list[tuple[float, dict[str, float]]], train: TrainConfig) -> dict[str, float]:
    """Metrics of a step: those that all of its groups of negatives have, averaged by the groups' shares; and `loss`,
    the weighted sum of the losses of all terms."""
    names = [name for name in groups[0][1] if all(name in metrics for _, metrics in groups)]
    means = {name: sum(share * metrics[name] for share, metrics in groups) for name in names}
    return {"loss": sum(weight * means[f"{name}/loss"] for name, weight in train.weights.items())} | means


def gradient(model: VeS, batch: Batch, train: TrainConfig, world: World = ALONE) -> dict[str, float]:
    """Add the gradient of the objective over a step's batch to the parameters' `.grad`; returns the step's metrics.

    `batch` has this process's rows (see `own_rows`). Gradients and metrics are those of the whole batch, and the same
    to the bit in every process. With `negatives: batch` a clip's negatives are all other clips. With `negatives:
    micro_batch`, as in the paper, they are the others of its micro-batch, and the objective is the mean over the
    micro-batches, each weighted by its number of clips.
    """
    step, first = world.broadcast(new_key()), world.rank * len(batch)
    if train.negatives == "batch":
        groups = [(1.0, _accumulate(model, batch, train, 1.0, (step, first), world))]
    else:
        groups = []
        for start, part in _parts(batch, train.micro_batch):
            share = len(part) / (len(batch) * world.size)
            groups.append((share, _accumulate(model, part, train, share, (step, first + start), ALONE)))
        groups = world.gather_objects(groups)
    world.sum_gradients(model.parameters())
    return _mean(groups, train)
