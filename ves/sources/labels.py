"""One spelling for labels that are spelt differently between districts and revisions of a corpus, by a table.

The table is a YAML file: a list of entries `column` (language, district or state), `old`, `new` and `source` (who says
that both mean the same). An entry for a district may have a `state` (in its new spelling), because two states may have
districts of the same name. Labels are compared as written, case and spaces included. A label that is not in the table
stays as it is. The column `<column>_raw` keeps the original label.

`strata` says which languages have many clips and which have few.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
import yaml
from pydantic import Field, TypeAdapter, ValidationError

from ves.config.experiment import StrataConfig
from ves.config.fields import StrictModel

COLUMNS = ("language", "district", "state")
SCHEMA = {"column": pl.String, "old": pl.String, "new": pl.String, "state": pl.String}

Text = Annotated[str, Field(pattern=r"^\S(.*\S)?$")]  # not empty, and stripped, as ingest leaves it

STRATA = pl.Enum(["high", "mid", "low"])


class _Entry(StrictModel):
    column: Literal["language", "district", "state"]
    old: Text
    new: Text
    source: Text
    state: Text | None = None


def read(path: Path | None) -> pl.DataFrame:
    """The table: columns column, old, new, state (null: any), in the order of the file; empty if `path` is None.

    Raises ValueError that names file and entry if the file is not such a list, if a text is empty, if a label has two
    new spellings, or if a new spelling is also an old one.
    """
    if path is None:
        return pl.DataFrame(schema=SCHEMA)
    try:
        entries = TypeAdapter(list[_Entry]).validate_python(yaml.safe_load(path.read_text("utf-8")), strict=True)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not valid YAML: {error}") from error
    except ValidationError as error:
        raise ValueError(
            "\n".join(f"{path}: {_place(fault['loc'])}{fault['msg']}" for fault in error.errors())
        ) from None
    for number, entry in enumerate(entries):
        if fault := _fault(entry, entries, number):
            raise ValueError(f"{path}: entry {number + 1} ({entry.column} {entry.old!r}): {fault}")
    return pl.DataFrame([entry.model_dump(exclude={"source"}) for entry in entries], schema=SCHEMA)


def _place(location: tuple[int | str, ...]) -> str:
    """The place in the file, with entries counted from 1."""
    if not location:
        return ""
    number, *keys = location
    return f"entry {int(number) + 1}: " + "".join(f"{key}: " for key in keys)


def _fault(entry: _Entry, entries: Sequence[_Entry], number: int) -> str | None:
    """What is wrong with an entry, given the others; None if nothing is."""
    if entry.state and entry.column != "district":
        return "only an entry for a district may have a state"
    for other, second in enumerate(entries, 1):
        meet = second.column == entry.column and (entry.state == second.state or None in (entry.state, second.state))
        if meet and other <= number and second.old == entry.old:
            return f"entry {other} already has it, as {second.new!r}"
        if meet and second.old == entry.new:
            return f"its new spelling {entry.new!r} is an old one in entry {other}; write the final spelling here"
        if second.column == "state" and second.old == entry.state:
            return f"its state is an old spelling in entry {other}; write {second.new!r}"
    return None


def normalise[Frame: (pl.DataFrame, pl.LazyFrame)](
    frame: Frame, table: pl.DataFrame, columns: Sequence[str] = COLUMNS
) -> Frame:
    """The frame with new spellings in each of `columns`, and the original ones in `<column>_raw` after all columns.

    If an entry for a district has a state, the frame needs the column state, and `columns` must include it.
    """
    frame = frame.with_columns(pl.col(column).alias(f"{column}_raw") for column in columns)
    spelt = {column: _spelt(column, table.filter(pl.col("state").is_null(), column=column)) for column in columns}
    local = table.filter(pl.col("state").is_not_null()) if "district" in columns else table.clear()
    for old, new, state in local.select("old", "new", "state").iter_rows():
        here = (pl.col("district_raw") == old) & (_spelt("state_raw", table.filter(column="state")) == state)
        spelt["district"] = pl.when(here).then(pl.lit(new)).otherwise(spelt["district"])
    return frame.with_columns(expression.alias(column) for column, expression in spelt.items())


def _spelt(column: str, table: pl.DataFrame) -> pl.Expr:
    """A column in new spellings, by a table without states."""
    if table.is_empty():
        return pl.col(column)
    old, new = table["old"], table["new"]  # by batches: polars' own `replace` keeps a whole stream in memory
    return pl.col(column).map_batches(
        lambda texts: texts.replace(old, new), return_dtype=pl.String, is_elementwise=True
    )


def changes(clips: pl.LazyFrame) -> pl.DataFrame:
    """How many labels a normalised frame has changed: columns column, old, new, clips."""
    counts = [
        clips.filter(pl.col(column).ne_missing(pl.col(f"{column}_raw")))
        .group_by(old=f"{column}_raw", new=column)
        .agg(pl.len().alias("clips"))
        .select(pl.lit(column).alias("column"), "old", "new", "clips")
        for column in COLUMNS
    ]
    return pl.concat(pl.collect_all(counts, engine="streaming")).sort("column", "old", "new")


def strata(clips_of_language: pl.DataFrame, split: StrataConfig) -> pl.DataFrame:
    """The stratum of each language: columns language, clips -> language, stratum.

    With most clips first, languages are `high` until they have the share `high` of all clips, then `mid` until they
    have the share `mid`, then `low`.
    """
    ordered = clips_of_language.sort(["clips", "language"], descending=[True, False])
    before = (pl.col("clips").cum_sum() - pl.col("clips")) / pl.col("clips").sum()
    stratum = pl.when(before < split.high).then(pl.lit("high")).when(before < split.mid).then(pl.lit("mid"))
    return ordered.select("language", stratum.otherwise(pl.lit("low")).cast(STRATA).alias("stratum"))
