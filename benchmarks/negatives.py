"""What more real negatives do to retrieval: the default dense run with larger true batches, at equal samples seen.

    python benchmarks/negatives.py [--data data/scenes] [--batches 32 128 512 1477] [--samples 12800] [--val 500]

Needs the default corpus with its features (`snakemake` makes them). Every run has the settings of `dense` in
config.yaml but for `batch_size`, its micro-batch (`--micro`, so the memory of the towers is the same in all) and the
learning rates, which grow with the square root of the batch (Malladi et al. 2022, for Adam), at most `--cap` times;
warm-up and decay are shares of the steps, so they fit themselves. The largest batch by default has as many clips as
half of the training images. The last row is the paper's accumulation: the second largest batch, with the negatives of
its micro-batches only. `tune` is what choices may be made on; `val`, its first `--val` clips by id, is reported.
"""

import platform
import time
from dataclasses import dataclass
from pathlib import Path

import harness
import torch

from ves.config.experiment import Config, DataPaths
from ves.config.train import TrainConfig
from ves.evaluation.retrieval.tune import recall
from ves.models.towers import VeS
from ves.training.checkpoint import seed_all
from ves.training.dataset import PairReader, batches, clips, to_read
from ves.training.optimiser import make_optimizer, set_learning_rate
from ves.training.train import optimise

COLUMNS = (
    *("batch", "negatives", "steps", "clips seen", "learning rate", "masked pairs, %"),
    *("tune R@10", "tune median rank", "val R@10", "val median rank", "s/clip"),
)


@dataclass(frozen=True)
class Corpus:
    """The configuration, where everything is, and how much of it a run sees."""

    config: Config
    paths: DataPaths
    samples: int
    val: int
    seed: int


def settings_of(train: TrainConfig, batch: int, negatives: str, micro: int, cap: float) -> TrainConfig:
    """The settings of a run with another batch."""
    factor = min(cap, (batch / train.batch_size) ** 0.5)
    rates = {"learning_rate": train.learning_rate, "backbone_learning_rate": train.backbone_learning_rate}
    changed = {"batch_size": batch, "micro_batch": min(micro, batch), "negatives": negatives}
    return train.model_copy(update=changed | {key: rate * factor for key, rate in rates.items()})


def run(corpus: Corpus, train: TrainConfig) -> list[object]:
    """Train and score one model; the cells of its row."""
    torch.set_num_threads(train.threads)
    seed_all(corpus.seed)
    reader, frame = PairReader(corpus.paths, corpus.config.audio.seconds), to_read(corpus.paths, "train")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = VeS(corpus.config.audio, corpus.config.model, reader.features.width, train.temperature).to(device).train()
    optimizer, steps = make_optimizer(model, train), max(1, round(corpus.samples / train.batch_size))
    stream = batches(reader, frame, train, seed=corpus.seed, first=0, last=steps, device=device)
    masked, started = 0.0, time.perf_counter()
    for step, batch in enumerate(stream):
        set_learning_rate(optimizer, train, step, steps)
        masked += optimise(model, optimizer, batch, train)["masked_pairs"] / steps
    spent = time.perf_counter() - started
    part = train.model_copy(update={"batch_size": train.micro_batch})  # of what is embedded at once
    frames = clips(corpus.paths, "tune"), clips(corpus.paths, "val")[: corpus.val]
    scores = [recall(model, reader, frame, part, device) for frame in frames]
    samples = steps * train.batch_size
    cells = [train.batch_size, train.negatives, steps, samples, f"{train.learning_rate:.2g}", f"{100 * masked:.3f}"]
    cells += [f"{value:.1f}" for score in scores for value in score.values()]
    return [*cells, f"{spent / samples:.4f}"]


def main() -> None:
    """Print the table, a row as soon as it is there."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/scenes"))
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 128, 512, 1477])
    parser.add_argument("--samples", type=int, default=12_800)
    parser.add_argument("--val", type=int, default=500)
    parser.add_argument("--micro", type=int, default=32)
    parser.add_argument("--cap", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=0)
    settings = parser.parse_args()
    config, paths = harness.configured(settings.data)
    corpus, train = Corpus(config, paths, settings.samples, settings.val, settings.seed), config.train_of("dense")
    print(f"{harness.today()}, {platform.machine()}, {train.threads} threads, torch {torch.__version__}")
    harness.header(*COLUMNS)
    runs = [(size, "batch") for size in settings.batches]
    runs += [(size, "micro_batch") for size in settings.batches[-2:-1]]
    for size, negatives in runs:
        harness.row(*run(corpus, settings_of(train, size, negatives, settings.micro, settings.cap)))


if __name__ == "__main__":
    main()
