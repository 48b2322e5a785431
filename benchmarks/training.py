"""Steps of the default runs: how long they take, against the plain way in the same process, and what the time goes to.

    OMP_NUM_THREADS=2 python benchmarks/training.py [--repeats 7] [--steps 10] [--corpus data/scenes]

Needs the default corpus with its features (`snakemake train_dense` makes it). Plain is transformers' own pass over
every clip at full length, the batch in one piece, torch's fused attention in the visual adapter, and similarities as
einsum, max and autograd; ours is what `ves train` does. Both have a model and an optimiser of their own, see the same
batches and take turns; tables have medians of a step, its CPU time (all threads), and the median over repeats of the
ratio within each. The second table says how long steps waited for data; the third what CPU time a step spends in which
kernels, on all threads (the profiler's own work is in it: compare columns); the last what the products and convolutions
of half a batch take by themselves, on one core, with the operands that the step gave them: no step is faster.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import harness
import torch
from torch import Tensor
from torch._C._profiler import _ExperimentalConfig
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from ves.base.cpu import keep_freed_memory, use_cores
from ves.config.experiment import Config, DataPaths
from ves.config.train import TrainConfig
from ves.models import towers as model
from ves.models.towers import VeS
from ves.similarity import pairwise
from ves.training import checkpoint, gradient_cache
from ves.training.dataset import Batch, PairReader, batches, to_read
from ves.training.optimiser import make_optimizer
from ves.training.train import optimise

KINDS = {  # a part of the name of a kernel: what it does; the first that fits
    "convolution": "convolutions",
    "softmax": "attention",
    "dot_product": "attention",
    "attention": "attention",
    "bmm": "products (batched)",
    "mm": "products",
    "norm": "normalisation",
    "gelu": "activations",
    "relu": "activations",
    "clamp_min": "activations",
    "threshold": "activations",
    "copy_": "copies and casts",
    "index_select": "copies and casts",
    "add": "sums and products of elements",
    "mul": "sums and products of elements",
    "sum": "sums and products of elements",
    "adam": "optimiser",
}
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "convolution", "convolution_backward")  # of aten


def all_clips_whole(backbone: Any, waveform: Tensor, valid: Tensor, _grid: Any, **_masking: Any) -> Tensor:
    """transformers' own pass."""
    samples = torch.arange(waveform.shape[1], device=waveform.device)
    return backbone(waveform, attention_mask=(samples < valid[:, None]).long()).last_hidden_state


def einsum_and_max(audio: Tensor, mask: Tensor, image: Tensor, image_mask: Tensor | None = None) -> Tensor:
    """max_mean with the whole volume of token similarities."""
    assert image_mask is None, "the default runs have pictures without padding"
    best = torch.einsum("atd,vpd->avtp", audio, image).max(-1).values.float()
    return (best * mask[:, None]).sum(-1) / (mask.sum(-1)[:, None] + pairwise.EPSILON)


@contextmanager
def plain() -> Iterator[None]:
    """The way that ours is measured against."""
    with (
        patch.object(model, "hidden_states", all_clips_whole),
        patch.object(model, "plain_attention", nullcontext),
        patch.object(gradient_cache, "plain_attention", nullcontext),
        patch.object(VeS, "is_stochastic", True),  # so that the batch goes through the towers whole
        patch.dict(pairwise.SIMILARITIES, {"max_mean": einsum_and_max}),
    ):
        yield


WAYS = {"plain": plain, "ours": nullcontext}
OTHER_WAYS = {"halves": nullcontext}  # as ours, but what is not done in halves is shared by all threads (contention.py)


class Recorder(TorchDispatchMode):
    """The products and convolutions that are computed within, with their operands."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name.removeprefix("aten::") in PRODUCTS:
            self.calls.append((func, args, kwargs or {}))
        return func(*args, **(kwargs or {}))

    def again(self) -> None:
        """All of them once more, and nothing else."""
        for func, args, kwargs in self.calls:
            func(*args, **kwargs)


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@dataclass
class Training:
    """One way of one run: its model, its data, and what its steps took."""

    run: str
    way: str
    settings: TrainConfig
    model: VeS
    optimizer: torch.optim.Optimizer
    stream: Iterator[Batch]
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)

    def step(self) -> None:
        """One step, timed."""
        use_cores(self.settings.threads, whole=self.way == "ours" and not self.model.is_stochastic)
        with (WAYS | OTHER_WAYS)[self.way]():
            started, cpu = time.perf_counter(), time.process_time()
            batch = next(self.stream)
            self.waited.append(time.perf_counter() - started)
            optimise(self.model, self.optimizer, batch, self.settings)
        self.seconds.append(time.perf_counter() - started)
        self.cpu.append(time.process_time() - cpu)

    def kernels(self, steps: int) -> dict[str, float]:
        """Milliseconds of CPU time that a step spends in each kind of kernel, over some steps more."""
        everywhere = _ExperimentalConfig(profile_all_threads=True)
        with profile(activities=[ProfilerActivity.CPU], acc_events=True, experimental_config=everywhere) as profiler:
            for _ in range(steps):
                self.step()
        spent: dict[str, float] = defaultdict(float)
        for event in profiler.key_averages():
            name = event.key.lower()
            kind = next((kind for part, kind in KINDS.items() if part in name), "other")
            spent[kind] += event.self_cpu_time_total / 1e3 / steps
        return spent

    def bare(self, repeats: int) -> tuple[float, float]:
        """Milliseconds of half a batch on one core: its gradient, and the products and convolutions of that alone."""
        use_cores(1, whole=True)
        settings = self.settings.model_copy(update={"threads": 1})
        batch = next(self.stream)
        half = batch[: len(batch) // 2]
        with Recorder() as recorder:
            gradient_cache.gradient(self.model, half, settings)
        whole, bare = [], []
        for _ in range(repeats):
            whole.append(seconds(lambda: gradient_cache.gradient(self.model, half, settings)))
            with torch.no_grad():
                bare.append(seconds(recorder.again))
        return statistics.median(whole) * 1e3, statistics.median(bare) * 1e3


def start(config: Config, data: DataPaths, run: str, way: str, steps: int) -> Training:
    """A training at its first step."""
    settings = config.train_of(run)
    checkpoint.seed_all(0)
    reader, device = PairReader(data, config.audio.seconds), torch.device("cpu")
    with patch.object(model, "quicken") if way == "plain" else nullcontext():
        built = VeS(config.audio, config.model, reader.features.width, settings.temperature).train()
    stream = batches(reader, to_read(data, "train"), settings, seed=0, first=0, last=steps, device=device)
    return Training(run, way, settings, built, make_optimizer(built, settings), stream)


def timed(config: Config, data: DataPaths, repeats: int, steps: int) -> list[Training]:
    """Both ways of every run of the table, in turns; prints what their steps took."""
    harness.header(
        "run", "plain s/step", "ours s/step", "plain / ours", "plain CPU s", "ours CPU s", "plain / ours CPU"
    )
    everything = []
    for run in config.table:
        ways = [start(config, data, run, way, (repeats + 2) * steps + 4) for way in WAYS]
        for training in ways:
            training.step()  # memory is taken, threads are started
            for measured in (training.seconds, training.cpu, training.waited):
                measured.clear()
        for repeat in range(repeats):
            for training in ways if repeat % 2 else ways[::-1]:
                for _ in range(steps):
                    training.step()
        cells = []
        for kind in ("seconds", "cpu"):
            one, other = (
                [statistics.median(getattr(way, kind)[at : at + steps]) for at in range(0, repeats * steps, steps)]
                for way in ways
            )
            ratio = harness.ratio(one, other)
            cells += [f"{statistics.median(one):.3f}", f"{statistics.median(other):.3f}", f"**{ratio:.2f}**"]
        harness.row(run, *cells)
        everything += ways
    return everything


def main() -> None:
    """Print all tables as Markdown."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--corpus", type=Path, default=Path("data/scenes"))
    settings = parser.parse_args()
    config, data = harness.configured(settings.corpus)
    print(f"{harness.today()}, {harness.processor()}, torch {torch.__version__}; ", end="")
    print(f"{settings.repeats} repeats of {settings.steps} steps")
    keep_freed_memory()  # both ways
    everything = timed(config, data, settings.repeats, settings.steps)
    harness.header("run", "way", "waiting for data, share of the time of steps")
    for each in everything:
        harness.row(each.run, each.way, f"{sum(each.waited) / sum(each.seconds):.2%}")
    measured = {f"{each.run}, {each.way}": each.kernels(settings.steps) for each in everything}
    harness.header("CPU ms a step in", *measured)
    for kind in dict.fromkeys([*KINDS.values(), "other"]):
        harness.row(kind, *(f"{spent.get(kind, 0.0):.1f}" for spent in measured.values()))
    harness.header("run, ours", "half a batch on one core, ms", "its products and convolutions alone, ms", "share")
    for each in everything:
        if each.way == "ours":
            whole, bare = each.bare(settings.repeats)
            harness.row(each.run, f"{whole:.1f}", f"{bare:.1f}", f"{bare / whole:.0%}")


if __name__ == "__main__":
    main()
