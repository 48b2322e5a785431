"""refused.csv: what the corpus refused, and why, in a few lines for people."""

from pathlib import Path

import polars as pl

from ves.base import parquet
from ves.base.files import atomic

LONGEST = 80  # characters of what was wrong with an example


def _example(group: pl.DataFrame) -> tuple[str, str]:
    """The first example in the order of the source: what is wrong with it, and its file."""
    row = group.sort("shard", "source_row").row(0, named=True)
    detail = row["detail"] or ""
    short = detail if len(detail) <= LONGEST else f"{detail[: LONGEST - 1]}…"
    return short, (row["source_path"] or "no name").rsplit("/", 1)[-1]


def write(refused: Path, manifest: Path, images: Path, out: Path) -> None:
    """One row for each reason, clips before images, the most frequent first: the number of rows in the source, their
    percentage, and one example: what is wrong with it, and its file. The last row of each kind counts what was taken.

    `images` has one row for each distinct picture: copies count once.
    """
    rows = parquet.read(refused, columns=["item", "reason", "shard", "source_row", "source_path", "detail"])
    taken = {"clip": parquet.read(manifest, columns=["clip_id"]), "image": parquet.read(images, columns=["image_id"])}
    lines = []
    for item, table in taken.items():
        here, accepted = rows.filter(item=item), len(table)
        of = max(accepted + len(here), 1)
        groups = sorted(here.group_by("reason"), key=lambda pair: (-len(pair[1]), str(pair[0][0])))
        for (reason,), group in groups:
            lines.append((item, reason, len(group), f"{100 * len(group) / of:.2f}", *_example(group)))
        lines.append((item, "taken", accepted, f"{100 * accepted / of:.2f}", "", ""))
    names = ["item", "reason", "rows", "percent", "such_as", "example"]
    with atomic(out) as temporary:
        pl.DataFrame(lines, schema=names, orient="row").write_csv(temporary)
