"""Labels whose spelling differs between districts and revisions of a corpus, brought to one spelling by a table.

The table is a YAML file: a list of entries `column` (language, district or state), `old`, `new` and `source` (who says
that both mean the same). A district's entry may have a `state`, as two states may each have a district of that name; it
is compared with the state's new spelling. Labels are compared as they are written, case and spaces included. What
the table does not name stays as it is, and the label as it was is kept beside (`<column>_raw`).

`strata` says which languages have many clips and which few.
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

Text = Annotated[str, Field(pattern=r"^\S(.*\S)?$")]  # not empty, and as ingest leaves it: stripped

STRATA = pl.Enum(["high", "mid", "low"])


class _Entry(StrictModel):
    column: Literal["language", "district", "state"]
    old: Text
    new: Text
    source: Text
    state: Text | None = None


def read(path: Path | None) -> pl.DataFrame:
    """The table: columns column, old, new, state (null: any), in the order of the file; empty without a file.

    Raises ValueError that names file and entry for what is no such list, an empty text, a label with two new spellings
    and a new spelling that is itself an old one.
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
    """Where in the file, entries counted from 1."""
    if not location:
        return ""
    number, *keys = location
    return f"entry {int(number) + 1}: " + "".join(f"{key}: " for key in keys)


def _fault(entry: _Entry, entries: Sequence[_Entry], number: int) -> str | None:
    """What is wrong with an entry beside the others, if anything."""
    if entry.state and entry.column != "district":
        return "a state goes with a district only"
    for other, second in enumerate(entries, 1):
        meet = second.column == entry.column and (entry.state == second.state or None in (entry.state, second.state))
        if meet and other <= number and second.old == entry.old:
            return f"entry {other} has it already, as {second.new!r}"
        if meet and second.old == entry.new:
            return f"its new spelling {entry.new!r} is an old one in entry {other}; name the last one at once"
        if second.column == "state" and second.old == entry.state:
            return f"its state is an old spelling in entry {other}; name it {second.new!r}"
    return None


def normalise[Frame: (pl.DataFrame, pl.LazyFrame)](
    frame: Frame, table: pl.DataFrame, columns: Sequence[str] = COLUMNS
) -> Frame:
    """The frame with the new spelling in each of `columns` and the one it had in `<column>_raw`, after all others.

    A district's entry that has a state needs the column state, and `columns` must name it too.
    """
    frame = frame.with_columns(pl.col(column).alias(f"{column}_raw") for column in columns)
    spelt = {column: _spelt(column, table.filter(pl.col("state").is_null(), column=column)) for column in columns}
    local = table.filter(pl.col("state").is_not_null()) if "district" in columns else table.clear()
    for old, new, state in local.select("old", "new", "state").iter_rows():
        here = (pl.col("district_raw") == old) & (_spelt("state_raw", table.filter(column="state")) == state)
        spelt["district"] = pl.when(here).then(pl.lit(new)).otherwise(spelt["district"])
    return frame.with_columns(expression.alias(column) for column, expression in spelt.items())


def _spelt(column: str, table: pl.DataFrame) -> pl.Expr:
    """A column in the spelling that a table without states gives it."""
    if table.is_empty():
        return pl.col(column)
    old, new = table["old"], table["new"]  # by batches: polars' own `replace` of a stream holds all of it in memory
    return pl.col(column).map_batches(
        lambda texts: texts.replace(old, new), return_dtype=pl.String, is_elementwise=True
    )


def changes(clips: pl.LazyFrame) -> pl.DataFrame:
    """How many clips have another label than they had: column, old, new, clips, from a frame that was normalised."""
    found = [
        clips.filter(pl.col(column).ne_missing(pl.col(f"{column}_raw")))
        .group_by(old=f"{column}_raw", new=column)
        .agg(pl.len().alias("clips"))
        .select(pl.lit(column).alias("column"), "old", "new", "clips")
        for column in COLUMNS
    ]
    return pl.concat(pl.collect_all(found, engine="streaming")).sort("column", "old", "new")


def strata(clips_of_language: pl.DataFrame, split: StrataConfig) -> pl.DataFrame:
    """Columns language, clips -> language, stratum. From the most clips down, languages are `high` until these hold the
    share `high` of all clips, `mid` until they hold `mid`, then `low`."""
    ordered = clips_of_language.sort(["clips", "language"], descending=[True, False])
    before = (pl.col("clips").cum_sum() - pl.col("clips")) / pl.col("clips").sum()
    stratum = pl.when(before < split.high).then(pl.lit("high")).when(before < split.mid).then(pl.lit("mid"))
    return ordered.select("language", stratum.otherwise(pl.lit("low")).cast(STRATA).alias("stratum"))
