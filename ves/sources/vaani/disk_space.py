"""Whether the disk holds what a plan foresees (ves.sources.vaani.plan), seen before anything is downloaded."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ves.base.files import read_json

FOLDERS = {  # what grows in data/<corpus>/, and where; of the features, the store that the plan names
    "audio.zarr": ("audio.zarr",),
    "images": ("images",),
    "tables": ("parts", "manifest.parquet", "refused.parquet", "images.parquet", "splits.parquet"),
    "source": ("source",),
}


@dataclass(frozen=True)
class Room:
    """What a corpus needs of the disk: bytes of each store when it is made, what of that is there, and what is free."""

    needed: dict[str, int]
    there: dict[str, int]
    free: int
    to_download: int  # bytes of the shards that are not ingested yet

    @property
    def missing(self) -> int:
        return sum(max(0, size - self.there[store]) for store, size in self.needed.items())


def room(plan: dict[str, Any], data: Path) -> Room:
    """What `plan` needs in the folder `data` of the corpus. A shard whose part is there is not downloaded again.

    Of the source, `downloads` shards are there at once, and one that is being ingested; or all, if they are kept.
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
    return Room(needed, there, shutil.disk_usage(nearest).free, max(0, sum(left) - fetched))


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; of nothing, none."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def check_room(plan: Path, data: Path) -> Room:
    """Raise ValueError, before anything is downloaded, when the disk of the folder `data` cannot hold the corpus, or
    when the corpus has fewer photographs than there are pairs to report on."""
    planned = read_json(plan)
    if (images := planned["references"]["images"]) < planned["pairs"]:
        raise ValueError(
            f"split.val and split.tune ask for {planned['pairs']} pairs, each of another photograph, and the chosen "
            f"clips name {images}; lower them, or choose more"
        )
    found = room(planned, data)
    if (short := found.missing - found.free) > 0:
        raise ValueError(
            f"{data}: the corpus needs {found.missing / 1e9:.1f} GB more on this disk, {found.free / 1e9:.1f} GB are "
            f"free: {short / 1e9:.1f} GB too few. Free them, let data/ be a link to a larger disk, or choose less "
            "(corpus.vaani.clips, shards_per_district, districts; corpus.keep_seconds)"
        )
    return found
