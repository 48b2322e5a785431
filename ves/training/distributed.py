"""The processes that train one model together, one per GPU, and what they tell each other.

`torchrun --nproc_per_node N -m ves train RUN` starts them; a process started without it is alone. Each reads its rows
of a step's batch, embeds them and takes its part of the gradient; after a step all hold the same weights, to the bit.
Rank 0 is the one that writes. On GPUs they speak through nccl, on a CPU through gloo.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ves.base import gpus

PATIENCE = timedelta(hours=2)  # that the others wait while rank 0 evaluates or writes


@dataclass(frozen=True)
class Ranks:
    """This process among `size`: its number, from 0, and its device. Alone, every method costs nothing."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all ranks, in their order. No gradient passes; all must give as many."""
        if self.size == 1:
            return rows
        given = rows.byte() if rows.dtype == torch.bool else rows
        parts = [torch.empty_like(given) for _ in range(self.size)]
        dist.all_gather(parts, given.contiguous())
        return torch.cat(parts).to(rows.dtype)

    def complete(self, rows: Tensor) -> Tensor:
        """As `gather`, and a gradient passes to this rank's own rows: for what every rank then computes alike."""
        if self.size == 1:
            return rows
        every, start = self.gather(rows.detach()), self.rank * len(rows)
        return torch.cat([every[:start], rows, every[start + len(rows) :]])

    def sum(self, value: Tensor) -> Tensor:
        """The sum over all ranks, of tensors of one shape. No gradient passes."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        return total

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Let every `.grad` be the sum over all ranks; one that no rank has stays None, as it would in one process."""
        if self.size == 1:
            return
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        having = self.sum(torch.tensor([float(p.grad is not None) for p in trained], device=self.device)).tolist()
        moved = [parameter for parameter, count in zip(trained, having, strict=True) if count]
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in moved])
        dist.all_reduce(flat)
        for parameter, part in zip(moved, flat.split([p.numel() for p in moved]), strict=True):
            parameter.grad = part.view_as(parameter)

    def collect(self, items: list[Any]) -> list[Any]:
        """The items of all ranks (plain Python objects), in their order."""
        if self.size == 1:
            return items
        lists: list[Any] = [None] * self.size
        dist.all_gather_object(lists, items)
        return [item for given in lists for item in given]

    def of_first(self, number: int) -> int:
        """Rank 0's number."""
        if self.size == 1:
            return number
        told = torch.tensor(number, device=self.device)
        dist.broadcast(told, src=0)
        return int(told)

    def any(self, flag: bool) -> bool:
        """Whether any rank says yes; all get the same answer, so that none goes on while another stops."""
        return flag if self.size == 1 else bool(self.sum(torch.tensor(float(flag), device=self.device)))

    def wait(self) -> None:
        """Until every rank has come here."""
        self.any(False)


ALONE = Ranks(rank=0, size=1, device=torch.device("cpu"))


@contextmanager
def joined() -> Iterator[Ranks]:
    """The ranks that torchrun has started, or this process alone, each on a GPU of its own (ves.base.gpus).

    Raises ValueError when a machine has more processes than GPUs, or than are free.
    """
    own, size = gpus.take(), int(os.environ.get("WORLD_SIZE", "1"))  # the first: it settles what CUDA is to see
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", own) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if size == 1:
        yield Ranks(0, 1, device)
        return
    dist.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
    try:
        yield Ranks(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()
