"""What a run writes while it trains: its log, how long steps take, and last its model."""

import json
import logging
import shutil
import time
from pathlib import Path
from typing import TextIO

from safetensors.torch import save_file

from ves.base.files import atomic, remove
from ves.models.towers import VeS
from ves.training import checkpoint

log = logging.getLogger(__name__)


def open_log(run: Path, folder: Path, step: int) -> TextIO:
    """The log beside the checkpoints of an attempt, cut after `step`; a link shows it as <run>/log.jsonl."""
    folder.mkdir(parents=True, exist_ok=True)
    cut_log(folder / "log.jsonl", step)
    link = run / "log.jsonl.link"
    remove(link)
    link.symlink_to((folder / "log.jsonl").relative_to(run))
    link.replace(run / "log.jsonl")  # in one step: there always is a log to read
    return open(folder / "log.jsonl", "a", buffering=1, encoding="utf-8")


def publish(run: Path, folder: Path, model: VeS) -> None:
    """Put the finished log, as a file that outlives the checkpoints, and last the model into the run's directory."""
    with atomic(run / "log.jsonl") as temporary:
        shutil.copyfile(folder / "log.jsonl", temporary)
    with atomic(run / "model.safetensors") as temporary:
        save_file(checkpoint.contiguous(model), temporary)


def cut_log(path: Path, step: int) -> None:
    """Drop the lines of steps after the checkpoint: they will be made again. Warns of steps that it should have.

    Raises ValueError that names a line which is damaged; the last one may be cut off.
    """
    if not path.exists():
        return
    kept = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(keepends=True), 1):
        if not line.endswith("\n"):
            break
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(f"{path}: line {number} is damaged ({error!r}); delete that line and go on") from error
    if len(kept) != step:
        log.warning("%s: it has %d of the %d steps up to the checkpoint; the others were lost", path, len(kept), step)
    with atomic(path) as temporary:
        temporary.write_text("".join(kept), encoding="utf-8")


class Times:
    """How long steps take, evaluation aside, and how much of that is waiting for data (seconds)."""

    def __init__(self) -> None:
        self._started = self._waiting = self._steps = 0.0

    def start(self) -> None:
        """A step begins."""
        self._started = time.perf_counter()

    def since_start(self) -> float:
        """Since the step began."""
        return time.perf_counter() - self._started

    def waited(self) -> float:
        """Its data are there; how long that took."""
        self._waiting += (wait := self.since_start())
        return wait

    def stepped(self) -> None:
        """The weights have moved."""
        self._steps += self.since_start()

    def share(self) -> float:
        """Of the time of all steps, what was waiting."""
        return self._waiting / self._steps if self._steps else 0.0
