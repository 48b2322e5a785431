"""Progress of long stages: a bar on a terminal, a line every half minute in a log."""

import sys
from collections.abc import Iterable, Iterator

from tqdm import tqdm


def track[T](items: Iterable[T], *, label: str, total: int | None = None, unit: str = "it") -> Iterator[T]:
    """Yield `items` while showing how many are done, how fast, and how long is left (standard error)."""
    every = 0.2 if sys.stderr.isatty() else 30.0  # a log file wants lines, not a redrawn bar
    yield from tqdm(items, desc=label, total=total, unit=unit, mininterval=every, maxinterval=every, dynamic_ncols=True)
