"""Is Vaani what VeS takes it for? The first thing to run with a token: a few megabytes tell.

Each assumption is looked at on its own, so that a schema nobody expected is a table with differences, not a crash.
"""

import logging
from pathlib import Path

import polars as pl

from ves.base.files import atomic
from ves.base.markdown import table
from ves.config.corpus import VaaniConfig
from ves.sources.vaani.assumptions import ASSUMPTIONS, Assumption
from ves.sources.vaani.evidence import Evidence, NoFiles
from ves.sources.vaani.findings import Finding

log = logging.getLogger(__name__)

VERDICTS = {True: "ok", False: "differs", None: "unknown"}
LONGEST = 400  # characters of a cell; a schema may have thousands of columns


def check(settings: VaaniConfig, spellings: pl.DataFrame, folder: Path, out: Path) -> None:
    """Compare every assumption with the repository; write and print a Markdown table of it.

    Of the smallest shard of each part, the footer and one row group are asked for, of the pictures' also the names.
    `spellings` has columns column, old and new; `folder` is where the survey's tables are, if it was made. Raises
    ValueError when something differs, after writing, and ves.sources.hub.download.HubError, before, without any
    listing.
    """
    evidence = Evidence(settings, spellings, folder)
    log.info("%s: comparing with %d parquet files", settings.repository, len(evidence.files))
    found = [(assumption, _judged(assumption, evidence)) for assumption in ASSUMPTIONS]
    page = _page(evidence, found)
    with atomic(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    print(page)
    if differing := [assumption.name for assumption, finding in found if finding.holds is False]:
        raise ValueError(
            f"{len(differing)} of {len(found)} assumptions differ from {settings.repository} "
            f"({', '.join(differing)}); {out} says how"
        )


def _judged(assumption: Assumption, evidence: Evidence) -> Finding:
    """What was found; that it could not be looked at is a difference too."""
    try:
        found, holds = assumption.look(evidence)
        return Finding(found, None if holds is None else bool(holds))
    except NoFiles:  # said once, where the patterns are looked at
        return Finding("no file to look at", None)
    except Exception as error:  # whatever a schema that nobody expected does to whatever reads it
        return Finding(f"{type(error).__name__}: {error}", False)


def _page(evidence: Evidence, found: list[tuple[Assumption, Finding]]) -> str:
    rows = [(a.name, a.expected, finding.found, VERDICTS[finding.holds]) for a, finding in found]
    counts = ", ".join(f"{sum(row[3] == verdict for row in rows)} {verdict}" for verdict in VERDICTS.values())
    return "\n".join(
        [
            f"# {evidence.settings.repository} at {evidence.settings.commit()}",
            "",
            f"{len(rows)} assumptions: {counts}. {_looked_at(evidence)}",
            "",
            table(("assumption", "expected", "found", "verdict"), [[_shortened(text) for text in row] for row in rows]),
        ]
    )


def _looked_at(evidence: Evidence) -> str:
    """Which files were read, and how much of them."""
    sentences = []
    for part in ("audio", "images"):
        try:
            remote = evidence.sample(part).remote
        except Exception:  # the table says why there is none
            continue
        size, read = remote.size / 1e6, remote.fetched / 1e6
        name = _shortened(remote.name)
        sentences.append(f"Of {name} ({size:.1f} MB), {read:.1f} MB were read in {remote.requests} requests.")
    return " ".join(sentences)


def _shortened(text: str) -> str:
    """Text of a repository as one line of a terminal, at most LONGEST characters long."""
    line = " ".join(text.split())
    line = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
