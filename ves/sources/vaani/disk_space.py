"""Whether the disk can hold what a plan (ves.sources.vaani.plan) expects, checked before any download."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ves.base.files import read_json

FOLDERS = {  # what takes space in data/<corpus>/; the plan names the feature store
    "audio.zarr": ("audio.zarr",),
    "images": ("images",),
    "tables": ("parts", "manifest.parquet", "refused.parquet", "images.parquet", "splits.parquet"),
    "source": ("source",),
}


@dataclass(frozen=True)
class DiskSpace:
    """Bytes that each store of a corpus will take, bytes that it takes already, and free bytes on the disk."""

    needed: dict[str, int]
    there: dict[str, int]
    free: int
    to_download: int  # bytes of the shards that are not ingested yet

    @property
    def missing(self) -> int:
        return sum(max(0, size - self.there[store]) for store, size in self.needed.items())


def disk_space(plan: dict[str, Any], data: Path) -> DiskSpace:
    """The space that `plan` needs in `data`, the folder of the corpus. A shard that has a part is not downloaded again.

    At most `downloads` raw shards exist at a time, and one that is being ingested; all of them, if they are kept.
    """
    left = [s["bytes"] for s in plan["shards"] if not (data / "parts" / f"{s['name']}.parquet").is_file()]
    largest = sorted(left, reverse=True)
    every = [shard["bytes"] for shard in plan["shards"]]
    here = every if plan["keep_source"] else largest[: plan["downloads"]] + largest[:1]
    folders = FOLDERS | {"features": (f"features/{plan['feature_store']}",)}
    needed = {store: size for store, size in plan["stores"].items() if size is not None} | {"source": sum(here)}
    there = {store: sum(_size(data / name) for name in folders[store]) for store in needed}
    fetched = sum(min(_size(data / "source" / f"{s['name']}.parquet"), s["bytes"]) for s in plan["shards"])
    nearest = next(folder for folder in (data, *data.absolute().parents) if folder.is_dir())
    return DiskSpace(needed, there, shutil.disk_usage(nearest).free, max(0, sum(left) - fetched))


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; 0 if there is none."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def check_disk_space(plan: Path, data: Path) -> DiskSpace:
    """Raise ValueError, before any download, if the disk of the folder `data` cannot hold the corpus, or if the corpus
    has fewer photographs than val and tune have pairs."""
    planned = read_json(plan)
    if (images := planned["references"]["images"]) < planned["pairs"]:
        raise ValueError(
            f"split.val and split.tune ask for {planned['pairs']} pairs, each of another photograph, but the chosen "
            f"clips name {images}; lower them, or choose more clips"
        )
    space = disk_space(planned, data)
    if (short := space.missing - space.free) > 0:
        raise ValueError(
            f"{data}: the corpus needs {space.missing / 1e9:.1f} GB more on this disk, {space.free / 1e9:.1f} GB are "
            f"free: {short / 1e9:.1f} GB too few. Free space, make data/ a link to a larger disk, or choose less "
            "(corpus.vaani.clips, shards_per_district, districts; corpus.keep_seconds)"
        )
    return space
