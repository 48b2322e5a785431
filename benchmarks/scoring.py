"""Scoring all pairs: ves.similarity.score at the paper's shapes against the bare product, and how it grows.

    OMP_NUM_THREADS=2 python benchmarks/scoring.py [--sizes 125 250 500 1000] [--threads 2]

Clips of 125 and images of 256 tokens in 256 dimensions, stored as bfloat16; every clip has all its tokens. `product`
is the fp32 product of 512 of the clips' tokens with one image at a time into one buffer, without a maximum, timed
before and after each size, on as many pairs as take seconds: the share is of its rate, in the same run. Peak memory is
that of the process over what it had with the embeddings in memory.
"""

import argparse
import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ves.similarity import score

TOKENS, PATCHES, WIDTH = 125, 256, 256


def embedded(size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Unit tokens of as many clips and images in bfloat16, made in parts, and the clips' mask."""
    generator = torch.Generator().manual_seed(0)
    sides = (torch.empty(size, tokens, WIDTH, dtype=torch.bfloat16) for tokens in (TOKENS, PATCHES))
    audio, image = sides
    for side in (audio, image):
        for row in side:
            row.copy_(F.normalize(torch.randn(row.shape, generator=generator), dim=-1))
    return audio, torch.ones(size, TOKENS, dtype=torch.bool), image


def product(audio: Tensor, image: Tensor, clips: int = 32, images: int = 64) -> float:
    """Products of a pair of tokens per second, of the product alone."""
    heard, seen = audio[:clips].flatten(0, 1).float(), image[:images].float()
    buffer = torch.empty(PATCHES, 512)
    start = time.perf_counter()
    for patches in seen:
        for part in heard.split(512):
            torch.mm(patches, part.T, out=buffer.view(-1)[: PATCHES * len(part)].view(PATCHES, -1))
    return len(heard) * len(seen) * PATCHES / (time.perf_counter() - start)


def resident(field: str) -> float:
    """MiB of this process: VmRSS, what it has now, or VmHWM, the most it had since the peak was reset."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1]) / 1024


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[125, 250, 500, 1000])
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(f"{datetime.now(UTC):%Y-%m-%d}, {given.threads} threads on {cores} cores of {platform.machine()}, "
          f"load {load:.1f} at the start")  # fmt: skip
    names = ("clips x images", "share of the product's rate", "µs a pair",
             "seconds", "GFLOP/s", "peak over embeddings, MiB")  # fmt: skip
    print(f"\n| {' | '.join(names)} |\n|{'---|' * len(names)}", flush=True)
    for size in given.sizes:
        audio, mask, image = embedded(size)
        bare = product(audio, image)
        Path("/proc/self/clear_refs").write_text("5")  # the peak is what there is now
        before = resident("VmRSS")
        start = time.perf_counter()
        score({"max_mean": 1.0}, audio, mask, image)
        spent = time.perf_counter() - start
        extra = resident("VmHWM") - before
        bare = (bare + product(audio, image)) / 2
        rate = size * size * TOKENS * PATCHES / spent
        print(f"| {size:,} x {size:,} | {rate / bare:.2f} | {spent / size / size * 1e6:.1f} | {spent:.1f} "
              f"| {rate * 2 * WIDTH / 1e9:.0f} | {extra:.0f} |", flush=True)  # fmt: skip
    print(f"\nLoad {os.getloadavg()[0]:.1f} at the end.")


if __name__ == "__main__":
    main()
