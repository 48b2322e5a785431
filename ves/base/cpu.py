"""Running work on several cores of a CPU, one thread to a core, and keeping freed memory.

A step of the default run has some thousand operations, most of them small. If OpenMP shares each of them, each ends
with all threads waiting for the last. On a busy machine, a thread that sleeps while it waits gets its core back a turn
of the scheduler later, and one that spins takes the core from a thread that has work. So work is cut into a few large
pieces, and each runs on one core from beginning to end: threads meet a few times a step, and torch itself uses one core
(benchmarks/contention.py). Results come in the order of the pieces, whichever ends first.

Memory that a training step frees is kept for the next step, which needs the same again. By default glibc returns free
memory at the end of its heaps to the kernel, and large pieces at once, and the kernel fills every new page with zeros.
In a step of the default run that was 8,000 page faults and 16 ms of kernel time; 2,500 and 8 ms are left.
"""

import ctypes
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from threading import Barrier, local

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # names of malloc.h
LARGEST = 32 * 2**20  # bytes; glibc takes no larger threshold


class _Here(local):
    """How many cores share the work of a thread."""

    cores = 1


_here = _Here()


@lru_cache(1)
def _pool(threads: int, _process: int) -> ThreadPoolExecutor:
    """Threads of this process (those of its parent do not live on in a fork), all of them started."""
    import torch  # here and below, because `one_core` must be called before torch is loaded

    pool = ThreadPoolExecutor(threads, "ves-core", initializer=torch.set_num_threads, initargs=(1,))
    together = Barrier(threads)
    list(pool.map(lambda _: together.wait(), range(threads)))  # now, since the setting reaches MKL everywhere
    return pool


def use_cores(count: int, *, whole: bool) -> None:
    """From now on, that many cores share the work of this thread: whole pieces each, or every operation together."""
    import torch

    torch.set_num_threads(1 if whole else count)
    _here.cores = count if whole else 1
    if not whole:
        _pool.cache_clear()  # MKL has one number for the whole process: new threads will set it to 1 again


def cores() -> int:
    """How many pieces of this thread's work may run at once, by `use_cores`; 1 before that, and within a piece."""
    return _here.cores


def run_on_cores[T, R](function: Callable[[T], R], items: Sequence[T], threads: int) -> list[R]:
    """function(item) of each item, in order; in this thread if there is one thread or one item.

    Gradients are recorded if the caller records them. The function itself turns on autocast.
    """
    if threads == 1 or len(items) == 1:
        return [function(item) for item in items]
    import torch

    gradient, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def as_here(item: T) -> R:
        with torch.inference_mode(inference), torch.set_grad_enabled(gradient):  # each thread has modes of its own
            return function(item)

    return list(_pool(threads, os.getpid()).map(as_here, items))


def one_core() -> None:
    """One thread for all arithmetic of this process; call it before numpy and torch are loaded.

    The last bits of a product depend on the number of threads. Without this, a stage started by hand would give other
    bytes than in the workflow, which runs these stages side by side on a core each.
    """
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))


def keep_freed_memory() -> None:
    """From now on, keep what this process frees. If the C library is not glibc, nothing changes."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(TRIM_THRESHOLD, 2**31 - 1)
        set_option(MMAP_THRESHOLD, LARGEST)
