"""Reading clips: ves.store.audio against a memory map of the same samples, soundfile and zarr, warm.

    OMP_NUM_THREADS=1 python benchmarks/reading_audio.py [--clips 500] [--repeats 15] [--folder DIR]

Clips of 16 kHz noise of Vaani-like lengths (gamma, mean 6.9 s), as a group of the store, as one flat file, and as WAV
files. A batch is the first 5 s of each of 64 clips drawn anew, as training reads them; the ways take turns, and the
table has medians. The memory map and soundfile check nothing.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import soundfile
import zarr

from ves.media.audio import RATE
from ves.store.audio import AudioStore, write_group

BATCH, LIMIT, SHARD = 64, 5 * RATE, "audio/a"


def ways(folder: Path, count: int) -> dict[str, Callable[[int], np.ndarray]]:
    """Each way to read a clip by its number; all of them give the same."""
    rng = np.random.default_rng(0)
    clips = [rng.normal(0, 3000, int(RATE * (0.2 + rng.gamma(4, 6.7 / 4)))).astype(np.int16) for _ in range(count)]
    write_group(folder / SHARD, iter(clips), [f"{number:032x}" for number in range(count)])
    np.concatenate(clips).tofile(folder / "flat")
    for number, clip in enumerate(clips):
        soundfile.write(folder / f"{number}.wav", clip, RATE)
    begins = np.concatenate([[0], np.cumsum([len(clip) for clip in clips])]).tolist()
    flat = np.memmap(folder / "flat", np.int16, "r")
    checked, unchecked = AudioStore(folder), AudioStore(folder, check=False)
    samples = zarr.open_array(folder / SHARD / "samples", mode="r")

    def part(number: int) -> slice:
        return slice(begins[number], min(begins[number] + LIMIT, begins[number + 1]))

    found: dict[str, Callable[[int], np.ndarray]] = {
        "memmap, copied": lambda number: np.array(flat[part(number)]),
        "ours, CRC32C off": lambda number: unchecked.read(SHARD, number, LIMIT),
        "ours, CRC32C on": lambda number: checked.read(SHARD, number, LIMIT),
        "soundfile, WAV": lambda number: soundfile.read(folder / f"{number}.wav", LIMIT, dtype="int16")[0],
        "zarr": lambda number: np.asarray(samples[part(number)]),
    }
    for read in found.values():
        assert all(np.array_equal(read(number), clip[:LIMIT]) for number, clip in enumerate(clips))
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--folder", type=Path, help="where to write 0.3 GB")
    given = parser.parse_args()
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(f"{datetime.now(UTC):%Y-%m-%d}, {cores} cores of {platform.machine()}, load {load:.1f} at the start\n")
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory(dir=given.folder) as temporary:
        readers = ways(Path(temporary), given.clips)
        spent: dict[str, list[float]] = {name: [] for name in readers}
        for _ in range(given.repeats):
            for name, read in readers.items():
                drawn = rng.integers(0, given.clips, BATCH).tolist()
                start = time.perf_counter()
                kept = [read(number) for number in drawn]
                spent[name].append(time.perf_counter() - start)
                del kept
    medians = {name: statistics.median(times) for name, times in spent.items()}
    print(f"| {BATCH} clips of up to 5 s | times as fast as memmap | as soundfile | ms a clip |\n|---|---|---|---|")
    for name, median in medians.items():
        ratios = f"{medians['memmap, copied'] / median:.3f} | {medians['soundfile, WAV'] / median:.2f}"
        print(f"| {name} | {ratios} | {1e3 * median / BATCH:.3f} |")
    print(f"\nLoad {os.getloadavg()[0]:.1f} at the end.")


if __name__ == "__main__":
    main()
