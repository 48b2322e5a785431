"""Features into their store (ves.store.features_writer), by any number of jobs at once, in any order, on one machine or
many.

Each job owns whole shards of the store, `extract`; one more, when all are done, says that the store is whole, `seal`.
Nothing passes between jobs but the store and a small record of each, so that a job that was killed is simply run again:
shards that hold the right images with the right checksums stay as they are. At most the shards in hand are lost (one
computed, one written), a corpus that has grown costs what it has grown by, and no byte depends on the number of jobs.

A job holds its shards, in `<store>.writers.lock`, until it is done or dies (ves.base.locks). One that is started by
mistake for a shard which another holds fails before it has touched the store, and says who that is; the first goes on.
"""

import hashlib
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
from ves.base.hashing import file_sha256
from ves.base.progress import track
from ves.config.experiment import VisionConfig
from ves.models.features import attributes, listed, tokens
from ves.store import features_layout
from ves.store.features_writer import create_features, intact, present, set_complete, shard_path, write_shard
from ves.store.shard_format import BadStore

log = logging.getLogger(__name__)

# seconds that a job waits for its shards: when the workflow is killed its jobs get a signal, and one that is within an
# fsync hears it a moment later; the same command typed again at once is not to find them there
GRACE = 2.0


class AnotherWriter(OSError):
    """A shard is being written by another process: the message names it and says what to do."""


def share(count: int, part: str) -> range:
    """Shards of job "k-of-n" of a store of `count`: neighbours, since their pictures are. Raises ValueError."""
    found = re.fullmatch(r"([1-9]\d*)-of-([1-9]\d*)", part)
    if found is None or int(found[1]) > int(found[2]):
        raise ValueError(f"part: {part!r} is not one such as 1-of-4 or 4-of-4")
    number, parts = int(found[1]), int(found[2])
    return range((number - 1) * count // parts, number * count // parts)


@contextmanager
def _held(store: Path, own: range) -> Iterator[None]:
    """Have these shards of a store to oneself. Raises AnotherWriter."""
    try:
        with locks.hold(store.with_name(f"{store.name}.writers.lock"), own, GRACE):
            yield
    except locks.InUse as error:
        raise AnotherWriter(
            f"{store}: shard {error.place} is being written by {error.holder}; nothing was touched: wait until that is "
            "done and run again (what is there then is not made anew), or end that process first"
        ) from None


def extract(vision: VisionConfig, images: Path, pictures: Path, store: Path, part: str, out: Path) -> None:
    """Bring the shards of one job, such as "2-of-8", up to images.parquet; then write `out`, the record of them.

    `pictures` is the folder of the ingested pictures. Raises ValueError when the store was made with another backbone,
    image size or fit, when the pictures are not those listed, or for a `part` that is none; AnotherWriter, at once,
    when another process is at one of its shards.
    """
    slices = _slices(images)
    own = share(len(slices), part)
    attrs = attributes(vision)
    rows, columns = attrs["grid"]
    shape = (rows * columns, attrs["width"])
    with _held(store, own):
        with files.lock(store):
            create_features(store, sum(map(len, slices)), *shape, attrs)
        written = _fill(vision, pictures, store, _missing(store, slices, own, shape))
        log.info("%d of %d shards written", len(written), len(own))
        kept = {number: _record(store, number, slices[number]) for number in own if number not in written}
        files.write_json(out, [(written | kept)[number] for number in own])


def _slices(images: Path) -> list[pl.DataFrame]:
    """The rows of images.parquet for each shard."""
    frame = listed(images)
    step = features_layout.SHARD_ROWS
    return [frame[first : first + step] for first in range(0, len(frame), step)]


type _Shard = tuple[int, pl.DataFrame]  # its number, and its rows of images.parquet


def _missing(store: Path, slices: Sequence[pl.DataFrame], own: range, shape: tuple[int, int]) -> Iterator[_Shard]:
    """Those of the shards that are not there as they should be."""
    for number in track(own, label="features", total=len(own), unit="shard"):
        if not intact(store, number, slices[number]["image_id"].to_list(), *shape):
            yield number, slices[number]


def _fill(vision: VisionConfig, pictures: Path, store: Path, missing: Iterator[_Shard]) -> dict[int, dict[str, Any]]:
    """Write these shards, each while the next is computed; the record of each by its number.

    No batch spans two shards, so that tokens do not depend on which shards were there before.
    """
    if (first := next(missing, None)) is None:
        return {}  # no backbone is loaded to do nothing
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
            found = [batch, *(next(done) for _ in range(step, len(rows), step))]
            if last is not None:
                last.result()  # two shards in memory are enough
            ahead.popleft()
            last = written[number] = writer.submit(_write, store, number, rows, found)
    return {number: future.result() for number, future in written.items()}


def _write(
    store: Path, number: int, rows: pl.DataFrame, batches: Sequence[BFloat16[Tensor, "_ P W"]]
) -> dict[str, Any]:
    """Write one shard, and say what was written."""
    found, image_ids = torch.cat(list(batches)), rows["image_id"].to_list()
    if bad := (~found.isfinite().all(-1).all(-1)).nonzero().flatten().tolist():
        raise ValueError(f"image {image_ids[bad[0]]}: the backbone's tokens are not finite")
    with files.lock(store):
        set_complete(store, False)
    write_shard(store, number, found, image_ids)
    return _record(store, number, rows)


def _record(store: Path, number: int, rows: pl.DataFrame) -> dict[str, Any]:
    """What is said of a shard in the manifest: its file, number of rows and sha256."""
    path = shard_path(store, number)
    return {"file": str(path.relative_to(store)), "rows": len(rows), "sha256": file_sha256(path)}


def seal(images: Path, store: Path, parts: list[Path], manifest: Path) -> None:
    """Mark a store complete whose jobs are all done, and write the manifest that says so, last.

    `parts` are the records of the jobs. Raises ValueError where they are not of this images.parquet, BadStore that
    names a shard which is no longer as its job left it; that job's record is then deleted, so that it runs again.
    """
    slices = _slices(images)
    records = [(part, record) for part in parts for record in files.read_json(part)]
    expected = {str(shard_path(Path(), number)): len(rows) for number, rows in enumerate(slices)}
    if sorted((record["file"], record["rows"]) for _, record in records) != sorted(expected.items()):
        raise ValueError(f"{store}: the parts given are not all of its {len(slices)} shards, each once; extract them")
    by_file = {record["file"]: (part, record) for part, record in records}
    with files.lock(store):
        for number, file in enumerate(expected):
            part, _ = by_file[file]
            if not present(store, number, slices[number]["image_id"].to_list()):
                files.remove(part)
                raise BadStore(f"{store / file}: changed since it was extracted; run again, it is then repaired")
        set_complete(store, True)
        files.write_json(manifest, _manifest(store, slices, [by_file[file][1] for file in expected]))


def _manifest(store: Path, slices: list[pl.DataFrame], shards: list[dict[str, Any]]) -> dict[str, Any]:
    """What the store holds, for those who cannot look into it: the workflow, and a check of copies."""
    ids = [image_id for rows in slices for image_id in rows["image_id"]]
    return {
        "rows": len(ids),
        "shards": shards,
        "images_sha256": hashlib.sha256("\n".join(ids).encode()).hexdigest(),
        "attrs": files.read_json(store / "zarr.json")["attributes"],
    }
