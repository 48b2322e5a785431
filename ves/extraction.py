"""Features into their store (ves.store), by any number of jobs at once, in any order, on one machine or many.

Each job owns whole shards of the store, `extract`; one more, when all are done, says that the store is whole, `seal`.
Nothing passes between jobs but the store and a small record of each, so that a job that was killed is simply run again:
shards that hold the right images with the right checksums stay as they are. At most the shards in hand are lost (one
computed, one written), a corpus that has grown costs what it has grown by, and no byte depends on the number of jobs.

Whoever computes a shard holds its lock, in `<store>.locks/`, until it is written. A second writer of it waits, and
then finds nothing left to do; the kernel lets go of the lock when its holder dies. Locks are taken in the order of
shards, so that no two writers wait for each other.
"""

import hashlib
import logging
import re
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl
import torch
from jaxtyping import BFloat16
from torch import Tensor

from ves import files, store_layout
from ves.backbone import file_sha256
from ves.config import VisionConfig
from ves.features import attributes, listed, tokens
from ves.progress import track
from ves.shards import BadStore
from ves.store import create_features, intact, present, set_complete, shard_path, write_shard

log = logging.getLogger(__name__)


def share(count: int, part: str) -> range:
    """Shards of job "k-of-n" of a store of `count`: neighbours, since their pictures are. Raises ValueError."""
    found = re.fullmatch(r"([1-9]\d*)-of-([1-9]\d*)", part)
    if found is None or int(found[1]) > int(found[2]):
        raise ValueError(f"part: {part!r} is not one such as 1-of-4 or 4-of-4")
    number, parts = int(found[1]), int(found[2])
    return range((number - 1) * count // parts, number * count // parts)


@dataclass
class _Shard:
    """A shard that this job is to write, and what lets go of its lock."""

    number: int
    rows: pl.DataFrame  # of images.parquet
    held: ExitStack


def extract(vision: VisionConfig, images: Path, pictures: Path, store: Path, part: str, out: Path) -> None:
    """Bring the shards of one job, such as "2-of-8", up to images.parquet; then write `out`, the record of them.

    `pictures` is the folder of the ingested pictures. Raises ValueError when the store was made with another backbone,
    image size or fit, when the pictures are not those listed, or for a `part` that is none.
    """
    slices = _slices(images)
    own = share(len(slices), part)
    attrs = attributes(vision)
    rows, columns = attrs["grid"]
    shape = (rows * columns, attrs["width"])
    with files.lock(store):
        create_features(store, sum(map(len, slices)), *shape, attrs)
    written = _fill(vision, pictures, store, _missing(store, slices, own, shape))
    log.info("%d of %d shards written", len(written), len(own))
    kept = {number: _record(store, number, slices[number]) for number in own if number not in written}
    files.write_json(out, [(written | kept)[number] for number in own])


def _slices(images: Path) -> list[pl.DataFrame]:
    """The rows of images.parquet for each shard."""
    frame = listed(images)
    step = store_layout.SHARD_ROWS
    return [frame[first : first + step] for first in range(0, len(frame), step)]


def _missing(
    store: Path, slices: Sequence[pl.DataFrame], own: Sequence[int], shape: tuple[int, int]
) -> Iterator[_Shard]:
    """Those of the shards that are not there as they should be, each locked before it is looked at."""
    for number in track(own, label="features", total=len(own), unit="shard"):
        with ExitStack() as held:
            held.enter_context(files.lock(store.with_name(f"{store.name}.locks") / str(number)))
            if not intact(store, number, slices[number]["image_id"].to_list(), *shape):
                yield _Shard(number, slices[number], held.pop_all())


def _fill(vision: VisionConfig, pictures: Path, store: Path, missing: Iterator[_Shard]) -> dict[int, dict[str, Any]]:
    """Write these shards, each while the next is computed; the record of each by its number.

    No batch spans two shards, so that tokens do not depend on which shards were there before.
    """
    if (first := next(missing, None)) is None:
        return {}  # no backbone is loaded to do nothing
    ahead: deque[_Shard] = deque()
    step = vision.batch_size

    def batches() -> Iterator[pl.DataFrame]:
        for shard in chain([first], missing):
            ahead.append(shard)
            yield from (shard.rows[at : at + step] for at in range(0, len(shard.rows), step))

    written: dict[int, Future[dict[str, Any]]] = {}
    with ExitStack() as left, ThreadPoolExecutor(1) as writer:
        left.callback(lambda: [shard.held.close() for shard in ahead])  # after a failure
        done, last = tokens(batches(), pictures, vision), None
        for batch in done:
            rows = [batch, *(next(done) for _ in range(step, len(ahead[0].rows), step))]
            if last is not None:
                last.result()  # two shards in memory are enough
            shard = ahead.popleft()
            last = written[shard.number] = writer.submit(_write, store, shard, rows)
    return {number: future.result() for number, future in written.items()}


def _write(store: Path, shard: _Shard, batches: Sequence[BFloat16[Tensor, "_ P W"]]) -> dict[str, Any]:
    """Write one shard, let go of its lock, and say what was written."""
    with shard.held:
        rows, image_ids = torch.cat(list(batches)), shard.rows["image_id"].to_list()
        if bad := (~rows.isfinite().all(-1).all(-1)).nonzero().flatten().tolist():
            raise ValueError(f"image {image_ids[bad[0]]}: the backbone's tokens are not finite")
        with files.lock(store):
            set_complete(store, False)
        write_shard(store, shard.number, rows, image_ids)
        return _record(store, shard.number, shard.rows)


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
