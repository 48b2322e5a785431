"""Tables, figures and pages."""

from pathlib import Path

from ves.base.cpu import one_core
from ves.commands import given
from ves.config import experiment


def table1(*, table: Path, results: Path, out: Path) -> None:
    """The table of retrieval results, with the chance rows."""
    from ves.report.tables.table1 import table1

    table1(given.read(experiment.TableConfig, table), results, out)


def localisation_table(*, table: Path, results: Path, out: Path, protocols: Path, by: Path) -> None:
    """The tables of localisation: the main numbers, every protocol, and by language and kind."""
    from ves.report.tables import localisation as localisation_tables

    settings = given.read(experiment.TableConfig, table)
    localisation_tables.main_csv(settings, results, out)
    localisation_tables.protocols_csv(settings, results, protocols)
    localisation_tables.groups_csv(settings, results, by)


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
