"""Who looks on while a model trains: what the trainer tells them, and the bar that everybody sees.

The trainer is given a `Watching` and knows no more of it, so that figures may open what training must not. In the same
way it is given a `Recall`, and knows nothing of retrieval.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import polars as pl
import torch

from ves.base.progress import steps
from ves.config.experiment import RunConfig, TrainConfig
from ves.models.towers import VeS
from ves.training.dataset import PairReader

RECENT = 50  # steps that a rate is the mean of


@runtime_checkable
class Watcher(Protocol):
    """Is told of every step, after it is logged. Changes nothing: neither weights, nor modes, nor random states."""

    def step(self, entry: Mapping[str, Any], model: VeS, reader: PairReader) -> None:
        """`entry` is the line of log.jsonl, `model` has just taken that step."""
        ...


# of a run directory, its configuration, the folder of checkpoints and log, the steps done before, the last step
Watching = Callable[[Path, RunConfig, Path, int, int], AbstractContextManager[Watcher]]
# of a model, what it reads, clips, the settings and a device: what to log of the model on these clips
Recall = Callable[[VeS, PairReader, pl.DataFrame, TrainConfig, torch.device], dict[str, float]]


def resident() -> int:
    """Bytes of main memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Bar:
    """What stands beside the progress bar: the loss, the pace, what the step waits for, and memory."""

    def __init__(self, batch_size: int, advance: Callable[[str], object]) -> None:
        self.batch_size, self.advance = batch_size, advance
        self.recent: deque[tuple[float, float]] = deque(maxlen=RECENT)  # seconds of a step, of them waiting

    def step(self, entry: Mapping[str, Any], model: VeS, reader: PairReader) -> None:
        """Move the bar by one step."""
        self.recent.append((entry["seconds"], entry["data_wait"]))
        self.advance(self.text(entry))

    def text(self, entry: Mapping[str, Any]) -> str:
        """Loss and temperature of this step; pairs a second and the share of waiting for data over the recent ones."""
        seconds, waited = (max(sum(column), 1e-9) for column in zip(*self.recent, strict=True))
        parts = [f"{name} {entry[name]:.4g}" for name in ("loss", "temperature") if name in entry]
        parts += [f"{len(self.recent) * self.batch_size / seconds:.3g} pairs/s", f"data wait {waited / seconds:.1%}"]
        parts += [f"memory {resident() / 1e9:.1f} GB"]
        if torch.cuda.is_available():
            parts += [f"GPU peak {torch.cuda.max_memory_allocated() / 1e9:.1f} GB"]
        return ", ".join(parts)


@contextmanager
def bar(run: Path, config: RunConfig, folder: Path, first: int, last: int) -> Iterator[Watcher]:
    """The bar alone: what a training shows that is asked for nothing else. A `Watching`."""
    with steps(label=f"train {config.run}", total=last, done=first) as advance:
        yield Bar(config.train.batch_size, advance)
