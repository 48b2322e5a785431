"""The processes that train one model together, one per GPU, and what they exchange.

`torchrun --nproc_per_node N -m ves train RUN` starts them; a process started without it is alone. Each process reads
its rows of a step's batch, embeds them and computes its part of the gradient. After a step all processes have the same
weights, to the bit. Only the main process, that of rank 0, writes files. They communicate through nccl on GPUs, through
gloo on a CPU.
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

TIMEOUT = timedelta(hours=2)  # for which the others wait while the main process evaluates or writes


@dataclass(frozen=True)
class World:
    """All processes of a training, as one of them knows them: how many there are, its own rank (from 0) and device.

    Where there is only one, every method costs nothing.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all processes, by rank. No gradient passes; all must have the same number of rows."""
        if self.size == 1:
            return rows
        sent = rows.byte() if rows.dtype == torch.bool else rows
        parts = [torch.empty_like(sent) for _ in range(self.size)]
        dist.all_gather(parts, sent.contiguous())
        return torch.cat(parts).to(rows.dtype)

    def gather_with_gradient(self, rows: Tensor) -> Tensor:
        """As `gather`, but a gradient passes to this process's own rows: for what all processes then compute alike."""
        if self.size == 1:
            return rows
        every, start = self.gather(rows.detach()), self.rank * len(rows)
        return torch.cat([every[:start], rows, every[start + len(rows) :]])

    def gather_objects(self, items: list[Any]) -> list[Any]:
        """The items of all processes (plain Python objects), by rank."""
        if self.size == 1:
            return items
        lists: list[Any] = [None] * self.size
        dist.all_gather_object(lists, items)
        return [item for of_one in lists for item in of_one]

    def sum(self, value: Tensor) -> Tensor:
        """The sum over all processes of tensors of one shape. No gradient passes."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        return total

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Make every `.grad` the sum over all processes. One that no process has stays None, as in a single process."""
        if self.size == 1:
            return
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        counts = self.sum(torch.tensor([float(p.grad is not None) for p in trained], device=self.device)).tolist()
        moved = [parameter for parameter, count in zip(trained, counts, strict=True) if count]
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in moved])
        dist.all_reduce(flat)
        for parameter, part in zip(moved, flat.split([p.numel() for p in moved]), strict=True):
            parameter.grad = part.view_as(parameter)

    def broadcast(self, number: int) -> int:
        """The main process's number."""
        if self.size == 1:
            return number
        message = torch.tensor(number, device=self.device)
        dist.broadcast(message, src=0)
        return int(message)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process. All get one answer, so that none continues while another stops."""
        return flag if self.size == 1 else bool(self.sum(torch.tensor(float(flag), device=self.device)))

    def barrier(self) -> None:
        """Wait until every process has come here."""
        self.any(False)


ALONE = World(rank=0, size=1, device=torch.device("cpu"))


@contextmanager
def join_world() -> Iterator[World]:
    """The processes that torchrun has started, or this one alone, each on a GPU of its own (ves.base.gpus).

    Raises ValueError when a machine has more processes than GPUs, or than free GPUs.
    """
    own, size = gpus.take(), int(os.environ.get("WORLD_SIZE", "1"))  # `take` comes first: it sets what CUDA can see
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", own) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if size == 1:
        yield World(0, 1, device)
        return
    dist.init_process_group("nccl" if cuda else "gloo", timeout=TIMEOUT)
    try:
        yield World(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()
