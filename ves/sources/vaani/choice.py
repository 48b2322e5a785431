"""Which clips of the surveyed shards make the corpus, and which shards of pictures those need.

All of it is decided by what the survey read of the hub, labels and references, before any sound is downloaded. The
chance of a clip is a hash of its place (shard, row) and the seed, so the order of shards never matters, and what a
lower cap takes is a part of what a higher one takes.
"""

import hashlib
import logging
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ves.base import parquet
from ves.base.apportion import proportional
from ves.base.files import atomic, read_json, write_json
from ves.base.hashing import chance_of_rows
from ves.config.corpus import VaaniConfig
from ves.sources.vaani.survey_tables import ANY_LEVEL, clips, image_of, pictures

log = logging.getLogger(__name__)

PLACE = ("file", "source_row")


def choose(settings: VaaniConfig, table: pl.DataFrame, survey: Path, folder: Path, chosen: Path, out: Path) -> None:
    """Write the listing of the shards that are wanted, and, to the folder `chosen`, the rows of those wanted in part.

    1. Clips of the languages and districts that the settings name, by their labels as `table` (ves.sources.labels)
       leaves them.
    2. Of each image at most `clips_per_image`, then of each language at most `clips_per_language`, then `clips` in
       total, in proportion over the languages that are left (`proportional`); always those of the lowest chance. Where
       any cap is set, clips whose reference no picture bears are left out first: the merge would refuse them, after
       they had taken the place of others. Without a cap they stay, to be counted there.
    3. Of the pictures, the shards that hold any which a chosen clip's reference could mean, at any level of
       ves.sources.references: so what is ambiguous stays so.

    `survey` is survey.json and `folder` its tables. Raises ValueError when a named label is nobody's, no clip is left,
    or no picture bears the name that any of them refers to.
    """
    listed = read_json(survey)
    files = sorted(listed["files"], key=lambda file: file["name"])
    audio, images = ([file for file in files if file["part"] == part] for part in ("audio", "images"))
    every = clips(audio, folder, table).drop("seconds", "exact")
    there = pictures(images, folder)
    kept = _kept(settings, every, there, [file["name"] for file in audio])
    wanted = _needed(kept["image_reference"].unique(), images, folder)
    if not wanted:
        raise ValueError(_strangers(kept["image_reference"], there))
    shards = [_shard(file, rows) for file, rows in _rows(kept, audio) if len(rows)]
    for shard, rows in shards:
        if shard["chosen"]:
            with atomic(chosen / f"{shard['name']}.parquet") as temporary:
                rows.to_frame("source_row").write_parquet(temporary)
    for left in set(chosen.rglob("*.parquet")) - {chosen / f"{s['name']}.parquet" for s, _ in shards if s["chosen"]}:
        left.unlink()
    entries = [shard for shard, _ in shards] + [_entry(file) for file in wanted]
    _log(listed["files"], entries)
    write_json(out, {"revision": listed["revision"], "shards": entries})


def _kept(settings: VaaniConfig, every: pl.DataFrame, there: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """The rows of `every` that the settings choose, logging how many each rule leaves out."""
    kept, left = every, {}

    def only(condition: pl.Expr, why: str) -> None:
        nonlocal kept
        before, kept = len(kept), kept.filter(condition)
        left[why] = before - len(kept)

    for key, column in (("languages", "language"), ("districts", "district")):
        if (wanted := getattr(settings, key)) is not None:
            _known(wanted, every[column], key)
            only(pl.col(column).cast(pl.String).is_in(wanted), f"other {key}")
    if settings.capped():
        image = image_of(kept["image_reference"].drop_nulls().unique().cast(pl.String), there)
        image = image.select(pl.col("image_reference", "image").cast(pl.Categorical))
        kept = kept.join(image, on="image_reference", how="left", maintain_order="left")
        only(pl.col("image").is_not_null(), "no such picture")
        only(pl.col("language").is_not_null(), "no language")
        kept = kept.with_columns(chance=_chance(kept, names, settings.seed)).sort("chance", *PLACE)
        for cap, column in ((settings.clips_per_image, "image"), (settings.clips_per_language, "language")):
            if cap is not None:
                only(pl.int_range(pl.len(), dtype=pl.UInt32).over(column) < cap, f"clips_per_{column}")
        if settings.clips is not None and len(kept):
            only(_in_proportion(kept["language"], settings.clips), "clips")
    told = "".join(f"; {n} left out by {why}" for why, n in left.items())
    log.info("%d of %d clips chosen%s", len(kept), len(every), told)
    if kept.is_empty():
        raise ValueError(f"corpus.vaani: no clip is left of {len(every)}{told}; widen the choice")
    return kept.select(*PLACE, "image_reference")


def _known(wanted: list[str], labels_there: pl.Series, key: str) -> None:
    """Raises ValueError for a label that no clip has: it is misspelt, or spelt as before the table."""
    there = labels_there.drop_nulls().unique().cast(pl.String).sort().to_list()
    if strange := [label for label in wanted if label not in there]:
        raise ValueError(
            f"corpus.vaani.{key}: no clip has the label {strange[0]!r}; there are (as the table of spellings leaves "
            f"them): {', '.join(there)}"
        )


def _chance(kept: pl.DataFrame, names: list[str], seed: int) -> pl.Series:
    """A number in (0, 1) for each clip, from the name of its shard, its row and the seed."""
    return pl.Series(chance_of_rows(names, kept["file"].to_numpy(), kept["source_row"].to_numpy(), seed, "choice"))


def _in_proportion(languages: pl.Series, total: int) -> pl.Expr:
    """Whether each clip, in order of chance, is among the first of its language that make up `total`."""
    counts = languages.value_counts(name="clips").with_columns(pl.col("language").cast(pl.String)).sort("language")
    given = proportional(total, counts["clips"].to_numpy().astype(np.int64))
    share = pl.col("language").cast(pl.String).replace_strict(counts["language"], given, return_dtype=pl.Int64)
    return pl.int_range(pl.len(), dtype=pl.Int64).over("language") < share


def _rows(kept: pl.DataFrame, audio: list[dict[str, Any]]) -> list[tuple[dict[str, Any], pl.Series]]:
    """The rows chosen of each audio file, ascending."""
    kept = kept.select(PLACE).sort(PLACE)
    ends = np.searchsorted(kept["file"].to_numpy(), np.arange(len(audio)), side="right").tolist()
    begins = [0, *ends[:-1]]
    return [(file, kept["source_row"][begins[n] : ends[n]]) for n, file in enumerate(audio)]


def _entry(file: dict[str, Any]) -> dict[str, Any]:
    return {key: file[key] for key in ("name", "path", "part", "bytes", "sha256")} | {"chosen": None}


def _shard(file: dict[str, Any], rows: pl.Series) -> tuple[dict[str, Any], pl.Series]:
    """The listing's entry of an audio file, with what is chosen of it unless that is all; and the rows."""
    entry = _entry(file)
    if len(rows) < file["rows"]:
        digest = hashlib.sha256(rows.to_numpy().astype("<u4").tobytes()).hexdigest()
        entry["chosen"] = {"rows": len(rows), "sha256": digest}
    return entry, rows


def _needed(references: pl.Series, images: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """The image files with any picture whose name is, at any level, that of a reference."""
    wanted = references.cast(pl.String).drop_nulls().to_frame("name").select(ANY_LEVEL.alias("bare"))["bare"].unique()
    needed = []
    for file in images:
        names = parquet.read(folder / f"{file['name']}.parquet", ["source_path"]).select(name="source_path")
        if names.drop_nulls().select(ANY_LEVEL.is_in(wanted.implode()).any()).item():
            needed.append(file)
    return needed


def _strangers(references: pl.Series, there: pl.DataFrame) -> str:
    """What to say where clips and pictures do not know each other."""
    named = references.drop_nulls().cast(pl.String)
    clip = f"the clips refer to pictures such as {named.min()!r}" if len(named) else "no clip refers to a picture"
    paths = there["source_path"].drop_nulls()
    picture = f"those listed are called such as {paths.min()!r}" if len(paths) else "none that is listed has a name"
    return f"corpus.vaani: {clip}, {picture}: none matches; check the patterns of corpus.vaani.images and the revision"


def _log(listed: list[dict[str, Any]], entries: list[dict[str, Any]]) -> None:
    for part in ("audio", "images"):
        all_bytes, wanted = (
            [entry["bytes"] for entry in group if entry["part"] == part] for group in (listed, entries)
        )
        log.info(
            "%s: %d of %d shards, %.1f GB; %.1f GB of shards that hold nothing wanted are left out",
            *(part, len(wanted), len(all_bytes), sum(wanted) / 1e9, (sum(all_bytes) - sum(wanted)) / 1e9),
        )
