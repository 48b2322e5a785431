"""Reading clips: ves.store.audio against a memory map of the same samples, soundfile and zarr, warm.

    OMP_NUM_THREADS=1 python benchmarks/reading_audio.py [--clips 500] [--repeats 15] [--folder DIR]

Clips of 16 kHz noise of Vaani-like lengths (gamma, mean 6.9 s), as a group of the store, as one flat file, and as WAV
files. A batch is the first 5 s of each of 64 clips drawn anew, as training reads them; the ways take turns, and the
table has medians. The memory map and soundfile check nothing.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import harness
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

    readers: dict[str, Callable[[int], np.ndarray]] = {
        "memmap, copied": lambda number: np.array(flat[part(number)]),
        "ours, CRC32C off": lambda number: unchecked.read(SHARD, number, LIMIT),
        "ours, CRC32C on": lambda number: checked.read(SHARD, number, LIMIT),
        "soundfile, WAV": lambda number: soundfile.read(folder / f"{number}.wav", LIMIT, dtype="int16")[0],
        "zarr": lambda number: np.asarray(samples[part(number)]),
    }
    for read in readers.values():
        assert all(np.array_equal(read(number), clip[:LIMIT]) for number, clip in enumerate(clips))
    return readers


def main() -> None:
    """The command line."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--clips", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--folder", type=Path, help="where to write 0.3 GB")
    settings = parser.parse_args()
    rng = np.random.default_rng(1)

    def batch() -> tuple[list[int]]:
        return (rng.integers(0, settings.clips, BATCH).tolist(),)

    with harness.session(harness.machine()), tempfile.TemporaryDirectory(dir=settings.folder) as temporary:
        readers = {
            name: lambda numbers, read=read: [read(number) for number in numbers]
            for name, read in ways(Path(temporary), settings.clips).items()
        }
        medians = harness.medians(harness.turns(readers, batch, settings.repeats))
        harness.header(f"{BATCH} clips of up to 5 s", "times as fast as memmap", "as soundfile", "ms a clip")
        for name, median in medians.items():
            ratios = f"{medians['memmap, copied'] / median:.3f}", f"{medians['soundfile, WAV'] / median:.2f}"
            harness.row(name, *ratios, f"{1e3 * median / BATCH:.3f}")


if __name__ == "__main__":
    main()
