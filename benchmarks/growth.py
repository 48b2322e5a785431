"""Growth of the feature store: bytes and time per image from 1 k to 290 k images, opening, and the first look-up.

    OMP_NUM_THREADS=1 python benchmarks/growth.py [--sizes 1000 10000 100000 290000] [--repeats 5] [--folder DIR]

Rows are simulated, 512 bytes each, since what could grow is all but the rows: files, indices, ids. Each shard is
written and synced as extraction does. Opening and look-up are medians over stores opened anew; the look-up is of one id
and makes the index of all.
"""

import argparse
import hashlib
import os
import platform
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from ves.store.features_layout import SHARD_ROWS
from ves.store.features_reader import open_features
from ves.store.features_writer import create_features, set_complete, write_shard

PATCHES, WIDTH = 4, 64


def write(store: Path, ids: list[str]) -> float:
    """Seconds that writing takes."""
    rows = torch.randn(SHARD_ROWS, PATCHES, WIDTH).to(torch.bfloat16)
    start = time.perf_counter()
    create_features(store, len(ids), PATCHES, WIDTH, {"grid": [2, 2]})
    for shard, first in enumerate(range(0, len(ids), SHARD_ROWS)):
        part = ids[first : first + SHARD_ROWS]
        write_shard(store, shard, rows[: len(part)], part)
    set_complete(store, True)
    return time.perf_counter() - start


def reading(store: Path, ids: list[str], repeats: int) -> list[float]:
    """Median seconds to open, to look the first id up (and of a core), and to read 92 random rows, after
    ten such batches."""
    rng = np.random.default_rng(0)
    spent: list[list[float]] = [[], [], [], []]
    for _ in range(repeats):
        times = [time.perf_counter()]
        opened = open_features(store)
        times.append(time.perf_counter())
        core = time.process_time()
        found = opened.rows([ids[-1]])
        spent[2].append(time.process_time() - core)
        times.append(time.perf_counter())
        assert found.tolist() == [len(ids) - 1]
        for _ in range(10):
            opened.read(rng.integers(0, len(ids), 92))
        begin = time.perf_counter()
        for _ in range(10):
            opened.read(rng.integers(0, len(ids), 92))
        spent[3].append((time.perf_counter() - begin) / 10)
        spent[0].append(times[1] - times[0])
        spent[1].append(times[2] - times[1])
    return [statistics.median(times) for times in spent]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 290_000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to write")
    given = parser.parse_args()
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(f"{datetime.now(UTC):%Y-%m-%d}, {cores} cores of {platform.machine()}, load {load:.1f} at the start\n")
    names = (
        "images",
        "bytes / image",
        "ms to write / image",
        "ms to open",
        "ms for the first id",
        "of a core",
        "ms for 92 rows",
    )
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}", flush=True)
    with tempfile.TemporaryDirectory(dir=given.folder) as temporary:
        for size in given.sizes:
            store = Path(temporary) / f"{size}.zarr"
            ids = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(size)]
            written = write(store, ids) / size * 1e3
            held = sum(file.stat().st_size for file in store.rglob("*") if file.is_file()) / size
            times = " | ".join(f"{1e3 * spent:.2f}" for spent in reading(store, ids, given.repeats))
            print(f"| {size:,} | {held:.1f} | {written:.3f} | {times} |", flush=True)
    print(f"\nLoad {os.getloadavg()[0]:.1f} at the end.")


if __name__ == "__main__":
    main()
