"""Reading rows by system calls (ves.store.rows) against the memory map that did it before, in the reads of training.

    OMP_NUM_THREADS=1 python benchmarks/plain_rows.py [--repeats 101] [--folder DIR] [--corpus data/scenes]

The map is that of commit 624a13a, which is taken from the history of this repository: all shards side by side in one
address space, from which numpy copies rows. Stores of random numbers (rows of 256 x 1,024 as DINOv2-Large gives, and of
100 x 192 as the stand-in does) lie in the page cache, and each way has read all of their rows before. A read is of a
batch of rows drawn at random, all checksums on, into memory that is used again, as training reads, or into new memory.
Ways take turns in an order drawn anew; ratios are of medians, and above 1 the map was faster. The CPU time is that of
all threads, on which other work on the machine has less influence.

With a corpus that has its features (`snakemake train_dense` makes them), whole batches as training reads them follow
(waveforms and patch tokens), one after another; then steps of the default dense run, and how long they wait for data.
"""

import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import harness
import numpy as np
import torch
import training as steps

from ves.config.experiment import Config, DataPaths
from ves.store.features_layout import SHARD_ROWS
from ves.store.features_reader import FeatureStore, open_features
from ves.training.dataset import PairReader, batches, to_read

SHAPES = ((256, 1024, 8), (100, 192, 80))  # patches, width, shards
BATCHES = (32, 92)
MAPPED = "624a13a"  # the last commit whose reader mapped the shards
ROOT = Path(__file__).resolve().parents[1]


def mapped_package(folder: Path) -> Any:
    """ves.store of that commit, as a package of another name."""
    archive = subprocess.run(["git", "archive", MAPPED, "ves/store"], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    (folder / "ves").rename(folder / "mapped")
    for file in (folder / "mapped").rglob("*.py"):
        file.write_text(file.read_text("utf-8").replace("ves.store", "mapped.store"), "utf-8")
    sys.path.insert(0, str(folder))
    from mapped.store import features_reader  # pyright: ignore[reportMissingImports]

    return features_reader


def make(folder: Path, patches: int, width: int, shards: int) -> Path:
    """A store of random numbers."""
    store = folder / f"{patches}x{width}.zarr"
    tokens = (torch.randn(SHARD_ROWS, patches, width).to(torch.bfloat16) for _ in range(shards))
    harness.write_store(store, patches, width, [f"{row:064x}" for row in range(shards * SHARD_ROWS)], tokens)
    return store


def rows(mapped: Any, store: Path, repeats: int) -> None:
    """Rows of the first table."""
    readers = {"map": mapped.open_features(store), "plain": open_features(store)}
    size = len(readers["plain"])
    for first in range(0, size, SHARD_ROWS):
        for reader in readers.values():
            reader.read(range(first, first + SHARD_ROWS))
    rng = np.random.default_rng(0)
    for batch in BATCHES:
        out = readers["plain"].read(range(batch))
        ways: dict[str, Callable[[np.ndarray], object]] = {}
        for name, reader in readers.items():
            ways[f"{name}, again"] = lambda rows, reader=reader, out=out: reader.read(rows, out)
            ways[f"{name}, new"] = lambda rows, reader=reader: reader.read(rows)

        def drawn(batch: int = batch) -> tuple[np.ndarray]:
            return (rng.integers(0, size, batch),)

        clocks = (time.perf_counter, time.process_time)
        wall, cpu = (harness.medians(harness.turns(ways, drawn, repeats, clock)) for clock in clocks)
        for memory in ("again", "new"):
            pair = [f"{way}, {memory}" for way in ("plain", "map")]
            ratios = [f"**{times[pair[0]] / times[pair[1]]:.2f}**" for times in (wall, cpu)]
            harness.row(f"{out[0].nbytes:,}", batch, memory, *ratios, *(f"{1e6 * wall[way]:.0f}" for way in pair))


def pair_reader(data: DataPaths, seconds: float, features: FeatureStore) -> PairReader:
    """One that reads features by that store."""
    reader = PairReader(data, seconds)
    reader.features = features
    return reader


def whole_batches(config: Config, data: DataPaths, readers: dict[str, PairReader], repeats: int) -> None:
    """A row: all that a step of the dense run asks for, with nothing between."""
    settings, frame = config.train_of("dense"), to_read(data, "train")
    streams = {
        name: batches(reader, frame, settings, seed=0, first=0, last=9 * repeats + 9, device=torch.device("cpu"))
        for name, reader in readers.items()
    }
    for stream in streams.values():
        next(stream)
    ways = {name: lambda stream=stream: [next(stream) for _ in range(8)] for name, stream in streams.items()}
    medians = harness.medians(harness.turns(ways, tuple, repeats))
    one, other = (medians[way] / 8 for way in ("plain", "map"))
    harness.row("a batch, alone", f"**{one / other:.2f}**", f"{1e3 * one:.2f}", f"{1e3 * other:.2f}")


def whole_steps(config: Config, data: DataPaths, readers: dict[str, PairReader], repeats: int) -> None:
    """Rows: steps of the dense run, and what of them was waiting for data."""
    trainings = {}
    for name, reader in readers.items():
        with patch.object(steps, "PairReader", lambda *_, reader=reader: reader):
            trainings[name] = steps.start(config, data, "dense", "ours", repeats + 9)
        for _ in range(3):
            trainings[name].step()
        for times in (trainings[name].seconds, trainings[name].waited):
            times.clear()
    harness.turns({name: each.step for name, each in trainings.items()}, tuple, repeats)
    for what, kind in (("a step", "seconds"), ("of it, waiting for data", "waited")):
        medians = harness.medians({name: getattr(each, kind) for name, each in trainings.items()})
        one, other = medians["plain"], medians["map"]
        harness.row(what, f"**{one / other:.2f}**", f"{1e3 * one:.2f}", f"{1e3 * other:.2f}")


def main() -> None:
    """Print both tables as Markdown."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=101)
    parser.add_argument("--folder", type=Path, help="where to write 2 GB")
    parser.add_argument("--corpus", type=Path, default=Path("data/scenes"))
    settings = parser.parse_args()
    with harness.session(harness.machine()), tempfile.TemporaryDirectory(dir=settings.folder) as temporary:
        mapped = mapped_package(Path(temporary))
        harness.header("row bytes", "rows", "memory", "plain / map", "the same of CPU time", "plain, us", "map, us")
        for shape in SHAPES:
            rows(mapped, make(Path(temporary), *shape), settings.repeats)
        if not settings.corpus.is_dir():
            print(f"\nNo corpus at {settings.corpus}: steps of training are not measured.")
            return
        config, data = harness.configured(settings.corpus)
        stores = {"map": mapped.open_features(data.features), "plain": open_features(data.features)}
        readers = {name: pair_reader(data, config.audio.seconds, store) for name, store in stores.items()}
        harness.header("dense", "plain / map", "plain, ms", "map, ms")
        whole_batches(config, data, readers, settings.repeats)
        whole_steps(config, data, readers, settings.repeats)


if __name__ == "__main__":
    main()
