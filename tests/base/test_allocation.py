"""What is freed is kept: the same memory is not asked of the kernel again and again."""

import ctypes
import os
import subprocess
import sys

import pytest

ROUNDS = """
import resource
import sys
from pathlib import Path

import numpy as np

from ves.base.cpu import keep_freed_memory


def held():
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


if sys.argv[1] == "keep":
    keep_freed_memory()
before = held()
for turn in range(12):
    pieces = [np.ones(2_500_000) for _ in range(6)]  # 20 MB each, more together than glibc keeps by itself
    most = held()
    del pieces
    print(most - before, held() - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
def test_freed_memory_is_used_again_without_the_kernel():
    """Bytes of address space in use and after they are freed: soon as many in each round as before, or none."""

    def rounds(way: str) -> list[tuple[int, int]]:
        # glibc moves its threshold by what was freed, and keeps more or less; a fixed one gives all of it back at once
        fixed = os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072"}
        done = subprocess.run(
            [sys.executable, "-c", ROUNDS, way], check=True, capture_output=True, text=True, env=fixed
        )
        return [(int(used), int(left)) for used, left in map(str.split, done.stdout.splitlines())]

    kept, given_back = rounds("keep"), rounds("give back")
    assert min(used for used, _ in kept + given_back) > 119e6
    settled = kept[4:]  # in a first round or two the heap may grow by one piece more
    assert {left for _, left in settled} == {used for used, _ in settled} == {settled[0][0]}
    assert settled[0][0] > 119e6
    assert max(left for _, left in given_back) < 60e6
