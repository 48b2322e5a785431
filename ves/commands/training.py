"""Training of one run, and its curves."""

from pathlib import Path
from typing import Annotated

from ves.commands import parameters


def train(
    run: parameters.Run, *, fresh: Annotated[bool, "put an unfinished training aside and start over"] = False
) -> None:
    """Train a run, or resume its training from the newest checkpoint.

    The settings are in RUN/config.json. If they differ from those of an unfinished training, nothing is trained; with
    --fresh, that training is moved to a folder checkpoints-archive-<n>, and a new one starts. After SIGTERM or SIGINT
    (Ctrl-C), a checkpoint is written and the exit code is 75; the same command resumes.
    """
    from ves.evaluation.retrieval.tune import recall
    from ves.report.monitoring.watch import watching
    from ves.training.train import train

    train(run, watching, recall=recall, fresh=fresh)


def curves(run: parameters.Run, *, out: Annotated[Path, "where to write the figure (PNG)"]) -> None:
    """Draw the curves of a training.

    These are loss, temperature, learning rate, gradient norm and recall on tune, by step.
    """
    from ves.report.monitoring.curves import draw

    draw(run, out)


STAGES = (
    train,
    curves,
)
