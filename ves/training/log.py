"""What a run reports while it trains: the log, and how long steps take."""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ves.base.files import atomic, remove
from ves.models.towers import VeS
from ves.training import checkpoint
from ves.training.dataset import PairReader
from ves.training.distributed import World
from ves.training.hooks import Watching

log = logging.getLogger(__name__)


@contextmanager
def reports(
    attempt: checkpoint.Attempt, done: int, watching: Watching, world: World
) -> Iterator[Callable[[Mapping[str, float | int], VeS, PairReader], None]]:
    """A function for each step's entry: it writes a line of the log, then calls the watcher.

    Entries begin after step `done`. Numbers that are not finite are left out of the log, since JSON has none. Only the
    main process has a log and a watcher; in the others the function does nothing.
    """
    if not world.is_main:
        yield lambda *_: None
        return
    run, folder = attempt.run, attempt.folder
    with open_log(run, folder, done) as lines, watching(run, attempt.config, folder, done, attempt.steps) as watcher:

        def report(entry: Mapping[str, float | int], model: VeS, reader: PairReader) -> None:
            lines.write(json.dumps({key: value for key, value in entry.items() if math.isfinite(value)}) + "\n")
            watcher.step(entry, model, reader)

        yield report


def open_log(run: Path, folder: Path, step: int) -> TextIO:
    """The log beside an attempt's checkpoints, cut off after `step`; <run>/log.jsonl becomes a link to it."""
    folder.mkdir(parents=True, exist_ok=True)
    cut_log(folder / "log.jsonl", step)
    link = run / "log.jsonl.link"
    remove(link)
    link.symlink_to((folder / "log.jsonl").relative_to(run))
    link.replace(run / "log.jsonl")  # in one step, so that there is a log to read at any moment
    return open(folder / "log.jsonl", "a", buffering=1, encoding="utf-8")


def cut_log(path: Path, step: int) -> None:
    """Drop the lines of steps after the checkpoint, which will be trained again. Warns when earlier ones are missing.

    Raises ValueError that names a damaged line; the last line may be cut off.
    """
    if not path.exists():
        return
    lines = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(keepends=True), 1):
        if not line.endswith("\n"):
            break
        try:
            if json.loads(line)["step"] <= step:
                lines.append(line)
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(f"{path}: line {number} is damaged ({error!r}); delete that line and resume") from error
    if len(lines) != step:
        log.warning("%s: it has %d of the %d steps up to the checkpoint; the others were lost", path, len(lines), step)
    with atomic(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


class Times:
    """How long steps take, without evaluation, and how much of that is waiting for data (seconds)."""

    def __init__(self) -> None:
        self._started = self._waiting = self._steps = 0.0

    def start(self) -> None:
        """A step begins."""
        self._started = time.perf_counter()

    def since_start(self) -> float:
        """Seconds since the step began."""
        return time.perf_counter() - self._started

    def waited(self) -> float:
        """The step's data are there; returns how long that took."""
        self._waiting += (wait := self.since_start())
        return wait

    def stepped(self) -> None:
        """The weights have changed."""
        self._steps += self.since_start()

    def share(self) -> float:
        """The share of the time of all steps that was spent waiting."""
        return self._waiting / self._steps if self._steps else 0.0
