"""Write features into their store (ves.store.features_writer), with any number of jobs at once, in any order, on one or
many machines.

Each job writes whole shards of the store (`extract`); when all are done, one more marks the store as complete (`seal`).
Jobs share nothing but the store and a small record of each, so a job that was killed is simply run again. It leaves
shards with the right images and checksums as they are, and at most two shards are lost (one in computation, one in
writing). A corpus that has grown costs only what is new, and no byte depends on the number of jobs.

Until it ends, a job locks its shards in `<store>.writers.lock` (ves.base.locks). A second job for a locked shard, which
somebody starts by mistake, fails before it touches the store and names the first job, which continues.
"""

import logging
import re
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl
import torch
from jaxtyping import BFloat16
from torch import Tensor

from ves.base import files, locks
from ves.base.checksums import file_sha256
from ves.base.progress import track
from ves.config.experiment import VisionConfig
from ves.models.features import attributes, listed, tokens
from ves.store import features_layout
from ves.store.features_layout import images_sha256, shard_path
from ves.store.features_writer import create_features, intact, present, set_complete, write_shard
from ves.store.shard_format import BadStore

log = logging.getLogger(__name__)

# seconds that a job waits for its shards: when the workflow is killed, its jobs get a signal, which a job in an fsync
# receives a moment later; the same command, typed again at once, must not fail for that
GRACE = 2.0


class AnotherWriter(OSError):
    """Another process is writing a shard: the message names both and says what to do."""


def share(count: int, part: str) -> range:
    """The shards of job "k-of-n", out of `count`: neighbours, whose pictures are neighbours too.

    Raises ValueError when `part` is not of that form.
    """
    match = re.fullmatch(r"([1-9]\d*)-of-([1-9]\d*)", part)
    if match is None or int(match[1]) > int(match[2]):
        raise ValueError(f"part: {part!r} is not of the form 1-of-4 or 4-of-4")
    number, parts = int(match[1]), int(match[2])
    return range((number - 1) * count // parts, number * count // parts)


@contextmanager
def _lock(store: Path, own: range) -> Iterator[None]:
    """Lock these shards of a store. Raises AnotherWriter."""
    try:
        with locks.hold(store.with_name(f"{store.name}.writers.lock"), own, GRACE):
            yield
    except locks.InUse as error:
        raise AnotherWriter(
            f"{store}: shard {error.place} is being written by {error.holder}; nothing was changed: wait until that is "
            "done and run again (shards that are there by then are kept), or end that process first"
        ) from None


def extract(vision: VisionConfig, images: Path, pictures: Path, store: Path, part: str, out: Path) -> None:
    """Bring the shards of one job, such as "2-of-8", up to images.parquet; then write `out`, the record of them.

    `pictures` is the folder of the ingested pictures. Raises ValueError when the store has another backbone, image size
    or fit, when the pictures are not those in images.parquet, or when `part` is not valid; AnotherWriter, at once, when
    another process is writing one of its shards.
    """
    slices = _slices(images)
    own = share(len(slices), part)
    attrs = attributes(vision)
    rows, columns = attrs["grid"]
    shape = (rows * columns, attrs["width"])
    with _lock(store, own):
        with files.lock(store):
            create_features(store, sum(map(len, slices)), *shape, attrs)
        written = _fill(vision, pictures, store, _missing(store, slices, own, shape))
        log.info("%d of %d shards written", len(written), len(own))
        unchanged = {number: _record(store, number, slices[number]) for number in own if number not in written}
        files.write_json(out, [(written | unchanged)[number] for number in own])


def _slices(images: Path) -> list[pl.DataFrame]:
    """The rows of images.parquet for each shard."""
    frame = listed(images)
    step = features_layout.SHARD_ROWS
    return [frame[first : first + step] for first in range(0, len(frame), step)]


type _Shard = tuple[int, pl.DataFrame]  # its number, and its rows of images.parquet


def _missing(store: Path, slices: Sequence[pl.DataFrame], own: range, shape: tuple[int, int]) -> Iterator[_Shard]:
    """Those of the shards that are not there or not intact."""
    for number in track(own, label="features", total=len(own), unit="shard"):
        if not intact(store, number, slices[number]["image_id"].to_list(), *shape):
            yield number, slices[number]


def _fill(vision: VisionConfig, pictures: Path, store: Path, missing: Iterator[_Shard]) -> dict[int, dict[str, Any]]:
    """Write these shards, each while the next is computed; returns the record of each by its number.

    No batch spans two shards, so that tokens do not depend on which shards were there before.
    """
    if (first := next(missing, None)) is None:
        return {}  # before the backbone is loaded
    ahead: deque[_Shard] = deque()
    step = vision.batch_size

    def batches() -> Iterator[pl.DataFrame]:
        for number, rows in chain([first], missing):
            ahead.append((number, rows))
            yield from (rows[at : at + step] for at in range(0, len(rows), step))

    written: dict[int, Future[dict[str, Any]]] = {}
    with ThreadPoolExecutor(1) as writer:
        done, last = tokens(batches(), pictures, vision), None
        for batch in done:
            number, rows = ahead[0]
            parts = [batch, *(next(done) for _ in range(step, len(rows), step))]
            if last is not None:
                last.result()  # two shards in memory are enough
            ahead.popleft()
            last = written[number] = writer.submit(_write, store, number, rows, parts)
    return {number: future.result() for number, future in written.items()}


def _write(
    store: Path, number: int, rows: pl.DataFrame, batches: Sequence[BFloat16[Tensor, "_ P W"]]
) -> dict[str, Any]:
    """Write one shard; returns its record."""
    content, image_ids = torch.cat(list(batches)), rows["image_id"].to_list()
    if bad := (~content.isfinite().all(-1).all(-1)).nonzero().flatten().tolist():
        raise ValueError(f"image {image_ids[bad[0]]}: the backbone's tokens are not finite")
    with files.lock(store):
        set_complete(store, False)
    if features_layout.read_attributes(store).get("class_token"):
        write_shard(store, number, content[:, 1:], image_ids, content[:, 0])
    else:
        write_shard(store, number, content, image_ids)
    return _record(store, number, rows)


def _record(store: Path, number: int, rows: pl.DataFrame) -> dict[str, Any]:
    """The entry of a shard in the manifest: its file, number of rows and sha256, and that of its class tokens."""
    path, beside = shard_path(store, number), features_layout.class_path(store, number)
    record = {"file": str(path.relative_to(store)), "rows": len(rows), "sha256": file_sha256(path)}
    return record | ({"class_token_sha256": file_sha256(beside)} if beside.is_file() else {})


def seal(images: Path, store: Path, parts: list[Path], manifest: Path) -> None:
    """Mark a store as complete once all jobs are done; last, write its manifest.

    `parts` are the records of the jobs. Raises ValueError where they do not belong to this images.parquet, and BadStore
    that names a shard which changed after its job. That job's record is then deleted, so that the job runs again.
    """
    slices = _slices(images)
    records = [(part, record) for part in parts for record in files.read_json(part)]
    expected = {str(shard_path(Path(), number)): len(rows) for number, rows in enumerate(slices)}
    if sorted((record["file"], record["rows"]) for _, record in records) != sorted(expected.items()):
        raise ValueError(
            f"{store}: these parts do not have each of its {len(slices)} shards once; extract those that are missing"
        )
    by_file = {record["file"]: (part, record) for part, record in records}
    with files.lock(store):
        for number, file in enumerate(expected):
            part, _ = by_file[file]
            if not present(store, number, slices[number]["image_id"].to_list()):
                files.remove(part)
                raise BadStore(f"{store / file}: changed since it was extracted; run again to repair it")
        set_complete(store, True)
        files.write_json(manifest, _manifest(store, slices, [by_file[file][1] for file in expected]))


def _manifest(store: Path, slices: list[pl.DataFrame], shards: list[dict[str, Any]]) -> dict[str, Any]:
    """The content of the store, for those who cannot look into it: the workflow, and a check of copies."""
    ids = [image_id for rows in slices for image_id in rows["image_id"]]
    return {
        "rows": len(ids),
        "shards": shards,
        "images_sha256": images_sha256(ids),
        "attrs": files.read_json(store / "zarr.json")["attributes"],
    }
