"""A GPU of its own for each job of a machine, without a process that hands them out.

(Workflow engines count GPUs, but do not say which job has which.)

A process takes the first free GPU (ves.base.locks) and sees no other until it ends: `cuda` is that one, in every
thread. Jobs of one user know of each other by lock files in the machine's folder for temporary files. They choose among
the GPUs in CUDA_VISIBLE_DEVICES, by the names used there: jobs that name one GPU in two ways (2, and GPU-5ebe...) do
not know of each other.

If no GPU is free, a single process shares the first, and logs that. The processes of one training cannot share: each
waits for a GPU (a training that has to stop writes a checkpoint first) and then gives up.
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

TIMEOUT = 120.0  # seconds that the processes of one training wait for their GPUs
POLL = 0.5  # seconds between two attempts

_lock = ExitStack()  # held until this process ends


def names() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them. This does not start CUDA."""
    count = torch.cuda.device_count()
    if visible := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return [name.strip() for name in visible.split(",")][:count]
    return [str(number) for number in range(count)]


def folder() -> Path:
    """Where the lock files are: one folder for each user. Raises ValueError if it belongs to another user."""
    path = Path(tempfile.gettempdir()) / f"ves-gpus-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    if path.is_symlink() or path.stat().st_uid != os.getuid():
        raise ValueError(f"{path}: belongs to another user; delete it, or set TMPDIR to a folder of yours")
    return path


@cache
def take() -> int:
    """Take a GPU until this process ends; returns its number among those that the process then sees.

    Call it before CUDA is used: afterwards, or if there is no GPU, nothing is taken, and the number is LOCAL_RANK.
    Raises ValueError for one of several processes if no GPU becomes free.
    """
    local, together = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    gpus = names()
    if gpus and max(local + 1, together) > len(gpus):
        raise ValueError(f"--nproc_per_node: more processes than the {len(gpus)} GPUs of this machine")
    if not gpus or torch.cuda.is_initialized():
        return local
    name, others = _first_free(gpus, TIMEOUT if together > 1 else 0.0)
    if name is None and together > 1:
        raise ValueError(f"--nproc_per_node: {together} processes, and too few GPUs are free: {others}")
    if name is None:
        name = gpus[0]
        log.warning("no GPU is free (%s): sharing GPU %s; start fewer jobs at once", others, name)
    os.environ["CUDA_VISIBLE_DEVICES"] = name
    return 0


def _first_free(gpus: list[str], timeout: float) -> tuple[str | None, str]:
    """Take the first free GPU; None, and who has which, if none becomes free within `timeout` seconds."""
    until = time.monotonic() + timeout
    while True:
        others = []
        for name in gpus:
            try:
                _lock.enter_context(locks.hold(folder() / f"{name.replace('/', '_')}.lock", range(1)))
                return name, ""
            except locks.InUse as error:
                others.append(f"GPU {name}: {error.holder}")
        if time.monotonic() >= until:
            return None, ", ".join(others)
        time.sleep(POLL)
