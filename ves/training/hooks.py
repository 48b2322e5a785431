"""What training calls while it runs: watchers, such as the progress bar, and the measurement of recall.

Training takes a `Watching` and a `Recall` as arguments and knows nothing else about them. So watchers may draw figures,
which open what training must not, and training needs no code of retrieval.
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
from ves.config.experiment import RunConfig
from ves.config.train import TrainConfig
from ves.models.towers import VeS
from ves.training.dataset import PairReader

RECENT = 50  # steps over which rates are averaged


@runtime_checkable
class Watcher(Protocol):
    """Called after every step, once that is logged. Changes nothing: no weight, no mode, no random state."""

    def step(self, entry: Mapping[str, Any], model: VeS, reader: PairReader) -> None:
        """`entry` is the step's line of log.jsonl; `model` has just taken that step."""
        ...


# opens a watcher; arguments: the run's folder, its configuration, the folder of checkpoints and log, the number of
# steps that were done before, the last step
Watching = Callable[[Path, RunConfig, Path, int, int], AbstractContextManager[Watcher]]
# measures a model; arguments: the model, its reader, the clips, the settings, the device; returns what is logged
Recall = Callable[[VeS, PairReader, pl.DataFrame, TrainConfig, torch.device], dict[str, float]]


def resident() -> int:
    """Bytes of main memory that this process uses now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Bar:
    """A progress bar with the loss, pairs per second, the share of time spent waiting for data, and memory."""

    def __init__(self, batch_size: int, advance: Callable[[str], object]) -> None:
        self.batch_size, self.advance = batch_size, advance
        self.recent: deque[tuple[float, float]] = deque(maxlen=RECENT)  # seconds of a step, and of its waiting

    def step(self, entry: Mapping[str, Any], model: VeS, reader: PairReader) -> None:
        """Advance the bar by one step."""
        self.recent.append((entry["seconds"], entry["data_wait"]))
        self.advance(self.text(entry))

    def text(self, entry: Mapping[str, Any]) -> str:
        """Loss and temperature of this step; pairs per second and the share of waiting over the last RECENT steps."""
        seconds, waited = (max(sum(column), 1e-9) for column in zip(*self.recent, strict=True))
        parts = [f"{name} {entry[name]:.4g}" for name in ("loss", "temperature") if name in entry]
        parts += [f"{len(self.recent) * self.batch_size / seconds:.3g} pairs/s", f"data wait {waited / seconds:.1%}"]
        parts += [f"memory {resident() / 1e9:.1f} GB"]
        if torch.cuda.is_available():
            parts += [f"GPU peak {torch.cuda.max_memory_allocated() / 1e9:.1f} GB"]
        return ", ".join(parts)


@contextmanager
def bar(run: Path, config: RunConfig, folder: Path, done: int, last: int) -> Iterator[Watcher]:
    """The progress bar alone, the default of training. A `Watching`."""
    with steps(label=f"train {config.run}", total=last, done=done) as advance:
        yield Bar(config.train.batch_size, advance)
