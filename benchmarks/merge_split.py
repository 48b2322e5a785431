"""Merge and split of a corpus as large and as skewed as Vaani, run as the workflow runs them, beside a naive way.

    python benchmarks/merge_split.py --folder build/benchmark          # 1 M, 6 M and 24 M clips; parts are kept there
    python benchmarks/merge_split.py --rows 1000000 --baseline-up-to 0 # one size, no baseline, in a temporary folder

Prints, for each size, wall time and peak memory of `python -m ves merge` and `python -m ves split`, in processes of
their own, and the time of all cores (which a busy machine changes less) that a million clips cost at that size, in
comparison with the smallest one: 1 means that cost grows with the number of clips. The baseline does less of the same
with polars on texts, all in memory: read, join, unique, write; then read, hold out speakers, sort, write. The search
for near-duplicates among 290,000 pictures follows.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import harness
import polars as pl
import vaani_like

from ves.corpus.near_duplicates import groups

SPLIT = """{"seed": 0, "val": 5000, "tune": 1000, "held_out_speakers": 0.05, "near_duplicate_bits": 3, "high": 0.5,
"mid": 0.85}"""
MILLION = 1_000_000


def measured(command: Sequence[str | Path]) -> tuple[float, float, float]:
    """Wall seconds, seconds of all cores and peak resident GB of a command. Raises RuntimeError if it fails."""
    start = time.perf_counter()
    process = subprocess.Popen([*map(str, command)])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9


def stages(folder: Path, out: Path) -> list[list[str | Path]]:
    """The commands of merge and split."""
    ves = [sys.executable, "-m", "ves"]
    manifest, images = out / "manifest.parquet", out / "images.parquet"
    (out / "split.json").write_text(SPLIT, "utf-8")
    return [
        [*ves, "merge", "--listing", folder / "shards.json", "--parts", folder / "parts", "--manifest", manifest,
         "--refused", out / "refused.parquet", "--images", images, "--labels", folder / "labels.yaml"],
        [*ves, "split", "--manifest", manifest, "--images", images, "--split", out / "split.json",
         "--out", out / "splits.parquet", "--summary", out / "splits.md", "--plot", out / "splits.png"],
    ]  # fmt: skip


def naive(folder: Path, out: Path) -> None:
    """What one would write first: tables of texts in memory. No weaker references, labels, strata, groups or page."""
    clips = pl.read_parquet(folder / "parts/audio/*/*.parquet").filter(pl.col("reason").is_null())
    pictures = pl.read_parquet(folder / "parts/images/*.parquet")
    named = pictures.select("image_id", image_reference="source_path")
    clips = clips.join(named, on="image_reference").unique("clip_id", keep="first", maintain_order=True)
    clips.write_parquet(out / "manifest.parquet")
    clips = pl.read_parquet(out / "manifest.parquet", columns=["clip_id", "image_id", "language", "speaker"])
    held = clips["speaker"].drop_nulls().unique().sample(fraction=0.05, seed=0)
    clips = clips.with_columns(held=pl.col("speaker").is_in(held.implode()))
    val = clips.filter("held").unique("image_id", keep="first", maintain_order=True).sample(6_000, seed=0)
    clips = clips.join(val.select("clip_id", val=pl.lit(True)), on="clip_id", how="left")
    clips = clips.join(val.select("image_id", val_image=pl.lit(True)), on="image_id", how="left")
    word = pl.when("val").then(pl.lit("val")).when("val_image").then(pl.lit("val_more"))
    word = word.when("held").then(pl.lit("dropped")).otherwise(pl.lit("train"))
    clips.select("clip_id", split=word).sort("clip_id").write_parquet(out / "splits.parquet")


def near_duplicates() -> None:
    """Print the time to group the hashes of all pictures."""
    hashes = vaani_like.hashes(vaani_like.IMAGES)
    print(f"\nNear-duplicates among {len(hashes):,} pictures:")
    harness.header("bits", "groups", "largest", "s")
    for bits in (3, 6):
        start = time.perf_counter()
        sizes = pl.Series(groups(hashes, bits)).value_counts()
        harness.row(bits, f"{len(sizes):,}", sizes["count"].max(), f"{time.perf_counter() - start:.1f}")


def run(folder: Path, sizes: list[int], baseline_up_to: int) -> None:
    """Print the table, a row as soon as it is measured."""
    harness.header("clips", "who", "merge s", "split s", "sum s", "CPU s", "merge GB", "split GB", "CPU s per M",
                   "to smallest")  # fmt: skip
    first: dict[str, float] = {}
    for rows in sizes:
        here = folder / f"clips-{rows}"
        if not (here / "shards.json").is_file():
            vaani_like.write(here, rows)
        with tempfile.TemporaryDirectory(dir=folder) as out:
            lines = {"ves": [measured(command) for command in stages(here, Path(out))]}
        if rows <= baseline_up_to:
            with tempfile.TemporaryDirectory(dir=folder) as out:
                lines["naive"] = [measured([sys.executable, __file__, "--naive", here, out])]
        for who, spent in lines.items():
            wall, cpu, peak = zip(*spent, strict=True)
            each = sum(cpu) / rows * MILLION
            ratio = each / first.setdefault(who, each)
            none = [""] * (2 - len(spent))  # the baseline is one process
            times, peaks = (
                [f"{value:.{digits}f}" for value in values] + none for values, digits in ((wall, 1), (peak, 2))
            )
            sums = [f"{sum(wall):.1f}", f"{sum(cpu):.1f}"]
            harness.row(f"{rows:,}", who, *times, *sums, *peaks, f"{each:.2f}", f"{ratio:.2f}")


def main() -> None:
    """The command line."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--folder", type=Path, help="keeps the parts, for another run")
    parser.add_argument("--rows", type=int, nargs="+", default=[MILLION, 6 * MILLION, 24 * MILLION])
    parser.add_argument("--baseline-up-to", type=int, default=6 * MILLION, help="clips; more do not fit in memory")
    parser.add_argument("--naive", type=Path, nargs=2, metavar=("PARTS", "OUT"), help="run the baseline itself")
    settings = parser.parse_args()
    if settings.naive:
        naive(*settings.naive)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = settings.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        run(folder, settings.rows, settings.baseline_up_to)
    near_duplicates()


if __name__ == "__main__":
    main()
