"""Tables, figures and pages."""

from pathlib import Path
from typing import Annotated

from ves.base.cpu import one_core
from ves.commands import given, parameters, presence
from ves.config import experiment


def table1(
    *, table: parameters.Table, results: parameters.Results, out: Annotated[Path, "where to write the table (CSV)"]
) -> None:
    """The table of retrieval results, with the chance rows."""
    from ves.report.tables.table1 import table1

    table1(given.read(experiment.TableConfig, table), results, out)


def localisation_table(
    *,
    table: parameters.Table,
    results: parameters.Results,
    out: Annotated[Path, "where to write the main table (CSV)"],
    protocols: Annotated[Path, "where to write the table of every protocol (CSV)"],
    by: Annotated[Path, "where to write the table by language and kind (CSV)"],
) -> None:
    """The tables of localisation: the main numbers, every protocol, and by language and kind."""
    from ves.report.tables import localisation as localisation_tables

    settings = given.read(experiment.TableConfig, table)
    localisation_tables.main_csv(settings, results, out)
    localisation_tables.protocols_csv(settings, results, protocols)
    localisation_tables.groups_csv(settings, results, by)


def comparisons(
    *, table: parameters.Table, results: parameters.Results, out: Annotated[Path, "where to write the table (CSV)"]
) -> None:
    """How much better the first objective of the table is than each other one, with intervals."""
    one_core()
    from ves.report.tables.comparisons import comparisons

    comparisons(given.read(experiment.TableConfig, table), results, out)


def breakdown(
    *,
    table: parameters.Table,
    results: parameters.Results,
    manifest: parameters.Manifest,
    splits: Annotated[Path, "splits.parquet: the split of each clip"],
    truth: parameters.Truth,
    out: Annotated[Path, "where to write the table (CSV)"],
) -> None:
    """Retrieval by language, stratum, speaker, length and noise of the clip, with intervals."""
    one_core()
    from ves.report.tables.breakdown import breakdown

    breakdown(given.read(experiment.TableConfig, table), results, manifest, splits, truth, out)


def retrieval_page(
    *,
    table: parameters.Table,
    results: parameters.Results,
    corpus: Annotated[str, "the name of the corpus"],
    truth: parameters.Truth,
    out: Annotated[Path, "where to write the page (Markdown)"],
) -> None:
    """The tables of retrieval for reading: with intervals, under other similarities, of all clips of a picture."""
    one_core()
    from ves.report.tables.table1_page import write

    write(given.read(experiment.TableConfig, table), results, corpus, truth, out)


def retrieval_figures(
    *,
    table: parameters.Table,
    results: parameters.Results,
    groups: Annotated[Path, "retrieval_by.csv: recall of each group of clips"],
    out: Annotated[list[Path], "where to write the three figures (PNG)"],
) -> None:
    """Recall by language, recall over K, and how ranks are distributed, as PNG files at these three places."""
    one_core()
    from ves.report.tables.recall_plots import draw

    draw(given.read(experiment.TableConfig, table), results, groups, *out)


def _corpus(run: Path, pictures: Path | None, truth: Path | None) -> tuple[experiment.DataPaths, Path, Path]:
    """Where the corpus of a run is, its pictures and its truth; raises ValueError for a truth that is not of it."""
    from ves.evaluation.truth import folder_of

    data = experiment.run_config(run).data
    return data, pictures or Path(data.images).parent / "images", folder_of(data, truth)


def heatmaps(
    *,
    runs: parameters.EmbeddedRuns,
    out: Annotated[Path, "the folder for the gallery"],
    clips: parameters.Clips,
    pictures: parameters.PicturesOfRun | None = None,
    truth: parameters.TruthOfRun | None = None,
) -> None:
    """Draw heatmaps of validation clips, the runs side by side."""
    one_core()
    data, pictures, truth = _corpus(runs[0], pictures, truth)
    from ves.report.clips.gallery import draw

    draw(runs, data, pictures, truth, clips, out)


def explorer(
    *,
    runs: parameters.EmbeddedRuns,
    out: Annotated[Path, "the folder for the page"],
    clips: parameters.Clips,
    pictures: parameters.PicturesOfRun | None = None,
    truth: parameters.TruthOfRun | None = None,
) -> None:
    """Make a page that plays clips and shows what runs find.

    It shows some validation clips: what each run finds in their pictures, and when.
    """
    one_core()
    data, pictures, truth = _corpus(runs[0], pictures, truth)
    from ves.report.explorer.build import write

    write(runs, data, pictures, truth, clips, out)


def figure1(
    *,
    runs: parameters.EmbeddedRuns,
    out: Annotated[Path, "where to write the figure (PNG); a PDF is written beside it"],
    clips: parameters.Clips,
    pictures: parameters.PicturesOfRun | None = None,
    truth: parameters.TruthOfRun | None = None,
) -> None:
    """Draw Figure 1: words of some validation clips by the runs side by side."""
    one_core()
    data, pictures, truth = _corpus(runs[0], pictures, truth)
    from ves.report.clips.figure1 import draw

    draw(runs, data, pictures, truth, clips, out)


def refused_table(
    *,
    refused: parameters.Refused,
    manifest: parameters.Manifest,
    images: parameters.Images,
    out: Annotated[Path, "where to write the table (CSV)"],
) -> None:
    """What was refused, and why, counted by reason, with examples."""
    from ves.report.tables.refused import write

    write(refused, manifest, images, out)


def stage_times(
    logs: Annotated[Path, "the folder logs/<corpus>"], *, out: Annotated[Path, "where to write the table (CSV)"]
) -> None:
    """What each stage cost, from the measurements beside the logs of a corpus, the folder LOGS."""
    from ves.report.tables.times import write

    write(logs, out)


def results(*, configfile: parameters.ConfigFiles | None = None) -> None:
    """Print Table 1, and what there is to open beside it.

    The corpus is that of config.yaml in this folder, with configuration files laid over it.
    """
    from ves.config.check import load
    from ves.report.tables.overview import overview

    print(overview(Path("results") / load(Path("config.yaml"), configfile or []).corpus.name))


def html(
    files: Annotated[list[Path], "the tables (CSV) and pages (Markdown)"],
    *,
    out: Annotated[Path, "the folder for the pages"],
) -> None:
    """Tables (CSV) and pages (Markdown) as HTML pages of the same names, in the folder OUT."""
    from ves.report.html import write

    for file in files:
        write(file, out / f"{file.stem}.html")


def localise(
    picture: Annotated[Path, "the picture, of any format that Pillow reads", presence.file],
    audio: Annotated[Path, "the recording or film, of any length", presence.file],
    *,
    run: parameters.TrainedRun,
    out: Annotated[Path, "the folder to write into"],
) -> None:
    """Show what a run sees in your picture while it hears you.

    A PNG, a film and a page are written into the folder OUT, and named. Any picture that Pillow reads, any recording or
    film that libsndfile or FFmpeg reads, of any length.
    """
    from ves.models.localise import load
    from ves.report.own import write

    for file in write(load(run).localise(picture, audio), out):
        print(file)


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
    results,
)
