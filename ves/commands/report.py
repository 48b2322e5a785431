"""Tables, figures and pages."""

from pathlib import Path
from typing import Annotated, Unpack

from ves.base.cpu import one_core
from ves.commands import parameters, presence
from ves.config import experiment, fields


def table1(
    *, table: parameters.Table, results: parameters.Results, out: Annotated[Path, "where to write the table (CSV)"]
) -> None:
    """Make Table 1, the retrieval results with chance."""
    from ves.report.tables.table1 import table1

    table1(fields.read(experiment.TableConfig, table), results, out)


def localisation_table(
    *,
    table: parameters.Table,
    results: parameters.Results,
    out: Annotated[Path, "where to write the main table (CSV)"],
    protocols: Annotated[Path, "where to write the table of all protocols (CSV)"],
    by: Annotated[Path, "where to write the table by language and kind (CSV)"],
) -> None:
    """Make the tables of localisation.

    One has the main numbers, one all protocols, one the numbers by language and kind.
    """
    from ves.report.tables import localisation as localisation_tables

    settings = fields.read(experiment.TableConfig, table)
    localisation_tables.main_csv(settings, results, out)
    localisation_tables.protocols_csv(settings, results, protocols)
    localisation_tables.groups_csv(settings, results, by)


def comparisons(
    *, table: parameters.Table, results: parameters.Results, out: Annotated[Path, "where to write the table (CSV)"]
) -> None:
    """Compare the table's first objective with each other one, with intervals."""
    one_core()
    from ves.report.tables.comparisons import comparisons

    comparisons(fields.read(experiment.TableConfig, table), results, out)


def comparisons_page(
    comparisons: Annotated[Path, "comparisons.csv: the differences with their intervals"],
    *,
    out: Annotated[Path, "where to write the page (Markdown)"],
    plot: Annotated[Path, "where to write its picture (PNG), beside the page"],
) -> None:
    """Make the page of comparisons, with a picture of the differences."""
    one_core()
    from ves.report.tables.comparisons_page import write

    write(comparisons, out, plot)


def breakdown(
    *,
    table: parameters.Table,
    results: parameters.Results,
    manifest: parameters.Manifest,
    splits: Annotated[Path, "splits.parquet: the split of each clip"],
    truth: parameters.Truth,
    out: Annotated[Path, "where to write the table (CSV)"],
) -> None:
    """Make the table of retrieval by group of clips, with intervals.

    The groups are those of language, stratum, speaker, length and noise.
    """
    one_core()
    from ves.report.tables.breakdown import breakdown

    settings = fields.read(experiment.TableConfig, table)
    breakdown(settings, results, manifest, splits, _truth(settings, results, truth), out)


def retrieval_page(
    *,
    table: parameters.Table,
    results: parameters.Results,
    corpus: Annotated[str, "name of the corpus"],
    truth: parameters.Truth,
    out: Annotated[Path, "where to write the page (Markdown)"],
) -> None:
    """Make the page of retrieval.

    It has intervals, other similarities, and retrieval among all clips of a picture.
    """
    one_core()
    from ves.report.tables.table1_page import write

    settings = fields.read(experiment.TableConfig, table)
    write(settings, results, corpus, _truth(settings, results, truth), out)


def retrieval_figures(
    *,
    table: parameters.Table,
    results: parameters.Results,
    groups: Annotated[Path, "retrieval_by.csv: recall of each group of clips"],
    out: Annotated[list[Path], "where to write the three figures (PNG)"],
) -> None:
    """Draw recall by language, recall over k, and the distribution of ranks."""
    one_core()
    from ves.report.tables.recall_plots import draw

    draw(fields.read(experiment.TableConfig, table), results, groups, *out)


def _truth(table: experiment.TableConfig, results: Path, truth: Path) -> Path:
    """The folder, if it is a truth of the corpus of the runs in the table. Raises ValueError if it is not."""
    from ves.evaluation.truth import folder_of
    from ves.report.tables.table1 import run_name

    first = results / run_name(table.table[0], table.seeds[0])
    return folder_of(experiment.run_config(first).data, truth)


def _shown(
    runs: list[Path], clips: int, pictures: Path | None, truth: Path | None
) -> tuple[list[Path], experiment.DataPaths, Path, Path, int]:
    """What is drawn of clips, in the order that the functions below take it: the runs, the files of their corpus, its
    pictures and truth, and the number of clips. Raises ValueError if the truth is that of another corpus."""
    from ves.evaluation.truth import folder_of

    data = experiment.run_config(runs[0]).data
    return runs, data, pictures or Path(data.images).parent / "images", folder_of(data, truth), clips


def heatmaps(
    *,
    out: Annotated[Path, "folder to write the gallery into"],
    back: parameters.Back | None = None,
    **shown: Unpack[parameters.ShownClips],
) -> None:
    """Draw heatmaps and films of validation clips, with the runs side by side."""
    one_core()
    from ves.report.clips.gallery import draw

    draw(*_shown(**shown), out, back)


def explorer(
    *,
    out: Annotated[Path, "folder to write the page into"],
    back: parameters.Back | None = None,
    **shown: Unpack[parameters.ShownClips],
) -> None:
    """Make a page that plays clips and shows what the runs find.

    For some validation clips, it shows what each run finds in the picture at each moment.
    """
    one_core()
    from ves.report.explorer.build import write

    write(*_shown(**shown), out, back)


def figure1(
    *,
    out: Annotated[Path, "where to write the figure (PNG); a PDF is written beside it"],
    **shown: Unpack[parameters.ShownClips],
) -> None:
    """Draw Figure 1: words of some validation clips, with the runs side by side."""
    one_core()
    from ves.report.clips.figure1 import draw

    draw(*_shown(**shown), out)


def words(
    run: Annotated[Path, "folder of the run, with embeddings of val", presence.embedded],
    *,
    truth: parameters.Truth,
    out: Annotated[Path, "where to write the table (CSV)"],
    plot: Annotated[Path, "where to draw the map of words (PNG)"],
    pointing: Annotated[Path, "where to draw pointing by word (PNG)"],
) -> None:
    """Compare the words of all languages, and where they point."""
    one_core()
    from ves.evaluation.truth import folder_of
    from ves.report.tables.words import write

    own = folder_of(experiment.run_config(run).data, truth)
    write(run, run / "embeddings" / "val.zarr", own, out, plot, pointing)


def refused_table(
    *,
    refused: parameters.Refused,
    manifest: parameters.Manifest,
    images: parameters.Images,
    out: Annotated[Path, "where to write the table (CSV)"],
) -> None:
    """Make the table of what was refused: counts for each reason, with examples."""
    from ves.report.tables.refused import write

    write(refused, manifest, images, out)


def stage_times(
    logs: Annotated[Path, "folder logs/<corpus>"], *, out: Annotated[Path, "where to write the table (CSV)"]
) -> None:
    """Make the table of what each stage cost, as measured beside the logs."""
    from ves.report.tables.times import write

    write(logs, out)


def results(*, configfile: parameters.ConfigFiles | None = None) -> None:
    """Print Table 1, and list the pages and figures to open.

    The corpus is that of ./config.yaml, overridden by the configuration files.
    """
    from ves.config.check import load
    from ves.report.tables.overview import overview

    print(overview(Path("results") / load(Path("config.yaml"), configfile or []).corpus.name))


def html(
    files: Annotated[list[Path], "tables (CSV) and pages (Markdown)"],
    *,
    out: Annotated[Path, "folder to write the pages into"],
    back: parameters.Back | None = None,
) -> None:
    """Convert tables (CSV) and pages (Markdown) to HTML pages of the same names."""
    from ves.report.html import write

    for file in files:
        write(file, out / f"{file.stem}.html", back)


def html_tables(
    files: Annotated[list[Path], "tables (CSV) in the folder of the results"],
    *,
    table: parameters.Table,
    out: Annotated[Path, "folder to write the files into"],
) -> None:
    """Convert tables (CSV) to HTML without a page around it.

    The files have the same names; the report's first page includes them.
    """
    from ves.report.index import write_part

    for file in files:
        write_part(fields.read(experiment.TableConfig, table), file, out / f"{file.stem}.html")


def index(
    results: parameters.Results,
    *,
    table: parameters.Table,
    out: Annotated[Path, "where to write the page (HTML), in the folder of the results"],
) -> None:
    """Make the page of all results of a corpus.

    It has the tables, and links to the explorer, the films and all else.
    """
    from ves.report.index import write

    write(fields.read(experiment.TableConfig, table), results, out)


def localise(
    picture: Annotated[Path, "picture, in any format that Pillow reads", presence.file],
    audio: Annotated[Path, "recording or film of any length", presence.file],
    *,
    run: parameters.TrainedRun,
    out: Annotated[Path, "folder to write into"],
) -> None:
    """Show what a run finds in your picture while it hears your recording.

    The recording may be anything that libsndfile or FFmpeg reads. The folder OUT gets a PNG, a film and a page; their
    names are printed.
    """
    from ves.models.localise import load
    from ves.report.localise_page import write

    for file in write(load(run).localise(picture, audio), out):
        print(file)


STAGES = (
    table1,
    localisation_table,
    comparisons,
    comparisons_page,
    breakdown,
    retrieval_page,
    retrieval_figures,
    heatmaps,
    explorer,
    figure1,
    words,
    refused_table,
    stage_times,
    html,
    html_tables,
    index,
    localise,
    results,
)
