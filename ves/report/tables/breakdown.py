"""retrieval_by.csv: recall and rank by language, stratum, speaker, length and noise of the clip, with intervals.

Groups are of queries; each searches the whole gallery, so that groups can be compared with each other and with all
queries. Three kinds of queries are broken down: the pairs of val in both directions (an image is in the group of its
clip), and all clips of val and val_more looking for their image, among them those of speakers that training has heard.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from ves.base import parquet
from ves.config.experiment import TableConfig
from ves.evaluation import truth
from ves.evaluation.bootstrap import places
from ves.evaluation.retrieval.chance import chance, informative
from ves.evaluation.retrieval.intervals import estimates
from ves.report.tables import ranks as rank_tables
from ves.report.tables.comparisons import number
from ves.report.tables.ranks import Ranks
from ves.report.tables.table1 import write_csv

COLUMNS = [
    "loss", "protocol", "direction", "by", "group", "train_clips", "n", "images", "metric", "value", "low", "high",
    "sd",
]  # fmt: skip
QUERIES = (  # protocol, direction, and the labels of their rows in the table of ranks
    ("paper", "A2V", {"similarity": "own"}),
    ("paper", "V2A", {"similarity": "own"}),
    ("multi_positive", "A2V", {"speakers": "all"}),
)
SECONDS = (2.0, 3.0, 4.0, 5.0)  # bounds of the groups of length
DECIBELS = (10.0, 15.0, 20.0, 25.0)  # bounds of the groups of noise: speech over noise
HELD_OUT = ("val", "val_more")


def bins(values: pl.Expr, bounds: tuple[float, ...], unit: str) -> pl.Expr:
    """The group of each number, such as "2 to 3 s", as an Enum in ascending order; a bound belongs to the upper one."""
    inner = [f"{low:g} to {high:g} {unit}" for low, high in pairwise(bounds)]
    labels = [f"below {bounds[0]:g} {unit}", *inner, f"{bounds[-1]:g} {unit} and more"]
    group = pl.sum_horizontal(*((values >= bound).cast(pl.Int32) for bound in bounds))
    known = group.replace_strict(dict(enumerate(labels)), return_dtype=pl.Enum(labels))
    return pl.when(values.is_not_null()).then(known)


def attributes(manifest: Path, splits: Path, known: Path) -> pl.DataFrame:
    """The groups of each clip of val and val_more: clip_id, language, stratum, speaker, duration and, where it is
    known, noise. `known` is the folder of what only evaluation may open."""
    with parquet.naming(splits):
        held_out = pl.scan_parquet(splits).filter(pl.col("split").cast(pl.String).is_in(HELD_OUT)).collect()
    with parquet.naming(manifest):
        fields = ["clip_id", "language", "duration_s", "shard", "source_path"]
        clips = pl.scan_parquet(manifest).select(fields).join(held_out.lazy(), on="clip_id").collect()
    speaker = pl.col("speaker_seen").replace_strict({True: "seen", False: "unseen"}, return_dtype=pl.String)
    clips = clips.with_columns(speaker=speaker, duration=bins(pl.col("duration_s"), SECONDS, "s"))
    columns = ["clip_id", "language", "stratum", "speaker", "duration"]
    try:
        clips = truth.noise(known, clips).with_columns(noise=bins(pl.col("snr_db"), DECIBELS, "dB"))
    except truth.NoTruth:
        return clips.select(columns)
    return clips.select(*columns, "noise")


def trained_on(manifest: Path, splits: Path) -> dict[tuple[str, str], int]:
    """Clips in the training set, by ("language" or "stratum", its name)."""
    with parquet.naming(splits), parquet.naming(manifest):
        train = pl.scan_parquet(splits).filter(pl.col("split") == "train").select("clip_id", "stratum")
        clips = pl.scan_parquet(manifest).select("clip_id", "language").join(train, on="clip_id")
        counted = clips.group_by("language", "stratum").len().collect()
    clips_of: dict[tuple[str, str], int] = {}
    for language, stratum, count in counted.iter_rows():
        for key in (("language", language), ("stratum", stratum)):
            clips_of[key] = clips_of.get(key, 0) + count
    return clips_of


def groups(ranks: Ranks, of_clip: pl.DataFrame, clips: list[str]) -> dict[tuple[str, str], np.ndarray]:
    """Which queries are in each group, by column and group, as ("language", "Tamil"); `clips` has each query's clip.

    Raises ValueError when a clip is not in the manifest, or no longer held out.
    """
    here = pl.DataFrame({"clip_id": clips}).join(of_clip, on="clip_id", how="left", maintain_order="left")
    if missing := here["stratum"].null_count():
        raise ValueError(f"{missing} clips of the ranks are not held out now; delete the tables of ranks and run again")
    chosen = {("all", "all"): np.ones(len(ranks.query), dtype=bool)}
    for by in (column for column in of_clip.columns if column != "clip_id"):
        for group in here[by].drop_nulls().unique().sort().to_list():
            chosen[by, group] = here[by].eq_missing(group).to_numpy()
    return chosen


def _rows(ranks: Ranks, loss: str) -> list[list[str]]:
    """metric, value, low, high, sd of one run's queries; for random ranks the exact value alone. A recall that cannot
    but be 100 has no values."""
    if loss == "chance":
        exact = chance(ranks.right, ranks.gallery)
        values = {name: (value, None, None, None) for name, value in exact.items() if name != "n"}
    else:
        bars = estimates(ranks.ranks[loss], places(ranks.image_id))
        values = {name: (bar.value, bar.low, bar.high, bar.deviation) for name, bar in bars.items()}
    return [
        [name, *("" if part is None or not informative(name, ranks.gallery) else number(name, part) for part in parts)]
        for name, parts in values.items()
    ]


def breakdown(config: TableConfig, results: Path, manifest: Path, splits: Path, known: Path, out: Path) -> None:
    """Write retrieval_by.csv from the ranks of every run in config.table. Raises as `rank_tables.read` and `groups`."""
    of_clip, train = attributes(manifest, splits, known), trained_on(manifest, splits)
    pairs = rank_tables.some(config, results, "paper", direction="A2V", similarity="own")
    clip_of = dict(zip(pairs.image_id, pairs.query, strict=True))
    rows = []
    for protocol, direction, labels in QUERIES:
        ranks = rank_tables.some(config, results, protocol, direction=direction, **labels)
        clips = ranks.query if direction == "A2V" else [clip_of[image] for image in ranks.image_id]
        for (by, group), chosen in groups(ranks, of_clip, clips).items():
            part = ranks.of(chosen)
            counts = [str(train.get((by, group), "")), str(len(part.query)), str(len(set(part.image_id)))]
            for loss in [*config.table, "chance"]:
                about = [loss, protocol, direction, by, group, *counts]
                rows += [[*about, *values] for values in _rows(part, loss)]
    write_csv(out, COLUMNS, rows)
