"""Work for threads that have one core each: on a CPU, where two threads that share every operation wait for each other.

A step of the default run takes 160 ms on one core and 137 ms when two cores share each operation of it, since most are
small (2 cores of an AMD EPYC, 20 November 2026). Halves of a batch that each go through the towers on a core of their
own do not wait. Results come in the order of the work, whoever was first.

Memory that a training step gives back is kept for the next one, which asks for the same again: glibc returns what is
free at the end of its heaps to the kernel, and large pieces at once; the kernel fills every page anew with zeros. In a
step of the default run that was 8,000 page faults and 16 ms of the kernel's time; 2,500 and 8 ms are left.
"""

import ctypes
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from threading import Barrier

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # names of malloc.h
LARGEST = 32 * 2**20  # bytes; glibc takes no larger threshold


@lru_cache(1)
def _pool(threads: int, _process: int) -> ThreadPoolExecutor:
    """Threads of this process (those of another do not live on in its fork), all of them started."""
    import torch  # only now: `one_core` is for a process that has not loaded it yet

    pool = ThreadPoolExecutor(threads, "ves-tower", initializer=torch.set_num_threads, initargs=(1,))
    together = Barrier(threads)
    list(pool.map(lambda _: together.wait(), range(threads)))  # the setting reaches MKL everywhere: not in mid-work
    return pool


def side_by_side[T, R](function: Callable[[T], R], items: Sequence[T], threads: int) -> list[R]:
    """function(item) of each, in order. With one thread, or one item, nothing is handed on."""
    if threads == 1 or len(items) == 1:
        return [function(item) for item in items]
    return list(_pool(threads, os.getpid()).map(function, items))


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
