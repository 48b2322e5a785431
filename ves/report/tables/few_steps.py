"""Runs that were trained too shortly for their numbers to mean anything, said wherever the numbers stand."""

import json
from collections.abc import Iterable
from pathlib import Path

from ves.config.experiment import FEWEST_STEPS


def steps_of(run: Path) -> int | None:
    """The steps that a run has taken, from the end of its log.jsonl; None where there is no log.

    Raises ValueError that names a log whose last line is not a step.
    """
    log = run / "log.jsonl"
    if not log.is_file():
        return None
    lines = log.read_text(encoding="utf-8").splitlines()
    try:
        return int(json.loads(lines[-1])["step"])
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(
            f"{log}: its last line is not a step of a training ({error!r}); train the run again"
        ) from error


def warning(runs: Iterable[Path]) -> str:
    """A sentence that names the runs of fewer than FEWEST_STEPS steps; empty if there are none."""
    steps = {run.name: taken for run in runs if (taken := steps_of(run)) is not None and taken < FEWEST_STEPS}
    if not steps:
        return ""
    counted = ", ".join(f"{name} {taken}" for name, taken in steps.items())
    return (
        f"These numbers say nothing about the objectives: with fewer than {FEWEST_STEPS} steps a model has learned "
        f"next to nothing (steps: {counted}). More epochs or smaller batches give more steps."
    )
