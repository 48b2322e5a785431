"""Which clips of the surveyed shards make up the corpus, and which shards of pictures they need.

The choice is made from the survey alone (labels and references), before any sound is downloaded. Each clip has a random
number, a hash of its place (shard, row) and the seed. So the order of shards never matters, and a lower cap takes fewer
of the same clips.
"""

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
from ves.sources.chosen_rows import chosen_entry
from ves.sources.vaani.survey_tables import ANY_LEVEL, clips, image_of, pictures

log = logging.getLogger(__name__)

PLACE = ("file", "source_row")


def choose(settings: VaaniConfig, table: pl.DataFrame, survey: Path, folder: Path, chosen: Path, out: Path) -> None:
    """Write the listing of the shards to download and, for those that are needed in part, their rows to `chosen`.

    1. Take the clips of the languages and districts in the settings, by their labels in the spelling of `table`
       (ves.sources.labels).
    2. Of these take at most `clips_per_image` of each image, then at most `clips_per_language` of each language, then
       `clips` in total, shared out over the remaining languages in proportion (`proportional`); always the clips with
       the lowest random numbers. If any cap is set, clips whose reference matches no picture are left out first;
       otherwise they would take the place of others, and the merge would refuse them. Without a cap they stay, and the
       merge counts them.
    3. Take the shards of pictures that have any picture which a chosen clip may refer to, at any level of
       ves.sources.references, so that ambiguous references stay ambiguous.

    `survey` is survey.json and `folder` its tables. Raises ValueError if no clip has one of the labels, if no clip is
    left, or if no picture matches any reference.
    """
    surveyed = read_json(survey)
    files = sorted(surveyed["files"], key=lambda file: file["name"])
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
    _log(surveyed["files"], entries)
    write_json(out, {"revision": surveyed["revision"], "shards": entries})


def _kept(settings: VaaniConfig, every: pl.DataFrame, there: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """The rows of `every` that the settings choose; logs how many each rule leaves out."""
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
    rules = "".join(f"; {n} left out by {why}" for why, n in left.items())
    log.info("%d of %d clips chosen%s", len(kept), len(every), rules)
    if kept.is_empty():
        raise ValueError(f"corpus.vaani: no clip is left of {len(every)}{rules}; widen the choice")
    return kept.select(*PLACE, "image_reference")


def _known(wanted: list[str], labels_there: pl.Series, key: str) -> None:
    """Raise ValueError for a label that no clip has: it is misspelt, or in an old spelling."""
    there = labels_there.drop_nulls().unique().cast(pl.String).sort().to_list()
    if strange := [label for label in wanted if label not in there]:
        raise ValueError(
            f"corpus.vaani.{key}: no clip has the label {strange[0]!r}; there are (in the spelling of "
            f"corpus.labels): {', '.join(there)}"
        )


def _chance(kept: pl.DataFrame, names: list[str], seed: int) -> pl.Series:
    """A random number in (0, 1) for each clip, from the name of its shard, its row and the seed."""
    return pl.Series(chance_of_rows(names, kept["file"].to_numpy(), kept["source_row"].to_numpy(), seed, "choice"))


def _in_proportion(languages: pl.Series, total: int) -> pl.Expr:
    """Whether each clip, in order of its random number, is within its language's share of `total`."""
    counts = languages.value_counts(name="clips").with_columns(pl.col("language").cast(pl.String)).sort("language")
    quotas = proportional(total, counts["clips"].to_numpy().astype(np.int64))
    share = pl.col("language").cast(pl.String).replace_strict(counts["language"], quotas, return_dtype=pl.Int64)
    return pl.int_range(pl.len(), dtype=pl.Int64).over("language") < share


def _rows(kept: pl.DataFrame, audio: list[dict[str, Any]]) -> list[tuple[dict[str, Any], pl.Series]]:
    """The chosen rows of each audio file, ascending."""
    kept = kept.select(PLACE).sort(PLACE)
    ends = np.searchsorted(kept["file"].to_numpy(), np.arange(len(audio)), side="right").tolist()
    begins = [0, *ends[:-1]]
    return [(file, kept["source_row"][begins[n] : ends[n]]) for n, file in enumerate(audio)]


def _entry(file: dict[str, Any]) -> dict[str, Any]:
    return {key: file[key] for key in ("name", "path", "part", "bytes", "sha256")} | {"chosen": None}


def _shard(file: dict[str, Any], rows: pl.Series) -> tuple[dict[str, Any], pl.Series]:
    """The listing's entry of an audio file, which has a hash of the chosen rows unless these are all; and the rows."""
    entry = _entry(file)
    if len(rows) < file["rows"]:
        entry["chosen"] = chosen_entry(rows.to_numpy())
    return entry, rows


def _needed(references: pl.Series, images: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """The files that have a picture whose name matches a reference at any level."""
    wanted = references.cast(pl.String).drop_nulls().to_frame("name").select(ANY_LEVEL.alias("bare"))["bare"].unique()
    needed = []
    for file in images:
        names = parquet.read(folder / f"{file['name']}.parquet", ["source_path"]).select(name="source_path")
        if names.drop_nulls().select(ANY_LEVEL.is_in(wanted.implode()).any()).item():
            needed.append(file)
    return needed


def _strangers(references: pl.Series, there: pl.DataFrame) -> str:
    """The message for references that match no picture at all."""
    named = references.drop_nulls().cast(pl.String)
    clip = f"the clips refer to pictures such as {named.min()!r}" if len(named) else "no clip refers to a picture"
    paths = there["source_path"].drop_nulls()
    picture = f"those listed are called such as {paths.min()!r}" if len(paths) else "none that is listed has a name"
    return (
        f"corpus.vaani: {clip}, {picture}: no name matches; check the patterns of corpus.vaani.images and the revision"
    )


def _log(listed: list[dict[str, Any]], entries: list[dict[str, Any]]) -> None:
    for part in ("audio", "images"):
        all_bytes, wanted = (
            [entry["bytes"] for entry in group if entry["part"] == part] for group in (listed, entries)
        )
        log.info(
            "%s: %d of %d shards, %.1f GB; shards without anything that is needed (%.1f GB) are left out",
            *(part, len(wanted), len(all_bytes), sum(wanted) / 1e9, (sum(all_bytes) - sum(wanted)) / 1e9),
        )
