"""What is shown while a model trains, as <run>/watch.json says: the bar, the boards, heatmaps of the same clips.

watch.json is separate from config.json: it decides no weight, and a change of it trains nothing anew. A run directory
without it shows the bar; log.jsonl has the rest.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ves.base.files import atomic, remove
from ves.config.display import WatchConfig
from ves.config.experiment import RunConfig
from ves.config.fields import read
from ves.models.towers import VeS
from ves.report.drawing.page import stacked
from ves.report.monitoring.boards import Board
from ves.report.monitoring.boards import boards as open_boards
from ves.report.monitoring.heatmaps import Samples
from ves.training.dataset import PairReader
from ves.training.hooks import Watcher
from ves.training.hooks import bar as open_bar

log = logging.getLogger(__name__)


class Watch:
    """Passes each step to the bar and to every board, and draws heatmaps every so many steps."""

    def __init__(
        self, bar: Watcher, boards: Sequence[Board], samples: Samples, folder: Path, every: int | None, last: int
    ) -> None:
        self.bar, self.boards, self.samples = bar, boards, samples
        self.folder, self.every, self.last = folder, every, last

    def step(self, entry: Mapping[str, Any], model: VeS, reader: PairReader) -> None:
        """See ves.training.hooks.Watcher."""
        self.bar.step(entry, model, reader)
        step = int(entry["step"])
        for board in self.boards:
            board.scalars(step, {name: value for name, value in entry.items() if name != "step"})
        if self.every is not None and (step % self.every == 0 or step == self.last):
            try:
                self._draw(step, model, reader)
            except (ValueError, OSError) as error:  # hours of training are worth more than a picture of them
                log.warning("heatmaps of step %d are not drawn: %s", step, error)

    def _draw(self, step: int, model: VeS, reader: PairReader) -> None:
        """<folder>/step-<n>.png, and a picture for each clip on every board."""
        if not (pages := self.samples.draw(step, model, reader)):
            return
        with atomic(self.folder / f"step-{step:08d}.png") as temporary:
            stacked(list(pages.values())).save(temporary, "PNG")
        for board in self.boards:
            board.pictures(step, pages)


@contextmanager
def watching(run: Path, config: RunConfig, folder: Path, first: int, last: int) -> Iterator[Watcher]:
    """What a run asks for: a `Watching` (ves.training.hooks). Raises ValueError that names the file or the setting."""
    with ExitStack() as stack:
        progress = stack.enter_context(open_bar(run, config, folder, first, last))
        if (path := run / "watch.json").exists():
            yield _watch(path, progress, stack, run, config, folder, first, last)
        else:
            yield progress


def _watch(
    path: Path, bar: Watcher, stack: ExitStack, run: Path, config: RunConfig, folder: Path, first: int, last: int
) -> Watch:
    settings = read(WatchConfig, path)
    asked = [stack.enter_context(board) for board in open_boards(settings.log, config, folder, first)]
    samples = Samples(config, settings.visualise.samples, Path(settings.pictures), Path(settings.truth))
    for old in (run / "watched").glob("step-*.png") if first == 0 else ():  # of another training
        remove(old)
    return Watch(bar, asked, samples, run / "watched", settings.visualise.every, last)
