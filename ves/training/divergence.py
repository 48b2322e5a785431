"""What goes wrong with a loss: steps that are not finite, and a loss at the level of chance."""

import json
import logging
import math
from collections import defaultdict, deque
from collections.abc import Mapping
from pathlib import Path

from ves.config.train import TrainConfig
from ves.losses.chance import CHANCE

log = logging.getLogger(__name__)

WINDOW = 100  # steps over which a loss is averaged before it counts as collapsed
BEGUN = 0.25  # share of the steps by which learning should have begun; in the default run it takes 200 of 776
NEAR = 0.01  # share of chance_loss by which that mean may differ from it


def chance_loss(train: TrainConfig) -> float | None:
    """The contrastive loss of one term, without its weight, where all scores are equal; None for a loss that has no
    such level (ves.losses.chance). For micro-batches it is the mean of theirs, weighted by clips; the last may be
    smaller."""
    if train.loss not in CHANCE:
        return None
    size = min(train.micro_batch, train.batch_size) if train.negatives == "micro_batch" else train.batch_size
    parts = [min(size, train.batch_size - start) for start in range(0, train.batch_size, size)]
    return sum(part * CHANCE[train.loss](part) for part in parts) / train.batch_size


class Divergence:
    """Counts skipped steps and watches for a collapsed loss."""

    def __init__(self, run: Path, train: TrainConfig, steps: int, counts: list[int]) -> None:
        self.run, self.train = run, train
        self.skipped, self.in_a_row = counts or (0, 0)
        self.chance = chance_loss(train)
        self.begins = round(max(train.warmup, BEGUN) * steps)
        self._recent: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=WINDOW))
        self._warned: set[str] = set()

    @property
    def counts(self) -> list[int]:
        """Skipped steps in all, and in a row up to now: what a checkpoint keeps."""
        return [self.skipped, self.in_a_row]

    def look_back(self, path: Path) -> None:
        """Take in the losses of the last WINDOW steps in the log, since a run may resume more often than that."""
        for line in path.read_text(encoding="utf-8").splitlines()[-WINDOW:]:
            entry = json.loads(line)
            if entry["step"] > self.begins and "gradient_norm" in entry:  # without skipped steps
                for name in self.train.objective:
                    self._recent[name].append(entry[f"{name}/loss"])

    def see(self, step: int, entry: Mapping[str, float | int]) -> int:
        """Take in a step's entry; returns how many steps were skipped up to now, because their gradient is not finite.

        Raises FloatingPointError when `max_skipped` in a row were.
        """
        skipped = not math.isfinite(entry["gradient_norm"])
        self.in_a_row = self.in_a_row + 1 if skipped else 0
        self.skipped += skipped
        if skipped:
            log.warning("%s: step %d is not finite, skipped (%d in a row)", self.run, step, self.in_a_row)
        if self.in_a_row >= self.train.max_skipped:
            raise FloatingPointError(
                f"{self.run}: step {step}: loss or gradient was not finite in {self.in_a_row} steps in a row "
                "(train.max_skipped); no checkpoint has them. If they fail again after a resume, start over "
                "(`ves train --fresh`) with a lower train.learning_rate, a longer train.warmup or train.precision: fp32"
            )
        for name in self.train.objective:
            if not skipped and step > self.begins:
                self._collapsed(step, name, entry[f"{name}/loss"])
        return self.skipped

    def _collapsed(self, step: int, name: str, loss: float) -> None:
        """Warn, once for each term, when its loss is that of constant scores, if that is known of the loss."""
        if self.chance is None:
            return
        recent = self._recent[name]
        recent.append(loss)
        mean = sum(recent) / len(recent)
        if len(recent) == WINDOW and name not in self._warned and mean > (1 - NEAR) * self.chance:
            self._warned.add(name)
            log.warning(
                "%s: step %d: the loss of %s has collapsed: it is %.3f over the last %d steps, and equal scores for "
                "all pairs give %.3f. Try a lower train.learning_rate, a longer train.warmup, a larger "
                "train.batch_size; if nothing helps, check that the clips describe their pictures",
                *(self.run, step, name, mean, WINDOW, self.chance),
            )
