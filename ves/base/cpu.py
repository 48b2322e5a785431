"""Work for threads that have one core each: on a CPU, where two threads that share every operation wait for each other.

A step of the default run takes 160 ms on one core and 137 ms when two cores share each operation of it, since most are
small (2 cores of an AMD EPYC, 20 November 2026). Halves of a batch that each go through the towers on a core of their
own do not wait. Results come in the order of the work, whoever was first.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from threading import Barrier

import torch


@lru_cache(1)
def _pool(threads: int, _process: int) -> ThreadPoolExecutor:
    """Threads of this process (those of another do not live on in its fork), all of them started."""
    pool = ThreadPoolExecutor(threads, "ves-tower", initializer=torch.set_num_threads, initargs=(1,))
    together = Barrier(threads)
    list(pool.map(lambda _: together.wait(), range(threads)))  # the setting reaches MKL everywhere: not in mid-work
    return pool


def side_by_side[T, R](function: Callable[[T], R], items: Sequence[T], threads: int) -> list[R]:
    """function(item) of each, in order. With one thread, or one item, nothing is handed on."""
    if threads == 1 or len(items) == 1:
        return [function(item) for item in items]
    return list(_pool(threads, os.getpid()).map(function, items))
