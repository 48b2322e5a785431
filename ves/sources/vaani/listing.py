"""Project Vaani on the hub: which of its parquet files make up the corpus, and how one is downloaded.

Every corpus here has Vaani's layout, so a shard is simply a file of the repository. Folders and columns differ between
revisions; so the settings have a full commit id and patterns of paths, and the code has no list of districts.
"""

import fnmatch
import itertools
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub.hf_api import RepoFile

from ves.config.corpus import SurveyConfig
from ves.sources.hub import download

SUFFIX = ".parquet"


def _folders_near(pattern: str, paths: list[str]) -> str:
    """A hint for a pattern that matches nothing: the subfolders of the deepest existing folder in it."""
    folders = {parent for path in paths for parent in PurePosixPath(path).parents}
    near = PurePosixPath()
    for name in PurePosixPath(pattern).parts:
        if near / name not in folders:
            break
        near /= name
    below = sorted(folder.name for folder in folders if folder.parent == near and folder != near)
    return f"folders {f'of {near}/' if near.parts else 'of the repository'}: {', '.join(below) or 'none'}"


def matching(files: list[RepoFile], patterns: list[str], key: str) -> list[RepoFile]:
    """The files that match any of the patterns. Raises ValueError for a pattern that matches none; it is misspelt."""
    paths = [file.path for file in files]
    for pattern in patterns:
        if not fnmatch.filter(paths, pattern):
            there = _folders_near(pattern, paths)
            raise ValueError(f"corpus.vaani.{key}: {pattern!r} matches no {SUFFIX} file of the repository; {there}")
    return [file for file in files if any(fnmatch.fnmatchcase(file.path, pattern) for pattern in patterns)]


def _first_of_each_folder(files: list[RepoFile], count: int | None) -> list[RepoFile]:
    """The first `count` files of each folder (a district); `files` is sorted by path."""
    districts = itertools.groupby(files, lambda file: PurePosixPath(file.path).parent)
    return [file for _, district in districts for file in itertools.islice(district, count)]


def shard_name(path: str, part: str) -> str:
    """The name of a file's shard: its path, in a folder `part`, which many revisions have themselves."""
    stem = path.removesuffix(SUFFIX)
    return stem if stem.startswith(f"{part}/") else f"{part}/{stem}"


def _shard(file: RepoFile, part: str) -> dict[str, Any]:
    """The listing's entry of a file. Raises ValueError if the file cannot be verified."""
    if file.lfs is None:
        raise ValueError(f"{file.path}: the hub lists no sha256 for it, so it cannot be verified; leave it out")
    return {
        "name": shard_name(file.path, part),
        "path": file.path,
        "part": part,
        "bytes": file.size,
        "sha256": file.lfs.sha256,
    }


def list_shards(settings: SurveyConfig) -> list[dict[str, Any]]:
    """The parquet files that match `audio` and `images` at the pinned commit, audio first, each part sorted by name.

    Of each audio folder, only `shards_per_district` files; of the images all, since a clip may be about any of them.
    Raises ValueError for patterns that cannot be right, ves.sources.hub.download.HubError if the hub gives no listing.
    """
    files = [file for file in download.list_files(settings.repository, settings.commit()) if file.path.endswith(SUFFIX)]
    audio = matching(files, settings.audio, "audio")
    images = matching(files, settings.images, "images")
    if twice := {file.path for file in audio} & {file.path for file in images}:
        raise ValueError(f"corpus.vaani: both audio and images match {min(twice)}; make the patterns narrower")
    audio = _first_of_each_folder(audio, settings.shards_per_district)
    shards = [_shard(file, "audio") for file in audio] + [_shard(file, "images") for file in images]
    paths: dict[str, str] = {}
    for shard in shards:
        if (other := paths.setdefault(shard["name"], shard["path"])) != shard["path"]:
            raise ValueError(f"corpus.vaani: {other} and {shard['path']} would be one shard; leave one of them out")
    return sorted(shards, key=lambda shard: (shard["part"], shard["name"]))


def fetch(settings: SurveyConfig, shard: dict[str, Any], destination: Path) -> None:
    """Download one shard of the listing to `destination`; resumes, and verifies (ves.sources.hub.download.download)."""
    where = (settings.repository, settings.commit(), shard["path"], destination)
    download.download(*where, size=shard["bytes"], sha256=shard["sha256"])
