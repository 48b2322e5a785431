"""One run, and the figure of how it went."""

from pathlib import Path
from typing import Annotated

from ves.commands import parameters


def train(
    run: parameters.Run, *, fresh: Annotated[bool, "put an unfinished training aside and start anew"] = False
) -> None:
    """Train the run described by RUN/config.json.

    It goes on from its newest checkpoint. Other settings than those of an unfinished training are refused; --fresh puts
    that aside, in a folder checkpoints-archive-<n>, and starts anew. SIGTERM or SIGINT (Ctrl-C) write a checkpoint and
    end with exit code 75; the same command goes on.
    """
    from ves.evaluation.retrieval.tune import recall
    from ves.report.monitoring.watch import watching
    from ves.training.train import train

    train(run, watching, recall=recall, fresh=fresh)


def curves(run: parameters.Run, *, out: Annotated[Path, "where to write the figure (PNG)"]) -> None:
    """Draw the curves of a training.

    Loss, temperature, learning rate, gradient norm and recall on tune against steps.
    """
    from ves.report.monitoring.curves import draw

    draw(run, out)


STAGES = (
    train,
    curves,
)
