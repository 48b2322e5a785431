"""Contents and size of a corpus before its download, computed from the survey and the settings alone.

So the same input gives the same plan.json. ves.sources.vaani.disk_space looks up what is on the disk, and
ves.report.tables.plan shows both.
"""

import math
from pathlib import Path
from typing import Any

import polars as pl

from ves.base import parquet
from ves.base.files import read_json
from ves.config.experiment import PlanSettings
from ves.media.audio import RATE
from ves.sources import labels
from ves.sources.labels import strata
from ves.sources.references import LEVELS
from ves.sources.vaani.survey_tables import clips, image_of, pictures
from ves.store.audio import CHUNK, SHARD
from ves.store.shard_format import CRC, HEADER

INDEX = 16  # bytes for each chunk in the index of a file of a store
PER_CLIP = 8 + 4 + 16  # bytes beside the samples of a clip: offset, length and id
PER_IMAGE = CRC + INDEX + 32  # bytes beside the tokens of a picture; the last 32 are its id
TABLES = 400  # bytes of a clip in parts, manifest and splits together, about as in Spoken Scenes
WIDTHS = {"small": 384, "base": 768, "large": 1024, "giant": 1536}  # of DINOv2
PARTS = ("audio", "images")
PATCH = 14  # pixels a side, of DINOv2


def expected(settings: PlanSettings, survey: Path, listing: Path, folder: Path, chosen: Path) -> dict[str, Any]:
    """The content of plan.json: shards, clips and hours by language and district, references, sizes, rates.

    `survey` is survey.json, `folder` its tables, `listing` shards.json, `chosen` the chosen rows of partial shards.
    Sizes are in bytes. The length of a clip without a duration is estimated, and then `exact` is false.
    """
    read, shards = read_json(survey), read_json(listing)["shards"]
    files = {file["name"]: file for file in read["files"]}
    audio, images = ([files[s["name"]] for s in shards if s["part"] == part] for part in PARTS)
    rows = {s["name"]: parquet.read(chosen / f"{s['name']}.parquet")["source_row"] for s in shards if s["chosen"]}
    table = labels.read(None if settings.labels is None else Path(settings.labels))
    every = clips(audio, folder, table, rows)
    references = _references(every, pictures(images, folder))
    stores = {
        "audio.zarr": audio_bytes(every, settings.keep_seconds),
        "features": feature_bytes(settings.backbone, settings.image_size, references["images"]),
        "images": sum(file["media_bytes"] for file in images),
        "tables": TABLES * len(every),
    }
    return {
        "repository": read["repository"],
        "revision": read["revision"],
        "shards": [{key: shard[key] for key in ("name", "part", "bytes")} for shard in shards],
        "left_out": _left_out(read["files"], shards),
        "clips": len(every),
        "clips_listed": sum(file["rows"] for file in audio),
        "seconds": _seconds(every),
        "exact": bool(every["exact"].all()),
        "languages": _languages(every, settings).to_dicts(),
        "districts": _by(every, "district").to_dicts(),
        "references": references,
        "pairs": settings.pairs,
        "stores": stores,
        "feature_store": settings.feature_store,
        "downloads": settings.downloads,
        "keep_source": settings.keep_source,
        "rates": settings.rates.model_dump(),
    }


def _left_out(surveyed: list[dict[str, Any]], shards: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """The shards of each part that match the patterns but are not listed: how many, and bytes."""
    listed = {shard["name"] for shard in shards}
    sizes = {part: [f["bytes"] for f in surveyed if f["part"] == part and f["name"] not in listed] for part in PARTS}
    return {part: {"shards": len(each), "bytes": sum(each)} for part, each in sizes.items()}


def _seconds(every: pl.DataFrame) -> float:
    return round(float(every["seconds"].cast(pl.Float64).sum()), 3)


def _by(every: pl.DataFrame, column: str) -> pl.DataFrame:
    """Columns `column`, clips, seconds, exact; most clips first, clips without a label last."""
    seconds = pl.col("seconds").cast(pl.Float64).sum().round(3)
    groups = every.group_by(pl.col(column).cast(pl.String)).agg(pl.len().alias("clips"), seconds, pl.col("exact").all())
    return groups.sort(pl.col(column).is_null(), -pl.col("clips").cast(pl.Int64), column)


def _languages(every: pl.DataFrame, settings: PlanSettings) -> pl.DataFrame:
    """The languages with their strata. Clips without a language have none; ingest refuses them."""
    languages = _by(every, "language")
    stratum = strata(languages.drop_nulls("language").select("language", "clips"), settings.strata)
    return languages.join(stratum, on="language", how="left", maintain_order="left")


def _references(every: pl.DataFrame, there: pl.DataFrame) -> dict[str, Any]:
    """How the references of the clips resolve, counted as references and as clips, and how many images they name.

    `images` is an estimate: an ambiguous name counts as one picture, as if all pictures of that name were copies, and
    two paths to one content count as two.
    """
    counts = every.group_by("image_reference").len("clips").with_columns(pl.col("image_reference").cast(pl.String))
    named = counts.drop_nulls("image_reference")
    names = image_of(named["image_reference"], there).join(named, on="image_reference", how="left")

    def count(frame: pl.DataFrame) -> dict[str, int]:
        return {"references": len(frame), "clips": int(frame["clips"].sum())}

    resolved = names.filter(pl.col("reason").is_null())
    return {
        "distinct": len(named),
        "levels": {level: count(resolved.filter(pl.col("level") == level)) for level in LEVELS},
        "ambiguous": count(names.filter(pl.col("reason") == "image_ambiguous")),
        "missing": count(names.filter(pl.col("reason") == "image_missing")),
        "empty": {"clips": int(counts.filter(pl.col("image_reference").is_null())["clips"].sum())},
        "images": names["image"].drop_nulls().n_unique(),
        "pictures": len(there),
    }


def audio_bytes(every: pl.DataFrame, keep_seconds: float | None) -> int:
    """Bytes of audio.zarr: for each shard, chunks of a second with checksums, and files of SHARD samples with indices
    (ves.store.audio). All clips count, even those that ingest will refuse."""
    seconds = pl.col("seconds").cast(pl.Float64)
    seconds = seconds if keep_seconds is None else seconds.clip(upper_bound=keep_seconds)
    groups = every.group_by("file").agg((seconds.sum() * RATE).round().cast(pl.Int64).alias("samples"), pl.len())
    total = 0
    for samples, n in groups.select("samples", "len").iter_rows():
        chunks = math.ceil(samples / CHUNK)
        indices = math.ceil(samples / SHARD) * (HEADER + SHARD // CHUNK * INDEX + CRC)
        total += chunks * (2 * CHUNK + CRC) + indices + n * PER_CLIP
    return total


def backbone_sizes(backbone: str) -> tuple[int, int] | None:
    """Width and patch size of a ViT, from its folder or from the name of a DINOv2; None for any other backbone."""
    local = Path(backbone) / "config.json"
    if local.is_file():
        config = read_json(local)
        return (config["hidden_size"], config["patch_size"]) if "patch_size" in config else None  # convolutions
    name = backbone.rsplit("/", 1)[-1].lower()
    widths = [width for size, width in WIDTHS.items() if size in name]
    return (widths[0], PATCH) if "dinov2" in name and len(widths) == 1 else None


def feature_bytes(backbone: str, image_size: int, images: int) -> int | None:
    """Bytes of the feature store, bfloat16 [images, patches, width] with checksums; None for an unknown backbone.

    A compressed store is smaller; how much depends on its tokens.
    """
    if (sizes := backbone_sizes(backbone)) is None:
        return None
    width, patch = sizes
    return images * ((image_size // patch) ** 2 * width * 2 + PER_IMAGE)
