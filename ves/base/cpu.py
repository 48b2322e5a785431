"""Work for threads that have one core each: on a CPU, where two threads that share every operation wait for each other.

A step of the default run is some thousand operations, most of them small. Shared by OpenMP, each ends with all threads
waiting for the last. On a busy machine a thread that waits asleep gets its core back a turn of the scheduler later, and
one that waits awake takes it from whoever would work. So work is shared in few large pieces, each from its beginning to
its end on one core: threads meet a few times a step, and torch itself uses one core (benchmarks/contention.py). Results
come in the order of the work, whoever was first.

Memory that a training step gives back is kept for the next one, which asks for the same again: glibc returns what is
free at the end of its heaps to the kernel, and large pieces at once; the kernel fills every page anew with zeros. In a
step of the default run that was 8,000 page faults and 16 ms of the kernel's time; 2,500 and 8 ms are left.
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
    """How many cores the work of a thread is shared by."""

    cores = 1


_here = _Here()


@lru_cache(1)
def _pool(threads: int, _process: int) -> ThreadPoolExecutor:
    """Threads of this process (those of another do not live on in its fork), all of them started."""
    import torch  # here and below only now: `one_core` is for a process that has not loaded it yet

    pool = ThreadPoolExecutor(threads, "ves-core", initializer=torch.set_num_threads, initargs=(1,))
    together = Barrier(threads)
    list(pool.map(lambda _: together.wait(), range(threads)))  # the setting reaches MKL everywhere: not in mid-work
    return pool


def use_cores(count: int, *, whole: bool) -> None:
    """From now on, work of this thread has that many cores: each a whole piece of it, or all every operation."""
    import torch

    torch.set_num_threads(1 if whole else count)
    _here.cores = count if whole else 1
    if not whole:
        _pool.cache_clear()  # MKL's number is of the whole process: threads that are started anew set it to 1 again


def cores() -> int:
    """How many pieces of this thread's work `use_cores` lets run at once; 1 before it, and within such a piece."""
    return _here.cores


def side_by_side[T, R](function: Callable[[T], R], items: Sequence[T], threads: int) -> list[R]:
    """function(item) of each, in order. With one thread, or one item, nothing is handed on.

    Gradients are recorded where the caller records them; autocast is for the function to turn on.
    """
    if threads == 1 or len(items) == 1:
        return [function(item) for item in items]
    import torch

    gradient, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def as_here(item: T) -> R:
        with torch.inference_mode(inference), torch.set_grad_enabled(gradient):  # modes of a thread, not of the process
            return function(item)

    return list(_pool(threads, os.getpid()).map(as_here, items))


def one_core() -> None:
    """One thread for all arithmetic of this process; to be called before numpy and torch are loaded.

    The last bits of a product depend on how many threads share it, so a stage pasted by hand would give other bytes
    than the workflow, which runs these stages side by side on a core each.
    """
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))


def keep_freed_memory() -> None:
    """Keep what this process frees, from now on. Where the C library is not glibc, nothing changes."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(TRIM_THRESHOLD, 2**31 - 1)
        set_option(MMAP_THRESHOLD, LARGEST)
