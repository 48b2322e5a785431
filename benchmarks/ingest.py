"""Ingest of a shard as Vaani's are: how fast on one core, against what, and in how much memory.

    OMP_NUM_THREADS=1 python benchmarks/ingest.py [--megabytes 500] [--repeats 3] [--folder DIR]

Writes clips of 16 kHz WAV of Vaani-like lengths (gamma, mean 6.9 s) as one shard, and photographs as another, and runs
the real stages on them by the command line, bound to one core. The baseline, in the same run and on the same core, is
what a script does: read the shard, `soundfile.read` each clip, append its samples to one file; it checks nothing and
hashes nothing. Real-time factors: seconds of sound per second of wall time and of processor time, with the start of the
process. Other work on the machine shows in the first.
"""

import io
import json
import multiprocessing
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import harness
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import yaml
from PIL import Image

from ves.config.corpus import CorpusSettings

ROOT = Path(__file__).resolve().parents[1]
RATE = 16_000
FILE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def clips(megabytes: int) -> list[bytes]:
    """Noise over a tone as WAV files."""
    rng, made, left = np.random.default_rng(0), [], megabytes * 1_000_000
    while left > 0:
        n = int(RATE * (0.2 + rng.gamma(4, 6.7 / 4)))
        tone = 3_000 * np.sin(np.arange(n) * rng.uniform(0.05, 0.3))
        samples = (rng.normal(0, 800, n) + tone).astype("<i2").tobytes()
        form = struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
        chunks = b"WAVEfmt " + form + b"data" + struct.pack("<I", len(samples)) + samples
        made.append(b"RIFF" + struct.pack("<I", len(chunks)) + chunks)
        left -= len(made[-1])
    return made


def photographs(megabytes: int) -> list[bytes]:
    """JPEGs of about 200 kB, all different: a few are encoded, the others carry a comment of their own."""
    rng, base = np.random.default_rng(0), []
    for _ in range(8):
        noise = rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((1280, 960), Image.Resampling.BICUBIC).save(
            file := io.BytesIO(), "JPEG", quality=92
        )
        base.append(file.getvalue())
    made, left = [], megabytes * 1_000_000
    while left > 0:
        content = base[len(made) % len(base)]
        made.append(content[:2] + b"\xff\xfe\x00\x0a" + struct.pack(">Q", len(made)) + content[2:])
        left -= len(made[-1])
    return made


def write(path: Path, media: str, megabytes: int, groups: int) -> tuple[int, float]:
    """A shard of that many row groups; its rows, and seconds of sound."""
    files = clips(megabytes) if media == "audio" else photographs(megabytes)
    columns = {media: pa.array([{"bytes": f, "path": str(i)} for i, f in enumerate(files)], FILE)}
    if media == "audio":
        columns |= {"language": pa.array(["Hindi"] * len(files)), "referenceImage": pa.array(["a.jpg"] * len(files))}
    pq.write_table(pa.table(columns), path, row_group_size=-(-len(files) // groups))
    return len(files), sum(len(file) - 44 for file in files) / (2 * RATE)


def shard(*settings) -> tuple[int, float]:
    """The same, by a process of its own: the peak of a child's memory begins with what its parent holds."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(write, *settings).result()


def stages(folder: Path) -> dict[str, list[str | Path]]:
    """The commands of the two stages, to which `--source` and what follows the kind of shard are added."""
    settings = yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))["corpus"]
    settings = {key: value for key, value in settings.items() if key in CorpusSettings.model_fields}
    settings["keep_seconds"] = None
    names = {"audio": "audio/x", "images": "images/x"}
    listing = [{"name": name, "part": part, "chosen": None} for part, name in names.items()]
    (folder / "corpus.json").write_text(json.dumps(settings), "utf-8")
    (folder / "shards.json").write_text(json.dumps({"shards": listing}), "utf-8")
    common = ["--corpus", folder / "corpus.json", "--listing", folder / "shards.json"]
    return {
        part: [sys.executable, "-m", "ves", f"ingest-{part}", *common, "--shard", name] for part, name in names.items()
    }


def plain_loop(source: Path, out: Path) -> None:
    """The baseline: decode by soundfile, append to a file, nothing checked."""
    with open(out, "wb") as file:
        for batch in pq.ParquetFile(source).iter_batches(64, columns=["audio"], use_threads=False):
            for row in batch["audio"].to_pylist():
                samples, _ = soundfile.read(io.BytesIO(row["bytes"]), dtype="int16")
                file.write(samples.tobytes())
        file.flush()
        os.fsync(file.fileno())


def measured(command: list[str | Path], repeats: int) -> dict[str, float]:
    """Medians of wall and processor seconds and of the peak of resident GB of a command."""
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        process = subprocess.Popen([*map(str, command)], cwd=ROOT, stderr=subprocess.PIPE)
        assert process.stderr is not None
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{command} ended with {process.returncode}: {errors.decode()}")
        spent.append((time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9))
    wall, cpu, peak = (statistics.median(values) for values in zip(*spent, strict=True))
    return {"wall_s": round(wall, 2), "cpu_s": round(cpu, 2), "peak_gb": round(peak, 2)}


def compare(folder: Path, megabytes: int, repeats: int) -> None:
    """Clips in one row group and in twenty, by the loop and by the stage."""
    for groups in (1, 20):
        source = folder / f"{groups}.parquet"
        _, seconds = shard(source, "audio", megabytes, groups)
        outputs = ["--source", source, "--store", folder / "audio.zarr", "--part", folder / "part.parquet"]
        base = measured([sys.executable, __file__, "--loop", source, folder / "samples.raw"], repeats)
        ours = measured([*stages(folder)["audio"], *outputs], repeats)
        for name, spent in (("soundfile loop", base), ("ingest-audio", ours)):
            factors = {kind: round(seconds / spent[f"{kind}_s"]) for kind in ("wall", "cpu")}
            print(json.dumps({"what": name, "row_groups": groups, "real_time": factors} | spent), flush=True)
        ratios = {kind: round(ours[f"{kind}_s"] / base[f"{kind}_s"], 2) for kind in ("wall", "cpu")}
        print(json.dumps({"what": "ingest-audio to the loop", "row_groups": groups, "times": ratios}), flush=True)


def main() -> None:
    """Write the shards, measure, print one line of JSON per measurement."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the shards are written; else a temporary one")
    parser.add_argument("--loop", type=Path, nargs=2, metavar=("SOURCE", "OUT"), help="run the baseline, and no more")
    settings = parser.parse_args()
    if settings.loop:
        plain_loop(*settings.loop)
        return
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(dir=settings.folder) as name:
        folder = Path(name)
        compare(folder, settings.megabytes, settings.repeats)
        source = folder / "images.parquet"
        count, _ = shard(source, "image", settings.megabytes, 1)
        outputs = ["--source", source, "--pictures", folder / "pictures.parquet", "--part", folder / "part.parquet"]
        spent = measured([*stages(folder)["images"], *outputs], settings.repeats)
        print(json.dumps({"what": "ingest-images", "row_groups": 1, "per_s": round(count / spent["wall_s"])} | spent))


if __name__ == "__main__":
    main()
