"""DenseAV's protocol as its authors' code has it, written with loops."""

import math


def reference_window(start: float, end: float, seconds: float, tokens: int) -> list[int]:
    """The reference code's one-hot sums: 1 from the first bound (included) to the second."""
    first = math.floor(tokens * (start - 0.2) / seconds)
    last = math.ceil(tokens * (end + 0.2) / seconds)
    return [t for t in range(tokens) if (t >= first) + (t >= last) == 1]
