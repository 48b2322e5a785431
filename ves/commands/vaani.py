"""The stages that only a corpus of Vaani has: survey, choose and plan its shards, then download them."""

from pathlib import Path
from typing import Annotated

from ves.commands import inputs, parameters, presence
from ves.config import experiment, fields
from ves.config.corpus import SurveyConfig, VaaniConfig


def survey(
    *,
    settings: Annotated[Path, "survey_config.json: which files of the repository are surveyed"],
    folder: Annotated[Path, "folder for a table of each file; existing tables are kept"],
    out: Annotated[Path, "where to write the summary (JSON)"],
) -> None:
    """Read what Vaani's files contain, without their sound and pictures.

    These are the listing, and the footer and the texts of each file.
    """
    from ves.sources.vaani.survey import survey

    survey(fields.read(SurveyConfig, settings), folder, out)


def choose(
    *,
    corpus: parameters.Corpus,
    survey: parameters.Survey,
    folder: parameters.SurveyFolder,
    chosen: Annotated[Path, "folder for the chosen rows of each shard"],
    out: Annotated[Path, "where to write the list of the shards to download (JSON)"],
) -> None:
    """Choose clips by labels and caps, and list the shards to download."""
    from ves.sources.vaani.choice import choose

    settings = inputs.corpus(corpus)
    choose(inputs.block(settings, VaaniConfig), inputs.spellings(settings), survey, folder, chosen, out)


def plan(
    *,
    settings: Annotated[Path, "plan_settings.json: the settings that the plan depends on"],
    survey: parameters.Survey,
    listing: parameters.Listing,
    data: Annotated[Path, "folder data/<corpus>, which has the survey and the chosen rows"],
    page: Annotated[Path, "where to write the page (Markdown)"],
    out: Annotated[Path, "where to write the numbers (JSON)"],
) -> None:
    """Plan a download: its contents, size and time, as a page and as JSON.

    DATA is the folder of the corpus. The survey and the choice are read from it, and what is already downloaded counts.
    """
    from ves.report.tables.plan import write

    write(fields.read(experiment.PlanSettings, settings), survey, listing, data, page, out)


def check_disk_space(
    *,
    plan: Annotated[Path, "plan.json: the plan of the download"],
    data: Annotated[Path, "folder data/<corpus>, on the disk that has to hold the download"],
) -> None:
    """Fail if the disk cannot hold the download that is planned."""
    from ves.sources.vaani.disk_space import check_disk_space

    check_disk_space(plan, data)


def vaani_check(
    *,
    configfile: parameters.ConfigFiles | None = None,
    corpus: Annotated[Path, "corpus.json, instead of configuration files", presence.file] | None = None,
    out: Annotated[Path, "where to write the table (default: results/<corpus>/vaani-check.md)"] | None = None,
) -> None:
    """Compare Vaani with what VeS assumes about it.

    One row group of its smallest shards is read, and the result is a table of all assumptions. The corpus is that of
    ./config.yaml, overridden by the configuration files, or that of a corpus.json. The table is printed, and written to
    OUT, by default results/<corpus>/vaani-check.md.
    """
    from ves.config.check import load

    if (configfile is None) == (corpus is None):
        raise ValueError("give either --configfile, such as config/vaani-mini.yaml, or --corpus with a corpus.json")
    settings = inputs.corpus(corpus) if corpus else load(Path("config.yaml"), configfile or []).corpus
    block = inputs.block(settings, VaaniConfig)
    from ves.sources.vaani.check import check

    surveyed = Path("data") / settings.name / "survey"  # used if it exists
    out = out or Path("results") / settings.name / "vaani-check.md"
    check(block, inputs.spellings(settings), surveyed, out)


def fetch(
    *,
    corpus: parameters.Corpus,
    listing: parameters.Listing,
    shard: parameters.Shard,
    out: Annotated[Path, "where to write the shard (parquet)"],
) -> None:
    """Download one shard of Vaani and verify it; resumes an unfinished download."""
    from ves.sources.vaani.listing import fetch

    entry = inputs.shard_entry(listing, shard)
    fetch(inputs.block(inputs.corpus(corpus), VaaniConfig), entry, out)


STAGES = (survey, choose, plan, check_disk_space, vaani_check, fetch)
