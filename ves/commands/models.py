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

    train(run)


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


def figure1(*, runs: list[Path], pictures: Path, truth: Path, clips: int, out: Path) -> None:
    """Figure 1: words of some validation clips by the runs side by side; OUT is a PNG, with a PDF beside it."""
    from ves.figure1 import draw

    draw(runs, given.read(config.RunConfig, runs[0] / "config.json").data, pictures, truth, clips, out)


def localise(picture: Path, audio: Path, *, run: Path, out: Path) -> None:
    """Your own PICTURE and voice: what a trained RUN sees while it hears AUDIO, as PNG and MP4 in the folder OUT.

    Any picture that Pillow reads, any recording or film that libsndfile or FFmpeg reads, of any length.
    """
    from ves.localise import load, write

    write(load(run).localise(picture, audio), out)


STAGES = (
    features,
    seal_features,
    train,
    embed,
    retrieval,
    localisation,
    table1,
    localisation_table,
    heatmaps,
    figure1,
    localise,
)
