"""Tests wait for what happens, for as long as it takes: nothing that they assert depends on how fast a machine is."""

import time
from collections.abc import Callable

PATIENCE = 600.0  # seconds: a guard against what would never come, not a time that anything should take


def until[T](condition: Callable[[], T]) -> T:
    """What the condition returns once it is true; AssertionError if it never is."""
    began = time.monotonic()
    while not (found := condition()):
        assert time.monotonic() - began < PATIENCE, "it never came"
        time.sleep(0.02)
    return found
