"""Training, extraction and evaluation beside other work: how much of the rate of a quiet machine is left.

    python benchmarks/contention.py [--repeats 5] [--seconds 4] [--corpus data/scenes] [--only training]

Needs the default corpus with its features (`snakemake train_dense` makes them). Every row of the table is a process of
its own, since how threads wait is settled when a process starts; it stays warm. In each repeat it is timed alone and
beside others, conditions in an order drawn anew, a few seconds each. What it runs beside is a loop of Python that never
waits, with niceness 19 ("nice") or 0 ("equal"); "another" is the same work once more, as one who trains two models at
once has it. "Plain" is what benchmarks/training.py calls so: two threads share every operation and wait as OpenMP has
it by itself. "Halves" is what was done before: each core takes half a batch through the towers, and both share every
other operation in that manner. "Ours" is what the stages do. Tables have the median over repeats of the rate, divided
by that of the same process alone in the same repeat.

Aimed at on two cores: 0.8 beside one nice process, 0.45 beside an equal one.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from subprocess import PIPE, Popen

import harness

from ves.commands.process import wait_asleep

LOOP = [sys.executable, "-S", "-c", "while True: pass"]
CONDITIONS = {  # name: niceness of each process that is busy meanwhile
    "alone": [],
    "1 nice": [19],
    "2 nice": [19, 19],
    "1 equal": [0],
    "2 equal": [0, 0],
}
ROWS = (
    ("training", "dense", "plain"),
    ("training", "dense", "halves"),
    ("training", "dense", "ours"),
    ("training", "global", "ours"),
    ("training", "dropout", "plain"),
    ("training", "dropout", "ours"),
    ("features", "pictures", "ours"),
    ("evaluation", "embed", "ours"),
    ("evaluation", "score", "ours"),
)


def training(corpus: Path, run: str, way: str) -> Callable[[], object]:
    """A step of a default run; `dropout` is dense with some, whose halves are not independent of each other."""
    import training as steps

    config, data = harness.configured(corpus)
    if run == "dropout":
        config = config.model_copy(update={"model": config.model.model_copy(update={"dropout": 0.1})})
    training = steps.start(config, data, "dense" if run == "dropout" else run, way, 10**6)
    return training.step


def features(corpus: Path, _what: str, _way: str) -> Callable[[], object]:
    """A batch of pictures, from their bytes to patch tokens; a thread for each core, as in the workflow."""
    from ves.models.features import listed, tokens

    config, data = harness.configured(corpus)
    frame, size = listed(Path(data.images)), config.vision.batch_size
    batches = cycle([frame[start : start + size] for start in range(0, len(frame) - size, size)])
    stream = tokens(batches, corpus / "images", config.vision)
    return lambda: next(stream)


def evaluation(corpus: Path, what: str, _way: str) -> Callable[[], object]:
    """On one core, as in the workflow: a batch of clips to tokens, or 32 clips scored against 512 pictures."""
    import torch

    from ves.base.cpu import use_cores
    from ves.models.towers import VeS
    from ves.similarity.pairwise import score
    from ves.training.dataset import PairReader, to_read

    use_cores(1, whole=True)
    config, data = harness.configured(corpus)
    reader, clips = PairReader(data, config.audio.seconds), to_read(data, "val")[:32]
    model = VeS(config.audio, config.model, reader.features.width, 0.05).eval()

    @torch.inference_mode()
    def embed() -> tuple[torch.Tensor, torch.Tensor]:
        return model.audio_tokens(*reader.waveforms(clips))

    audio, mask = embed()
    patches = torch.nn.functional.normalize(torch.randn(512, reader.features.patches, config.model.dim), dim=-1)
    return embed if what == "embed" else lambda: score({"max_mean": 1.0}, audio, mask, patches)


def serve(corpus: Path, row: Sequence[str]) -> None:
    """The far side: works for as many seconds as each line of standard input says; answers with units a second."""
    kind, what, way = row
    if way == "ours":
        wait_asleep()
    unit = {"training": training, "features": features, "evaluation": evaluation}[kind](corpus, what, way)
    for _ in range(5):
        unit()  # memory is taken, threads are started
    print("ready", flush=True)
    for line in sys.stdin:
        units, started = 0, time.perf_counter()
        while (spent := time.perf_counter() - started) < float(line):
            unit()
            units += 1
        print(units / spent, flush=True)


class Row:
    """The near side of one row of the tables."""

    def __init__(self, corpus: Path, names: Sequence[str]) -> None:
        command = [sys.executable, __file__, "--corpus", str(corpus), "--serve", *names]
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
        self.process = Popen(command, stdin=PIPE, stdout=PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
        self.name = " ".join(names)
        if self._line() != "ready":
            raise SystemExit(f"{self.name}: did not start; by hand: {' '.join(command)}")

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def start(self, seconds: float) -> None:
        """Let it work."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()

    def rate(self) -> float:
        """Units a second, once it has ended."""
        return float(self._line())

    def measure(self, seconds: float) -> float:
        """Both."""
        self.start(seconds)
        return self.rate()


@contextmanager
def beside(nicenesses: Sequence[int]) -> Iterator[None]:
    """Busy processes, which end with the block."""
    with ExitStack() as stack:
        for niceness in nicenesses:
            loop = stack.enter_context(Popen(["nice", "-n", str(niceness), *LOOP]))
            stack.callback(loop.kill)
        time.sleep(0.5 if nicenesses else 0.0)
        yield


def measure(corpus: Path, names: Sequence[str], repeats: int, seconds: float) -> list[str]:
    """The cells of one row."""
    conditions, rates = [*CONDITIONS, "another"], {}
    with ExitStack() as stack:
        rows = [Row(corpus, names) for _ in range(2)]
        for row in rows:
            stack.callback(row.process.kill)
        for _ in range(repeats):
            for condition in random.sample(conditions, len(conditions)):
                if condition == "another":
                    for row in rows:
                        row.start(seconds)
                    rate = statistics.mean(row.rate() for row in rows)
                else:
                    with beside(CONDITIONS[condition]):
                        rate = rows[0].measure(seconds)
                rates.setdefault(condition, []).append(rate)
    kept = [f"{harness.ratio(rates[name], rates['alone']):.2f}" for name in conditions[1:]]
    return [" ".join(names), f"{statistics.median(rates['alone']):.2f}", *kept]


def main() -> None:
    """Print the table as Markdown."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--corpus", type=Path, default=Path("data/scenes"))
    parser.add_argument("--only", default="", help="rows whose name has this in it")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.serve:
        serve(settings.corpus, settings.serve)
        return
    import torch

    print(f"{harness.today()}, {harness.processor()}, torch {torch.__version__}; ", end="")
    print(f"{settings.repeats} repeats of {settings.seconds} s")
    harness.header("", "alone, units/s", *list(CONDITIONS)[1:], "another")
    for names in ROWS:
        if settings.only in " ".join(names):
            harness.row(*measure(settings.corpus, names, settings.repeats, settings.seconds))


if __name__ == "__main__":
    main()
