"""From pictures to features, models, metrics and figures."""

from pathlib import Path
from typing import Annotated

from ves.base.cpu import one_core
from ves.commands import given
from ves.config import experiment


def features(*, vision: Path, images: Path, pictures: Path, store: Path, part: str, out: Path) -> None:
    """Patch tokens of one part of the pictures, such as 2-of-8, from the frozen backbone; goes on where it was stopped.

    A part is whole shards of the store. OUT is the record of them that seal-features asks for.
    """
    from ves.base import gpus
    from ves.models.extraction import extract

    gpus.take()
    extract(given.read(experiment.VisionConfig, vision), images, pictures, store, part, out)


def seal_features(*, images: Path, store: Path, parts: list[Path], manifest: Path) -> None:
    """Mark the features complete once every part is there, and write their manifest."""
    from ves.models.extraction import seal

    seal(images, store, parts, manifest)


def train(run: Path, *, fresh: Annotated[bool, "put an unfinished training aside and start anew"] = False) -> None:
    """Train the run described by RUN/config.json; goes on from its newest checkpoint.

    Other settings than those of an unfinished training are refused; --fresh puts that aside, in a folder
    checkpoints-archive-<n>, and starts anew. SIGTERM or SIGINT (Ctrl-C) write a checkpoint and end with exit code 75;
    the same command goes on.
    """
    from ves.evaluation.retrieval.tune import recall
    from ves.report.monitoring.watch import watching
    from ves.training.train import train

    train(run, watching, recall=recall, fresh=fresh)


def curves(run: Path, *, out: Path) -> None:
    """A figure of a training: loss, temperature, learning rate, gradient norm and recall on tune against steps."""
    from ves.report.monitoring.curves import draw

    draw(run, out)


def evaluate(checkpoint: Path, *, split: str = "val", out: Path | None = None, truth: Path | None = None) -> None:
    """Score any checkpoint, also of a run that is not finished: retrieval and, where the corpus has a truth, pointing.

    CHECKPOINT is a step-<n>/ folder, a folder of those (the newest is taken), or a run directory: its model, or its
    newest checkpoint. The metrics are printed and written to OUT, by default <run>/evaluated/<checkpoint>-<split>/.
    TRUTH is by default that of the run's corpus.
    """
    from ves.evaluation.checkpoint import evaluate

    print(evaluate(checkpoint, split, out, truth))


def embed(run: Path, *, split: str, out: Path) -> None:
    """Embed the clips and images of a split with the model of a run: on a GPU, or on one core."""
    from ves.base import gpus
    from ves.evaluation.embed import embed

    gpus.take()
    embed(run, split, out)


def retrieval(run: Path, *, blocks: Path, ranks: Path, out: Path) -> None:
    """Recall and ranks, both directions, by the paper's protocol: one clip to an image."""
    one_core()
    from ves.evaluation.retrieval.protocols import paper

    paper(run, blocks, ranks, out)


def multi_positive(run: Path, *, blocks: Path, ranks: Path, out: Path) -> None:
    """The same of all clips of the images of val, where any clip that shows the image is right."""
    one_core()
    from ves.evaluation.retrieval.protocols import multi_positive

    multi_positive(run, blocks, ranks, out)


def localisation(*, run: Path, embeddings: Path, truth: Path, out: Path) -> None:
    """Where spoken nouns point, by every protocol, beside what the numbers mean."""
    one_core()
    from ves.evaluation.localisation.report import evaluate
    from ves.evaluation.provenance import refuse_other_model
    from ves.store.embeddings import load

    settings = given.read(experiment.RunConfig, run / "config.json")
    refuse_other_model(load(embeddings), embeddings, run, settings.run)
    evaluate(embeddings, settings.data, truth, out)


def table1(*, table: Path, results: Path, out: Path) -> None:
    """The table of retrieval results, with the chance rows."""
    from ves.report.tables.table1 import table1

    table1(given.read(experiment.TableConfig, table), results, out)


def comparisons(*, table: Path, results: Path, out: Path) -> None:
    """How much better the first objective of the table is than each other one, with intervals."""
    one_core()
    from ves.report.tables.comparisons import comparisons

    comparisons(given.read(experiment.TableConfig, table), results, out)


def breakdown(*, table: Path, results: Path, manifest: Path, splits: Path, truth: Path, out: Path) -> None:
    """Retrieval by language, stratum, speaker, length and noise of the clip, with intervals."""
    one_core()
    from ves.report.tables.breakdown import breakdown

    breakdown(given.read(experiment.TableConfig, table), results, manifest, splits, truth, out)


def retrieval_page(*, table: Path, results: Path, corpus: str, truth: Path, out: Path) -> None:
    """The tables of retrieval for reading: with intervals, under other similarities, of all clips of a picture."""
    one_core()
    from ves.report.tables.table1_page import write

    write(given.read(experiment.TableConfig, table), results, corpus, truth, out)


def retrieval_figures(*, table: Path, results: Path, groups: Path, out: list[Path]) -> None:
    """Recall by language, recall over K, and how ranks are distributed, as PNG files at these three places."""
    one_core()
    from ves.report.tables.recall_plots import draw

    draw(given.read(experiment.TableConfig, table), results, groups, *out)


def localisation_table(*, table: Path, results: Path, out: Path, protocols: Path, by: Path) -> None:
    """The tables of localisation: the main numbers, every protocol, and by language and kind."""
    from ves.report.tables import localisation as localisation_tables

    settings = given.read(experiment.TableConfig, table)
    localisation_tables.main_csv(settings, results, out)
    localisation_tables.protocols_csv(settings, results, protocols)
    localisation_tables.groups_csv(settings, results, by)


def heatmaps(*, runs: list[Path], pictures: Path, truth: Path, clips: int, out: Path) -> None:
    """Heatmaps of some validation clips, the runs side by side."""
    one_core()
    from ves.report.clips.gallery import draw

    draw(runs, given.read(experiment.RunConfig, runs[0] / "config.json").data, pictures, truth, clips, out)


def explorer(*, runs: list[Path], pictures: Path, truth: Path, clips: int, out: Path) -> None:
    """A page that plays some validation clips and shows what each run finds in their pictures, and when."""
    one_core()
    from ves.report.explorer.build import write

    write(runs, given.read(experiment.RunConfig, runs[0] / "config.json").data, pictures, truth, clips, out)


def figure1(*, runs: list[Path], pictures: Path, truth: Path, clips: int, out: Path) -> None:
    """Figure 1: words of some validation clips by the runs side by side; OUT is a PNG, with a PDF beside it."""
    one_core()
    from ves.report.clips.figure1 import draw

    draw(runs, given.read(experiment.RunConfig, runs[0] / "config.json").data, pictures, truth, clips, out)


def refused_table(*, refused: Path, manifest: Path, images: Path, out: Path) -> None:
    """What was refused, and why, counted by reason, with examples."""
    from ves.report.tables.refused import write

    write(refused, manifest, images, out)


def stage_times(logs: Path, *, out: Path) -> None:
    """What each stage cost, from the measurements beside the logs of a corpus, the folder LOGS."""
    from ves.report.tables.times import write

    write(logs, out)


def html(files: list[Path], *, out: Path) -> None:
    """Tables (CSV) and pages (Markdown) as HTML pages of the same names, in the folder OUT."""
    from ves.report.html import write

    for file in files:
        write(file, out / f"{file.stem}.html")


def localise(picture: Path, audio: Path, *, run: Path, out: Path) -> None:
    """Your own PICTURE and voice: what a trained RUN sees while it hears AUDIO: PNG, film and page in the folder OUT.

    Any picture that Pillow reads, any recording or film that libsndfile or FFmpeg reads, of any length.
    """
    from ves.models.localise import load
    from ves.report.own import write

    write(load(run).localise(picture, audio), out)


STAGES = (
    features,
    seal_features,
    train,
    curves,
    embed,
    retrieval,
    multi_positive,
    localisation,
    evaluate,
    table1,
    localisation_table,
    comparisons,
    breakdown,
    retrieval_page,
    retrieval_figures,
    heatmaps,
    explorer,
    figure1,
    refused_table,
    stage_times,
    html,
    localise,
)
