"""From what there is to shards: listed, surveyed, chosen, planned, downloaded, packed or synthesised."""

from pathlib import Path
from typing import Annotated

from ves.base.files import write_json
from ves.commands import given, parameters, presence
from ves.config import experiment
from ves.config.corpus import SurveyConfig


def list_shards(*, corpus: parameters.Corpus, out: Annotated[Path, "where to write the list (JSON)"]) -> None:
    """List the shards of a corpus: one small file, on which all that follows depends."""
    from ves.sources.kinds import source

    settings = given.corpus(corpus)
    block = getattr(settings, settings.kind)
    shards = source(settings.kind).list_shards(block)
    shards = [shard | {"chosen": None} for shard in shards]  # all rows
    write_json(out, {"revision": getattr(block, "revision", None), "shards": shards})


def survey(
    *,
    settings: Annotated[Path, "survey_config.json: which files of the repository are surveyed"],
    folder: Annotated[Path, "the folder for a table of each file; what is there already is not read again"],
    out: Annotated[Path, "where to write the summary (JSON)"],
) -> None:
    """Read the listing of Vaani, and of each file the footer and the texts; nothing of the sound or the pictures."""
    from ves.sources.vaani.survey import survey

    survey(given.read(SurveyConfig, settings), folder, out)


def choose(
    *,
    corpus: parameters.Corpus,
    survey: parameters.Survey,
    folder: parameters.SurveyFolder,
    chosen: Annotated[Path, "the folder for the chosen rows of each shard"],
    out: Annotated[Path, "where to write the list of the shards that are wanted (JSON)"],
) -> None:
    """Choose among the surveyed clips by label and caps; list the shards that are wanted."""
    from ves.sources.vaani.choice import choose

    settings = given.corpus(corpus)
    choose(given.block(settings.vaani), given.spellings(settings), survey, folder, chosen, out)


def plan(
    *,
    settings: Annotated[Path, "plan_settings.json: the settings that the plan depends on"],
    survey: parameters.Survey,
    listing: parameters.Listing,
    data: Annotated[Path, "the folder data/<corpus>, where the survey and the chosen rows are"],
    page: Annotated[Path, "where to write the page (Markdown)"],
    out: Annotated[Path, "where to write the numbers (JSON)"],
) -> None:
    """What a download will bring, weigh and take: a page for people, and the numbers as JSON.

    DATA is the folder of the corpus: what was surveyed and chosen is read there, and what is there already counts.
    """
    from ves.report.tables.plan import write

    write(given.read(experiment.PlanSettings, settings), survey, listing, data, page, out)


def check_room(
    *,
    plan: Annotated[Path, "plan.json: what the download will weigh"],
    data: Annotated[Path, "the folder data/<corpus>, on the disk that must hold it"],
) -> None:
    """Fail, before anything is downloaded, when the disk cannot hold what the plan foresees."""
    from ves.sources.vaani.disk_space import check_room

    check_room(plan, data)


def vaani_check(
    *,
    configfile: parameters.ConfigFiles | None = None,
    corpus: Annotated[Path, "corpus.json, in place of configuration files", presence.file] | None = None,
    out: Annotated[Path, "where to write the table (default: results/<corpus>/vaani-check.md)"] | None = None,
) -> None:
    """Compare Vaani with what VeS assumes of it.

    One row group of its smallest shards is read; what differs goes into a table. The corpus is that of configuration
    files, laid over the config.yaml of this folder, or of a corpus.json. The table goes to OUT, by default to
    results/<corpus>/vaani-check.md.
    """
    from ves.config.check import load

    if (configfile is None) == (corpus is None):
        raise ValueError("give --configfile, such as config/vaani-mini.yaml, or --corpus, a corpus.json; one of them")
    settings = given.corpus(corpus) if corpus else load(Path("config.yaml"), configfile or []).corpus
    if settings.kind != "vaani":
        raise ValueError(f"corpus.kind: {settings.kind!r}; only of 'vaani' is anything assumed that could be checked")
    from ves.sources.vaani.check import check

    surveyed = Path("data") / settings.name / "survey"  # used where it is there
    out = out or Path("results") / settings.name / "vaani-check.md"
    check(given.block(settings.vaani), given.spellings(settings), surveyed, out)


def fetch(
    *,
    corpus: parameters.Corpus,
    listing: parameters.Listing,
    shard: parameters.Shard,
    out: Annotated[Path, "where to write the shard (parquet)"],
) -> None:
    """Download one shard of Vaani; resumes, and verifies what came."""
    from ves.sources.vaani.listing import fetch

    entry = given.listed(listing, shard)
    fetch(given.block(given.corpus(corpus).vaani), entry, out)


def pack(
    *, corpus: parameters.Corpus, shard: parameters.Shard, out: Annotated[Path, "where to write the shard (parquet)"]
) -> None:
    """Pack one shard of your own pairs from the files that the tables name."""
    from ves.sources.pairs.packing import fetch

    fetch(given.block(given.corpus(corpus).pairs), shard, out)


def generate(
    *,
    corpus: parameters.Corpus,
    shard: parameters.Shard,
    out: Annotated[Path, "where to write the shard (parquet)"],
    truth: Annotated[Path, "where to write what only evaluation may know of it (parquet)"],
) -> None:
    """Synthesise one shard of Spoken Scenes, and what only evaluation may know of it."""
    from ves.sources.scenes import fetch

    fetch(given.block(given.corpus(corpus).scenes), shard, out, truth)


STAGES = (
    list_shards,
    survey,
    choose,
    plan,
    check_room,
    vaani_check,
    fetch,
    pack,
    generate,
)
