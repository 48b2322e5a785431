"""Is Vaani what VeS takes it for? The first thing to run with a token; it reads a few megabytes.

Each assumption is checked on its own, so that an unexpected schema gives a table of differences and not a crash.
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

    It reads the footer and one row group of the smallest shard of each part, and the names of its pictures. `spellings`
    has columns column, old and new; `folder` has the tables of the survey, if there was one. Raises ValueError, after
    writing, if something differs; raises ves.sources.hub.download.HubError, before writing, if there is no listing.
    """
    evidence = Evidence(settings, spellings, folder)
    log.info("%s: comparing with %d parquet files", settings.repository, len(evidence.files))
    findings = [(assumption, _finding(assumption, evidence)) for assumption in ASSUMPTIONS]
    page = _page(evidence, findings)
    with atomic(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    print(page)
    if differing := [assumption.name for assumption, finding in findings if finding.holds is False]:
        raise ValueError(
            f"{len(differing)} of {len(findings)} assumptions differ from {settings.repository} "
            f"({', '.join(differing)}); {out} says how"
        )


def _finding(assumption: Assumption, evidence: Evidence) -> Finding:
    """The result of one check; a check that fails counts as a difference."""
    try:
        text, holds = assumption.look(evidence)
        return Finding(text, None if holds is None else bool(holds))
    except NoFiles:  # reported once, by the check of the patterns
        return Finding("no file to look at", None)
    except Exception as error:  # an unexpected schema may break any check in any way
        return Finding(f"{type(error).__name__}: {error}", False)


def _page(evidence: Evidence, findings: list[tuple[Assumption, Finding]]) -> str:
    rows = [(a.name, a.expected, finding.text, VERDICTS[finding.holds]) for a, finding in findings]
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
    """Which files were read, and how much of each."""
    sentences = []
    for part in ("audio", "images"):
        try:
            remote = evidence.sample(part).remote
        except Exception:  # the table says why there is no sample
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
