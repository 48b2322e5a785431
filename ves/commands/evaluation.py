"""Numbers about a checkpoint or a run."""

from pathlib import Path
from typing import Annotated

from ves.base.cpu import one_core
from ves.commands import parameters, presence
from ves.config import experiment


def evaluate(
    checkpoint: Annotated[Path, "a run, a step-<n>/ folder, or a folder of those", presence.checkpoint],
    *,
    split: Annotated[str, "the split to score on"] = "val",
    out: Annotated[Path, "the folder for the metrics (default: <run>/evaluated/<checkpoint>-<split>)"] | None = None,
    truth: parameters.TruthOfRun | None = None,
) -> None:
    """Score any checkpoint, also of an unfinished run.

    Measured are retrieval and, where the corpus has a truth, pointing. CHECKPOINT is a step-<n>/ folder, a folder of
    those (the newest is taken), or a run directory: its model, or its newest checkpoint. The metrics are printed and
    written to OUT, by default <run>/evaluated/<checkpoint>-<split>/. TRUTH is by default that of the run's corpus.
    """
    from ves.evaluation.checkpoint import evaluate

    print(evaluate(checkpoint, split, out, truth))


def embed(
    run: parameters.TrainedRun,
    *,
    split: Annotated[str, "the split to embed, such as val"],
    out: Annotated[Path, "where to write the embeddings (a .zarr folder)"],
) -> None:
    """Embed the clips and images of a split with the model of a run: on a GPU, or on one core."""
    from ves.base import gpus
    from ves.evaluation.embed import embed

    gpus.take()
    embed(run, split, out)


def retrieval(
    run: parameters.Run,
    *,
    blocks: parameters.Blocks,
    ranks: parameters.Ranks,
    out: Annotated[Path, "where to write the metrics (JSON)"],
) -> None:
    """Recall and ranks, both directions, by the paper's protocol: one clip to an image."""
    one_core()
    from ves.evaluation.retrieval.protocols import paper

    paper(run, blocks, ranks, out)


def multi_positive(
    run: parameters.Run,
    *,
    blocks: parameters.Blocks,
    ranks: parameters.Ranks,
    out: Annotated[Path, "where to write the metrics (JSON)"],
) -> None:
    """The same of all clips of the images of val, where any clip that shows the image is right."""
    one_core()
    from ves.evaluation.retrieval.protocols import multi_positive

    multi_positive(run, blocks, ranks, out)


def localisation(
    *,
    run: parameters.Run,
    embeddings: Annotated[Path, "the embeddings of val: a .zarr folder"],
    truth: parameters.Truth,
    out: Annotated[Path, "where to write the metrics (JSON)"],
) -> None:
    """Where spoken nouns point, by every protocol, beside what the numbers mean."""
    one_core()
    from ves.evaluation.localisation.report import evaluate
    from ves.evaluation.provenance import refuse_other_model
    from ves.store.embeddings import load

    settings = experiment.run_config(run)
    refuse_other_model(load(embeddings), embeddings, run, settings.run)
    evaluate(embeddings, settings.data, truth, out)


STAGES = (
    evaluate,
    embed,
    retrieval,
    multi_positive,
    localisation,
)
