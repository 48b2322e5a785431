"""When the names in a row make it unsafe, and when too many refused rows condemn a shard."""

import re
from collections import Counter
from typing import Any

import polars as pl

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
EXPECTED = ("short_tail",)  # what is left of a film behind its last whole segment: no fault
_LONGEST = 200  # characters of a name or detail in a message


def unsafe(name: str | None) -> str | None:
    """What makes a name unsafe as a path, because it could leave its folder; None if it is safe.

    A leading slash is fine, because it is dropped wherever names are compared.
    """
    name = name or ""
    if ".." in re.split(r"[\\/]", name):
        return "a component .."
    if _DRIVE.match(name):
        return "a drive"
    if _CONTROL.search(name):
        return "a control character"
    return None


def summary(part: pl.DataFrame) -> str:
    """How many rows of a part were refused, and why."""
    refused = Counter(part["reason"].drop_nulls().to_list())
    reasons = ", ".join(f"{reason} {n}" for reason, n in refused.most_common())
    return f"{len(part)} rows, {refused.total()} refused" + (f" ({reasons})" if reasons else "")


def check(shard: str, rows: list[dict[str, Any]], most: float) -> None:
    """Raise ValueError if more than the share `most` of a shard's rows is refused: then the shard or VeS is at fault.
    Rows refused for a reason in EXPECTED do not count.

    `rows` have source_row, source_path and, if refused, reason and detail. The message shows an example of each reason.
    """
    rows = [row for row in rows if row.get("reason") not in EXPECTED]
    refused = [row for row in rows if row.get("reason")]
    if len(refused) <= most * len(rows):
        return
    first = {row["reason"]: row for row in reversed(refused)}
    counts = Counter(row["reason"] for row in refused)
    examples = "; ".join(
        f"{reason} {n}, such as row {first[reason]['source_row']}, {_short(first[reason]['source_path'])}: "
        f"{_short(first[reason]['detail'])}"
        for reason, n in counts.most_common()
    )
    raise ValueError(
        f"{shard}: {len(refused)} of {len(rows)} rows refused, more than corpus.max_refused ({most:g}): {examples}. "
        "Look at these; to use the other rows all the same, raise corpus.max_refused"
    )


def _short(text: str | None) -> str:
    """A name or detail, short enough for a message of one line."""
    return "no name" if text is None else _CONTROL.sub("?", text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")
