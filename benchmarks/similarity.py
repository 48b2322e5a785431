"""The dense similarity in training: ves.similarity.pairwise.max_mean against the whole volume, in time and in memory.

    OMP_NUM_THREADS=2 python benchmarks/similarity.py [--repeats 7] [--threads 2]

`volume` is the plain way: einsum, maximum over patches, masked mean, autograd. `product` is the product of the same
tokens alone, one image at a time into one buffer, without a maximum: no exact forward is faster. The ways take turns;
tables have medians of wall-clock time. Shapes: the paper's tokens in fp32 with a batch of 64, and the default run's
under bfloat16 autocast, clips of 2 to 5 s; then little ones, where calls cost more than arithmetic. Memory is the peak
of the resident set over that before the step, each way in a process of its own (gradients, which both leave, count).
On a GPU the same ways and torch.compile of the volume, at the paper's tokens in bfloat16; memory as CUDA counts it.
"""

import multiprocessing
from collections.abc import Callable
from functools import partial
from pathlib import Path

import harness
import torch
import torch.nn.functional as F
from torch import Tensor

from ves.similarity.pairwise import masked_mean, max_mean, token_similarity

PAPER = (64, 125, 64, 256, 256)  # clips, audio tokens, images, patches, dimensions
SHAPES = {  # name: shape, ragged, bfloat16
    "paper's tokens, fp32": (PAPER, False, False),
    "default run, bf16": ((32, 124, 32, 100, 128), True, True),
    "default run, bf16, full clips": ((32, 124, 32, 100, 128), False, True),
    "little, fp32": ((8, 62, 8, 64, 64), False, False),
    "tiny, fp32": ((4, 10, 4, 9, 16), False, False),
}
BATCHES = (92, 256, 1024)  # on a GPU
VOLUME_LIMIT = 256  # the largest batch of which the volume is tried there
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "4090": 165e12, "3090": 71e12}  # dense bf16, fp32 sums


def volume(audio: Tensor, mask: Tensor, image: Tensor) -> Tensor:
    """Phi by way of every token similarity."""
    best = token_similarity(audio, image).max(-1).values.float()
    return masked_mean(best.unsqueeze(-1), mask[:, None, :].expand_as(best)).squeeze(-1)


def tokens(shape: tuple[int, ...], ragged: bool, device: str = "cpu") -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Unit tokens of both sides, the mask, and the gradient of the scores; ragged clips have 2 to 5 s of 5."""
    a, t, v, p, d = shape
    torch.manual_seed(0)
    lengths = torch.randint(2 * t // 5, t + 1, (a, 1)) if ragged else torch.full((a, 1), t)
    audio, image = (F.normalize(torch.randn(*size, d), dim=-1).to(device) for size in ((a, t), (v, p)))
    return audio, (torch.arange(t) < lengths).to(device), image, torch.randn(a, v).to(device)


def step(way: Callable[..., Tensor], inputs: tuple[Tensor, ...], low: bool, *, backward: bool) -> None:
    """One forward or, with its gradients, one step."""
    audio, mask, image, outer = inputs
    audio, image = (side.detach().requires_grad_() for side in (audio, image))
    with torch.autocast(audio.device.type, dtype=torch.bfloat16, enabled=low):
        scores = way(audio, mask, image)
    if backward:
        scores.backward(outer.to(scores.dtype))


def product(inputs: tuple[Tensor, ...], low: bool) -> None:
    """The product of the tokens that count, 2,048 of them with one image at a time."""
    audio, mask, image, _ = inputs
    dtype = torch.bfloat16 if low else torch.float32
    valid, images = audio[mask].to(dtype), image.to(dtype)
    buffer = torch.empty(2048 * images.shape[1], dtype=dtype)
    for patches in images:
        for part in valid.split(2048):
            torch.mm(patches, part.T, out=buffer[: len(part) * len(patches)].view(len(patches), len(part)))


def turns(ways: dict[str, Callable[[], None]], repeats: int, calls: int = 1) -> dict[str, float]:
    """Median seconds of a call of each way; they take turns, after one round that does not count."""

    def repeated(way: Callable[[], None]) -> None:
        for _ in range(calls):
            way()
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    for way in ways.values():
        repeated(way)
    spent = harness.turns({name: partial(repeated, way) for name, way in ways.items()}, tuple, repeats)
    return {name: median / calls for name, median in harness.medians(spent).items()}


def on_cpu(repeats: int) -> None:
    """A row for each shape."""
    harness.header(
        "shape", "step: volume / ours", "forward: volume / ours", "product / forward", "volume, ms a step", "ours"
    )
    for name, (shape, ragged, low) in SHAPES.items():
        inputs = tokens(shape, ragged)
        spent = turns(
            {
                "volume": partial(step, volume, inputs, low, backward=True),
                "ours": partial(step, max_mean, inputs, low, backward=True),
                "volume forward": partial(step, volume, inputs, low, backward=False),
                "forward": partial(step, max_mean, inputs, low, backward=False),
                "product": partial(product, inputs, low),
            },
            repeats,
            calls=20 if shape[0] < 10 else 1,
        )
        ratios = (spent["volume"] / spent["ours"], spent["volume forward"] / spent["forward"],
                  spent["product"] / spent["forward"])  # fmt: skip
        cells = [f"{ratio:.2f}" for ratio in ratios] + [f"{spent[way] * 1e3:.1f}" for way in ("volume", "ours")]
        harness.row(name, *cells)


def peak(way: Callable[..., Tensor], threads: int, queue: "multiprocessing.Queue[float]") -> None:
    """MiB by which a step raises the peak of this process; a little step before it loads what is loaded once."""
    torch.set_num_threads(threads)
    inputs = tokens(PAPER, ragged=False)
    step(way, tokens((8, 125, 2, 256, 256), ragged=False), low=False, backward=True)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what there is now
    before = harness.resident("VmRSS")
    step(way, inputs, low=False, backward=True)
    queue.put(harness.resident("VmHWM") - before)


def memory(threads: int) -> None:
    """Peaks of both ways at the paper's tokens; each in a fresh process, whose peak is its own."""
    fresh = multiprocessing.get_context("spawn")
    peaks = {}
    for name, way in (("volume", volume), ("ours", max_mean)):
        queue: multiprocessing.Queue[float] = fresh.Queue()
        process = fresh.Process(target=peak, args=(way, threads, queue))
        process.start()
        peaks[name] = queue.get()
        process.join()
    harness.header("extra memory, paper's tokens", "volume, MiB", "ours, MiB", "volume / ours")
    ratio = f"{peaks['volume'] / peaks['ours']:.0f}"
    harness.row(f"B = {PAPER[0]}, fp32", *(f"{peaks[way]:.0f}" for way in ("volume", "ours")), ratio)


def on_gpu(repeats: int) -> None:
    """A row for each batch and way; TFLOP/s are of the product, 2 B B T P D, over the time of the forward."""
    name = torch.cuda.get_device_name()
    limit = next((peak for model, peak in PEAKS.items() if model in name), None)
    columns = ("way", "forward, ms", "step, ms", "TFLOP/s, forward", "share of the bf16 peak", "extra, MiB")
    harness.header(f"{name}: B", *columns)
    for batch in BATCHES:
        shape = (batch, PAPER[1], batch, *PAPER[3:])
        inputs = tokens(shape, ragged=False, device="cuda")
        ways = {"ours": max_mean} | (
            {"volume": volume, "compiled": torch.compile(volume)} if batch <= VOLUME_LIMIT else {}
        )
        for way, function in ways.items():
            try:
                spent = turns({
                    "forward": partial(step, function, inputs, True, backward=False),
                    "step": partial(step, function, inputs, True, backward=True),
                }, repeats)  # fmt: skip
            except torch.cuda.OutOfMemoryError:
                harness.row(batch, way, "out of memory", "", "", "", "")
                continue
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            step(function, inputs, True, backward=True)
            extra = (torch.cuda.max_memory_allocated() - before) / 2**20
            rate = 2 * batch * batch * PAPER[1] * PAPER[3] * PAPER[4] / spent["forward"]
            share = f"{rate / limit:.2f}" if limit else "peak unknown"
            times = [f"{spent[kind] * 1e3:.2f}" for kind in ("forward", "step")]
            harness.row(batch, way, *times, f"{rate / 1e12:.0f}", share, f"{extra:.0f}")


def main() -> None:
    """The command line."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    with harness.session(f"{settings.threads} threads on {harness.machine()}"):
        on_cpu(settings.repeats)
        memory(settings.threads)
        if torch.cuda.is_available():
            on_gpu(settings.repeats)
        else:
            print("\nNo GPU: not measured.")


if __name__ == "__main__":
    main()
