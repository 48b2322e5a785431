"""Scoring all pairs: ves.evaluation.retrieval.scores.all_pairs at the paper's shapes against the bare product, and how
it grows.

    OMP_NUM_THREADS=1 python benchmarks/scoring.py [--sizes 125 250 500 1000] [--threads 1]

Clips of 125 and images of 256 tokens in 256 dimensions, stored as float16; every clip has all its tokens. Blocks of
scores are written to disk as evaluation writes them. `product` is the fp32 product of 512 of the clips' tokens with one
image at a time into one buffer, without a maximum: half a second of it before the first block and after each, so that
the share is of its rate in the same minutes. Peak memory is that of the process over what it had with the embeddings
and the product's operands in memory.
"""

import tempfile
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import harness
import torch
import torch.nn.functional as F
from torch import Tensor

from ves.evaluation.retrieval.scores import BLOCK, all_pairs
from ves.store.embeddings import Embeddings

TOKENS, PATCHES, WIDTH = 125, 256, 256
BURST = 0.5  # seconds of the product at a time


def embedded(size: int) -> Embeddings:
    """Unit tokens of as many clips and images, made row by row."""
    generator = torch.Generator().manual_seed(0)
    audio, image = (torch.empty(size, tokens, WIDTH, dtype=torch.float16) for tokens in (TOKENS, PATCHES))
    for side in (audio, image):
        for row in side:
            row.copy_(F.normalize(torch.randn(row.shape, generator=generator), dim=-1))
    ids = [f"{i:04x}" for i in range(size)]
    masks = (torch.ones(size, tokens, dtype=torch.bool) for tokens in (TOKENS, PATCHES))
    return Embeddings(audio, next(masks), torch.arange(size, dtype=torch.int32), image, next(masks), ids, ids, {})


def product(audio: list[Tensor], images: Tensor, buffer: Tensor) -> tuple[int, float]:
    """Products of a pair of tokens, and seconds, of the product alone."""
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < BURST:
        for patches in images:
            for part in audio:
                torch.mm(patches, part.T, out=buffer)
                done += len(part) * PATCHES
    return done, time.perf_counter() - start


def measured(size: int, folder: Path) -> tuple[float, float, float]:
    """Seconds of scoring, the product's rate (pairs of tokens per second) and the peak in MiB."""
    stored = embedded(size)
    audio = list(stored.audio_tokens[:32].flatten(0, 1).float()[: 7 * 512].split(512))
    operands = audio, stored.image_tokens[:64].float(), torch.empty(PATCHES, 512)
    bare, spent = [product(*operands)], 0.0
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what there is now
    before = harness.resident("VmRSS")
    for number, rows in enumerate(torch.arange(size).split(BLOCK)):
        clips = {name: getattr(stored, name)[rows] for name in ("audio_tokens", "audio_mask", "clip_image")}
        start = time.perf_counter()
        all_pairs("max_mean", replace(stored, **clips), folder / str(number), [])
        spent += time.perf_counter() - start
        bare.append(product(*operands))
    extra = harness.resident("VmHWM") - before
    return spent, sum(done for done, _ in bare) / sum(seconds for _, seconds in bare), extra


def main() -> None:
    """The command line."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[125, 250, 500, 1000])
    parser.add_argument("--threads", type=int, default=1)
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    setting = f"threads: {settings.threads}, on {harness.machine()}, torch {version('torch')}"
    with harness.session(setting):
        harness.header("clips x images", "share of the product's rate", "µs a pair", "seconds", "GFLOP/s",
                       "of the product", "peak over embeddings, MiB")  # fmt: skip
        for size in settings.sizes:
            with tempfile.TemporaryDirectory() as folder:
                spent, bare, extra = measured(size, Path(folder))
            rate = size * size * TOKENS * PATCHES / spent
            flops = [f"{each * 2 * WIDTH / 1e9:.0f}" for each in (rate, bare)]
            times = f"{rate / bare:.2f}", f"{spent / size / size * 1e6:.1f}", f"{spent:.1f}"
            harness.row(f"{size:,} x {size:,}", *times, *flops, f"{extra:.0f}")


if __name__ == "__main__":
    main()
