"""Progress of long stages: a bar on a terminal, a line every half minute in a log."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm


def _pace() -> dict[str, Any]:
    """How often tqdm writes: a log file needs few lines, a terminal a moving bar."""
    every = 0.2 if sys.stderr.isatty() else 30.0
    return {"mininterval": every, "maxinterval": every, "dynamic_ncols": True}


def track[T](items: Iterable[T], *, label: str, total: int | None = None, unit: str = "it") -> Iterator[T]:
    """Yield `items` while showing how many are done, the rate and the time left (on standard error)."""
    yield from tqdm(items, desc=label, total=total, unit=unit, **_pace())


@contextmanager
def meter(*, label: str, total: int, done: int = 0) -> Iterator[Callable[[int], object]]:
    """Show bytes, rate and time left of `total` bytes; yields a function to call with the size of each new piece.

    `done` bytes were there before: they count as done, but not towards the rate.
    """
    bar = tqdm(desc=label, total=total, initial=done, unit="B", unit_scale=True, unit_divisor=1000, **_pace())
    with bar:
        yield bar.update


@contextmanager
def steps(*, label: str, total: int, done: int) -> Iterator[Callable[[str], object]]:
    """Show steps, their rate and the time left; yields a function to call after each step, with a text to show."""
    bar = tqdm(desc=label, total=total, initial=done, unit="step", **_pace())

    def advance(text: str) -> None:
        bar.set_postfix_str(text, refresh=False)
        bar.update()

    with bar:
        yield advance
