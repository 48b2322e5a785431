"""Tables, their figures and pages."""

from pathlib import Path
from typing import Annotated

from ves.base.cpu import one_core
from ves.commands import parameters
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


STAGES = (
    table1,
    localisation_table,
    comparisons,
    comparisons_page,
    breakdown,
    retrieval_page,
    retrieval_figures,
    refused_table,
    stage_times,
    html,
    html_tables,
    index,
    results,
)
