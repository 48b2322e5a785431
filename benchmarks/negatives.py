"""What more real negatives do to retrieval: the default dense run with larger true batches, at equal samples seen.

    python benchmarks/negatives.py [--data data/scenes] [--batches 32 128 512 1477] [--samples 12800] [--val 500]

Needs the default corpus with its features (`snakemake` makes them). Every run has the settings of `dense` in
config.yaml but for `batch_size`, its micro-batch (`--micro`, so the memory of the towers is the same in all) and the
learning rates, which grow with the square root of the batch (Malladi et al. 2022, for Adam), at most `--cap` times;
warm-up and decay are shares of the steps, so they fit themselves. The largest batch by default has as many clips as
half of the training images. The last row is the paper's accumulation: the second largest batch, with the negatives of
its micro-batches only. `tune` is what choices may be made on; `val`, its first `--val` clips by id, is reported.
"""

import argparse
import platform
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from ves.config.check import read_yaml, validate
from ves.config.experiment import Config, DataPaths, TrainConfig, features_name
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
    """Where everything is, and what was asked for."""

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


def run(corpus: Corpus, train: TrainConfig) -> str:
    """Train and score one model; its row of the table."""
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
    seen = steps * train.batch_size
    cells = [train.batch_size, train.negatives, steps, seen, f"{train.learning_rate:.2g}", f"{100 * masked:.3f}"]
    cells += [f"{value:.1f}" for score in scores for value in score.values()]
    return f"| {' | '.join(map(str, [*cells, f'{spent / seen:.4f}']))} |"


def main() -> None:
    """Print the table, a row as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/scenes"))
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 128, 512, 1477])
    parser.add_argument("--samples", type=int, default=12_800)
    parser.add_argument("--val", type=int, default=500)
    parser.add_argument("--micro", type=int, default=32)
    parser.add_argument("--cap", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    config = validate(read_yaml(Path("config.yaml")), [Path("config.yaml")])
    files = {name: str(given.data / f"{name}.parquet") for name in ("manifest", "splits", "images")}
    store = given.data / "features" / f"{features_name(config.vision)}.zarr"
    paths = DataPaths(
        corpus=config.corpus.name, audio=str(given.data / "audio.zarr"), features=str(store), live=False, **files
    )
    corpus, train = Corpus(config, paths, given.samples, given.val, given.seed), config.train_of("dense")
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {train.threads} threads, torch {torch.__version__}\n")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    runs = [(size, "batch") for size in given.batches]
    runs += [(size, "micro_batch") for size in given.batches[-2:-1]]
    for size, negatives in runs:
        print(run(corpus, settings_of(train, size, negatives, given.micro, given.cap)), flush=True)


if __name__ == "__main__":
    main()
