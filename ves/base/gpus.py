"""A GPU of its own for each job of a machine, without anyone who hands them out.

(Workflow engines count GPUs, but do not say which one is whose.)

A process takes the first GPU that nobody else has (ves.base.locks), and until it ends sees no other: `cuda` is that
one, in every thread. Jobs of one user know of each other by lock files in the machine's folder for temporary files.
Taken are those that CUDA_VISIBLE_DEVICES leaves, by the names that it gives them: jobs that name one GPU in two ways
(2, and GPU-5ebe...) do not know of each other.

Where all are taken, a process that is alone shares the first, and says so. The processes of one training cannot: each
waits for a GPU to become free (a training that was told to stop writes a checkpoint first), and then gives up.
"""

import logging
import os
import tempfile
import time
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import torch

from ves.base import locks

log = logging.getLogger(__name__)

PATIENCE = 120.0  # seconds that the processes of one training wait for theirs
POLL = 0.5

_taken = ExitStack()  # until this process ends


def names() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them. CUDA is not started by this question."""
    count = torch.cuda.device_count()
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    return [name.strip() for name in given.split(",")][:count] if given else [str(number) for number in range(count)]


def folder() -> Path:
    """Where the lock files are: one folder for each user. Raises ValueError where another user has made it."""
    path = Path(tempfile.gettempdir()) / f"ves-gpus-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    if path.is_symlink() or path.stat().st_uid != os.getuid():
        raise ValueError(f"{path}: belongs to another user; delete it, or set TMPDIR to a folder of yours")
    return path


@cache
def take() -> int:
    """Take a GPU until this process ends; its number among those that the process now sees. Once taken, it is kept.

    To be called before CUDA is used: afterwards, and where there is no GPU, nothing is taken, and it is LOCAL_RANK's.
    Raises ValueError for a process of several that finds none.
    """
    local, together = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    found = names()
    if found and max(local + 1, together) > len(found):
        raise ValueError(f"--nproc_per_node: more processes than the {len(found)} GPUs of this machine")
    if not found or torch.cuda.is_initialized():
        return local
    name, others = _first(found, PATIENCE if together > 1 else 0.0)
    if name is None and together > 1:
        raise ValueError(f"--nproc_per_node: {together} processes, and too few GPUs are free: {others}")
    if name is None:
        name = found[0]
        log.warning("no GPU is free (%s): sharing GPU %s; start fewer jobs at once", others, name)
    os.environ["CUDA_VISIBLE_DEVICES"] = name
    return 0


def _first(found: list[str], patience: float) -> tuple[str | None, str]:
    """The first free GPU, now taken, and whose the others are; None if none becomes free within `patience` seconds."""
    until = time.monotonic() + patience
    while True:
        others = []
        for name in found:
            try:
                _taken.enter_context(locks.held(folder() / f"{name.replace('/', '_')}.lock", range(1)))
                return name, ""
            except locks.Taken as taken:
                others.append(f"GPU {name}: {taken.holder}")
        if time.monotonic() >= until:
            return None, ", ".join(others)
        time.sleep(POLL)
