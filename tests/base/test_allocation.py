"""What is freed is kept: the same memory is not asked of the kernel again and again."""

import ctypes
import subprocess
import sys

import pytest

ROUNDS = """
import resource
import sys

import numpy as np

from ves.base.cpu import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
for turn in range(12):
    if turn == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    pieces = [np.ones(2_500_000) for _ in range(6)]  # 20 MB each, more together than glibc keeps by itself
    del pieces
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
def test_freed_memory_is_used_again_without_the_kernel():
    kept, given_back = (
        int(subprocess.run([sys.executable, "-c", ROUNDS, way], check=True, capture_output=True, text=True).stdout)
        for way in ("keep", "give back")
    )
    assert kept < 0.02 * given_back
