"""Contrastive training of the speech tower and the visual adapter on cached patch tokens.

The loop at the bottom fits on a screen; ves.training.gradient_cache has the gradient of a step.
"""

import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch

from ves.base.cpu import keep_freed_memory
from ves.base.files import lock
from ves.base.precision import weights_of
from ves.base.signals import Stop, Stopped, on_signals
from ves.config.experiment import RunConfig, TrainConfig, run_config
from ves.models.towers import VeS
from ves.training import checkpoint
from ves.training.dataset import Batch, PairReader, batches, to_read
from ves.training.distributed import ALONE, Ranks, joined
from ves.training.divergence import Divergence
from ves.training.gradient_cache import gradient, rows, share_cores
from ves.training.hooks import Recall, Watching, bar
from ves.training.log import Times, open_log, publish
from ves.training.optimiser import make_optimizer, set_learning_rate, steps_of
from ves.training.recipe import recipe

log = logging.getLogger(__name__)


def optimise(
    model: VeS, optimizer: torch.optim.Optimizer, batch: Batch, train: TrainConfig, ranks: Ranks = ALONE
) -> dict[str, float]:
    """One step over a batch; what to log of it.

    Where loss or gradient is not finite, nothing moves, and `gradient_norm` is not finite.
    """
    optimizer.zero_grad(set_to_none=True)
    entry = gradient(model, batch, train, ranks)
    norm = torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], train.clip_norm)
    entry["gradient_norm"] = norm.item() if math.isfinite(entry["loss"]) else math.nan
    if math.isfinite(entry["gradient_norm"]):
        optimizer.step()
        with torch.no_grad():  # the parameter itself is clamped: a clamp in the forward would leave it stuck above
            model.log_scale.clamp_(max=math.log(train.max_scale))
    return entry | {"temperature": model.log_scale.detach().neg().exp().item()}


def train(run: Path, watching: Watching = bar, *, recall: Recall | None = None, fresh: bool = False) -> None:
    """Train the run described by <run>/config.json to its last step; goes on from its newest checkpoint.

    Writes checkpoints/ (ves.training.checkpoint), log.jsonl (while it trains, a link to the log there) and, last,
    model.safetensors. Raises Stopped, after a checkpoint, when a signal asked it to stop; ValueError when an unfinished
    training with other settings is there (`fresh` puts it aside first); FloatingPointError when it has diverged.
    `watching` is told of every step (ves.training.hooks), and `recall` asked for what to log of the model on tune.
    """
    config = run_config(run)
    with joined() as ranks, lock(run / "train") if ranks.first else nullcontext(), on_signals() as stop:
        ranks.wait()  # for the lock
        _train(run, config, watching, recall, fresh, stop, ranks)


@contextmanager
def _told(
    attempt: checkpoint.Attempt, first: int, watching: Watching, ranks: Ranks
) -> Iterator[Callable[[Mapping[str, float | int], VeS, PairReader], None]]:
    """What becomes of each step's entry: a line of the log, and whoever looks on. Only the first process has these."""
    if not ranks.first:
        yield lambda *_: None
        return
    run, folder = attempt.run, attempt.folder
    with open_log(run, folder, first) as lines, watching(run, attempt.config, folder, first, attempt.steps) as watch:

        def tell(entry: Mapping[str, float | int], model: VeS, reader: PairReader) -> None:
            lines.write(json.dumps({key: value for key, value in entry.items() if math.isfinite(value)}) + "\n")
            watch.step(entry, model, reader)

        yield tell


def _train(
    run: Path, config: RunConfig, watching: Watching, recall: Recall | None, fresh: bool, stop: Stop, ranks: Ranks
) -> None:
    settings, device = config.train, ranks.device
    keep_freed_memory()
    checkpoint.seed_all(config.seed)
    reader = PairReader(config.data, config.audio.seconds)
    frame, tune = to_read(config.data, "train"), to_read(config.data, "tune")
    attempt = checkpoint.Attempt(run, config, steps := steps_of(settings, len(frame)), recipe(config))
    with weights_of(settings.precision):
        model = VeS(config.audio, config.model, reader.features.width, settings.temperature).to(device).train()
    if settings.gradient_checkpointing:
        model.recompute_layers()
    share_cores(model, settings)
    optimizer = make_optimizer(model, settings)
    found = checkpoint.settle(attempt, fresh=fresh) if ranks.first else None
    ranks.wait()  # what is put aside is put aside
    found = found if ranks.first else checkpoint.settle(attempt, fresh=False)
    if ranks.first:
        checkpoint.tell_other_processor(found, device)
    first, counts = checkpoint.resume(found, model, optimizer)
    if first != ranks.of_first(first):
        raise ValueError(f"{run}: rank {ranks.rank} finds other checkpoints than rank 0: all must see one folder")
    size, own = settings.batch_size, rows(settings, ranks)
    log.info("%s: %d steps of %d clips, from %d, on %d x %s", config.run, steps, size, first, ranks.size, device)
    stream = batches(reader, frame, settings, seed=config.seed, first=first, last=steps, device=device, rows=own)
    divergence, times = Divergence(run, settings, steps, counts), Times()

    with _told(attempt, first, watching, ranks) as tell:
        if ranks.first:
            divergence.look_back(attempt.folder / "log.jsonl")
        for step in range(first + 1, steps + 1):
            times.start()
            batch = next(stream)
            entry: dict[str, float] = {"step": step, "data_wait": times.waited()}
            entry["learning_rate"] = set_learning_rate(optimizer, settings, step - 1, steps)
            entry |= optimise(model, optimizer, batch, settings, ranks)
            times.stepped()
            entry["skipped"] = divergence.see(step, entry)
            if recall is not None and ranks.first and (step % settings.evaluate_every == 0 or step == steps):
                entry |= recall(model, reader, tune, settings, device)
            entry["seconds"] = times.since_start()
            tell(entry, model, reader)
            stopping = ranks.any(bool(stop.asked))  # a signal may have reached one of them only
            due = stopping or step % settings.checkpoint_every == 0
            if ranks.first and (step == steps or (due and divergence.in_a_row == 0)):  # while it fails, the good stay
                checkpoint.save(attempt, step, model, optimizer, divergence.counts)
            if stopping and step < steps:
                raise Stopped(f"{run}: stopped by {stop.asked or 'a signal'} after step {step} of {steps}; run again")
    log.info("%s: waiting for data took %.2f %% of the time of the steps", config.run, 100 * times.share())
    if ranks.first:
        publish(run, attempt.folder, model)
