"""From pictures to features, models, metrics and figures."""

from pathlib import Path

from ves import config
from ves.commands import given


def features(*, vision: Path, images: Path, pictures: Path, store: Path, part: str, out: Path) -> None:
    """Patch tokens of one part of the pictures, such as 2-of-8, from the frozen backbone; goes on where it was stopped.

    A part is whole shards of the store. OUT is the record of them that seal-features asks for.
    """
    from ves.extraction import extract

    extract(given.read(config.VisionConfig, vision), images, pictures, store, part, out)


def seal_features(*, images: Path, store: Path, parts: list[Path], manifest: Path) -> None:
    """Mark the features complete once every part is there, and write their manifest."""
    from ves.extraction import seal

    seal(images, store, parts, manifest)


def train(run: Path) -> None:
    """Train the run described by RUN/config.json; goes on from its newest checkpoint."""
    from ves.train import train
    from ves.watch import watching

    train(run, watching)


def curves(run: Path, *, out: Path) -> None:
    """A figure of a training: loss, temperature, learning rate, gradient norm and recall on tune against steps."""
    from ves.curves import draw

    draw(run, out)


def evaluate(checkpoint: Path, *, split: str = "val", out: Path | None = None, truth: Path | None = None) -> None:
    """Score any checkpoint, also of a run that is not finished: retrieval and, where the corpus has a truth, pointing.

    CHECKPOINT is a step-<n>/ folder, or a run directory: its model, or its newest checkpoint. The metrics are printed
    and written to OUT, by default <run>/evaluated/<checkpoint>-<split>/. TRUTH is by default that of the run's corpus.
    """
    from ves.evaluation import evaluate

    print(evaluate(checkpoint, split, out, truth))


def embed(run: Path, *, split: str, out: Path) -> None:
    """Embed the clips and images of a split with the model of a run."""
    from ves.embed import embed

    embed(run, split, out)


def retrieval(*, embeddings: Path, out: Path) -> None:
    """Recall and ranks, both directions."""
    from ves.retrieval import evaluate

    evaluate(embeddings, out)


def localisation(*, run: Path, embeddings: Path, truth: Path, out: Path) -> None:
    """Whether spoken nouns point at the objects that they name."""
    from ves.localisation import evaluate

    evaluate(embeddings, given.read(config.RunConfig, run / "config.json").data, truth, out)


def table1(*, table: Path, results: Path, out: Path) -> None:
    """The table of retrieval results, with the chance rows."""
    from ves.tables import table1

    table1(given.read(config.TableConfig, table), results, out)


def localisation_table(*, table: Path, results: Path, out: Path) -> None:
    """The table of pointing results, with its baselines."""
    from ves.tables import localisation_csv

    localisation_csv(given.read(config.TableConfig, table), results, out)


def heatmaps(*, runs: list[Path], pictures: Path, truth: Path, clips: int, out: Path) -> None:
    """Heatmaps of some validation clips, the runs side by side."""
    from ves.heatmaps import draw

    draw(runs, given.read(config.RunConfig, runs[0] / "config.json").data, pictures, truth, clips, out)


STAGES = (
    features,
    seal_features,
    train,
    curves,
    embed,
    retrieval,
    localisation,
    evaluate,
    table1,
    localisation_table,
    heatmaps,
)
