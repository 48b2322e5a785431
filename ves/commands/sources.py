"""From what there is to shards: listed, surveyed, chosen, planned, downloaded, packed or synthesised."""

from pathlib import Path

from ves.base.files import write_json
from ves.commands import given
from ves.config import experiment


def list_shards(*, corpus: Path, out: Path) -> None:
    """List the shards of a corpus: one small file, on which all that follows depends."""
    from ves.sources.kinds import source

    settings = given.corpus(corpus)
    block = getattr(settings, settings.kind)
    shards = source(settings.kind).list_shards(block)
    shards = [shard | {"chosen": None} for shard in shards]  # all rows
    write_json(out, {"revision": getattr(block, "revision", None), "shards": shards})


def survey(*, corpus: Path, folder: Path, out: Path) -> None:
    """Read the listing of Vaani, and of each file the footer and the texts; nothing of the sound or the pictures."""
    from ves.sources.vaani.survey import survey

    survey(given.block(given.corpus(corpus).vaani), folder, out)


def choose(*, corpus: Path, survey: Path, folder: Path, chosen: Path, out: Path) -> None:
    """Choose among the surveyed clips by label and caps; list the shards that are wanted."""
    from ves.sources.vaani.choice import choose

    settings = given.corpus(corpus)
    choose(given.block(settings.vaani), given.spellings(settings), survey, folder, chosen, out)


def plan(*, settings: Path, survey: Path, listing: Path, data: Path, page: Path, out: Path) -> None:
    """What a download will bring, weigh and take: a page for people, and the numbers as JSON.

    DATA is the folder of the corpus: what was surveyed and chosen is read there, and what is there already counts.
    """
    from ves.report.tables.plan import write

    write(given.read(experiment.PlanSettings, settings), survey, listing, data, page, out)


def check_room(*, plan: Path, data: Path) -> None:
    """Fail, before anything is downloaded, when the disk cannot hold what the plan foresees."""
    from ves.sources.vaani.disk_space import check_room

    check_room(plan, data)


def vaani_check(*, configfile: list[Path] | None = None, corpus: Path | None = None, out: Path | None = None) -> None:
    """Compare what VeS assumes of Vaani with one row group of its smallest shards; a table of what differs.

    The corpus is that of configuration files, laid over the config.yaml of this folder, or of a corpus.json. The table
    goes to OUT, by default to results/<corpus>/vaani-check.md.
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


def fetch(*, corpus: Path, listing: Path, shard: str, out: Path) -> None:
    """Download one shard of Vaani; resumes, and verifies what came."""
    from ves.sources.vaani.listing import fetch

    entry = given.listed(listing, shard)
    fetch(given.block(given.corpus(corpus).vaani), entry, out)


def pack(*, corpus: Path, shard: str, out: Path) -> None:
    """Pack one shard of your own pairs from the files that the tables name."""
    from ves.sources.pairs.packing import fetch

    fetch(given.block(given.corpus(corpus).pairs), shard, out)


def generate(*, corpus: Path, shard: str, out: Path, truth: Path) -> None:
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
