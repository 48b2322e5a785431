"""Growth of the feature store: bytes and time per image from 1 k to 290 k images, opening, and the first look-up.

    OMP_NUM_THREADS=1 python benchmarks/growth.py [--sizes 1000 10000 100000 290000] [--repeats 5] [--folder DIR]

Rows are simulated, 512 bytes each, since what could grow is all but the rows: files, indices, ids. Each shard is
written and synced as extraction does. Opening and look-up are medians over stores opened anew; the look-up is of one id
and makes the index of all.
"""

import hashlib
import statistics
import tempfile
import time
from pathlib import Path

import harness
import numpy as np
import torch

from ves.store.features_layout import SHARD_ROWS
from ves.store.features_reader import open_features

PATCHES, WIDTH = 4, 64


def write(store: Path, ids: list[str]) -> float:
    """Seconds that writing takes."""
    rows = torch.randn(SHARD_ROWS, PATCHES, WIDTH).to(torch.bfloat16)
    shards = (rows[: len(ids) - first] for first in range(0, len(ids), SHARD_ROWS))
    start = time.perf_counter()
    harness.write_store(store, PATCHES, WIDTH, ids, shards)
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
        rows = opened.rows([ids[-1]])
        spent[2].append(time.process_time() - core)
        times.append(time.perf_counter())
        assert rows.tolist() == [len(ids) - 1]
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
    parser = harness.arguments(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 290_000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to write")
    settings = parser.parse_args()
    with harness.session(harness.machine()), tempfile.TemporaryDirectory(dir=settings.folder) as temporary:
        harness.header("images", "bytes / image", "ms to write / image", "ms to open", "ms for the first id",
                       "of a core", "ms for 92 rows")  # fmt: skip
        for size in settings.sizes:
            store = Path(temporary) / f"{size}.zarr"
            ids = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(size)]
            written = write(store, ids) / size * 1e3
            stored = sum(file.stat().st_size for file in store.rglob("*") if file.is_file()) / size
            times = [f"{1e3 * spent:.2f}" for spent in reading(store, ids, settings.repeats)]
            harness.row(f"{size:,}", f"{stored:.1f}", f"{written:.3f}", *times)


if __name__ == "__main__":
    main()
