"""Numbers about a checkpoint or a run."""

from pathlib import Path
from typing import Annotated

from ves.base.cpu import one_core
from ves.commands import parameters, presence
from ves.config import experiment


def evaluate(
    checkpoint: Annotated[Path, "a run, a step-<n>/ folder, or a folder of such folders", presence.checkpoint],
    *,
    split: Annotated[str, "split to evaluate on"] = "val",
    out: Annotated[Path, "folder for the metrics (default: <run>/evaluated/<checkpoint>-<split>)"] | None = None,
    truth: parameters.TruthOfRun | None = None,
) -> None:
    """Evaluate any checkpoint, even of an unfinished run.

    This measures retrieval and, if the corpus has word timings and object masks, pointing. CHECKPOINT is a step-<n>/
    folder, a folder of such folders (the newest is used), or the folder of a run (its model, or else its newest
    checkpoint). The metrics are printed, and written to OUT.
    """
    from ves.evaluation.any_checkpoint import evaluate

    print(evaluate(checkpoint, split, out, truth))


def embed(
    run: parameters.TrainedRun,
    *,
    split: Annotated[str, "split to embed, such as val"],
    out: Annotated[Path, "where to write the embeddings (a .zarr folder)"],
) -> None:
    """Embed the clips and pictures of a split with the model of a run.

    It runs on a GPU or on one core.
    """
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
    """Measure retrieval by the paper's protocol, one clip for each picture."""
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
    """Measure retrieval where any clip of the right picture counts.

    The gallery has all clips of the pictures of val.
    """
    one_core()
    from ves.evaluation.retrieval.protocols import multi_positive

    multi_positive(run, blocks, ranks, out)


def localisation(
    *,
    run: parameters.Run,
    embeddings: Annotated[Path, "embeddings of val: a .zarr folder"],
    truth: parameters.Truth,
    out: Annotated[Path, "where to write the metrics (JSON)"],
) -> None:
    """Measure where spoken nouns point, by every protocol."""
    one_core()
    from ves.evaluation.localisation.measure import evaluate
    from ves.evaluation.provenance import refuse_other_model
    from ves.evaluation.truth import folder_of
    from ves.store.embeddings import load

    settings = experiment.run_config(run)
    truth = folder_of(settings.data, truth)
    refuse_other_model(load(embeddings), embeddings, run, settings.run)
    evaluate(embeddings, settings.data, truth, out)


STAGES = (
    evaluate,
    embed,
    retrieval,
    multi_positive,
    localisation,
)
