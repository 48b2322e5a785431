"""Contrastive training of the speech tower and the visual adapter on cached patch tokens.

The loop at the bottom fits on a screen. The objective of a step is in ves.training.objective, its gradient in
ves.training.gradient_cache.
"""

import logging
import math
from contextlib import nullcontext
from pathlib import Path

import torch

from ves.base.cpu import keep_freed_memory
from ves.base.files import lock
from ves.base.precision import weights_of
from ves.base.signals import Stop, Stopped, on_signals
from ves.config.experiment import RunConfig, run_config
from ves.config.train import TrainConfig
from ves.models.towers import VeS, new_model
from ves.training import checkpoint
from ves.training.dataset import Batch, PairReader, batches, to_read
from ves.training.distributed import ALONE, World, join_world
from ves.training.divergence import Divergence
from ves.training.gradient_cache import gradient, own_rows, share_cores
from ves.training.hooks import Recall, Watching, bar
from ves.training.log import Times, reports
from ves.training.optimiser import clip, make_optimizer, set_pace, steps_of, warn_of_few_steps
from ves.training.recipe import recipe
from ves.training.schedules import check

log = logging.getLogger(__name__)


def optimise(
    model: VeS, optimizer: torch.optim.Optimizer, batch: Batch, settings: TrainConfig, world: World = ALONE
) -> dict[str, float]:
    """Take one step over a batch; returns its metrics.

    Where loss or gradient is not finite, no weight changes, and `gradient_norm` is not finite.
    """
    optimizer.zero_grad(set_to_none=True)
    metrics = gradient(model, batch, settings, world)
    norm = clip([parameter for parameter in model.parameters() if parameter.requires_grad], settings)
    metrics["gradient_norm"] = norm.item() if math.isfinite(metrics["loss"]) else math.nan
    if math.isfinite(metrics["gradient_norm"]):
        optimizer.step()
        with torch.no_grad():  # the parameter itself is clamped: a clamp in the forward would leave it stuck above
            model.log_scale.clamp_(min=math.log(settings.min_scale), max=math.log(settings.max_scale))
    return metrics | {"temperature": model.log_scale.detach().neg().exp().item()}


def train(run: Path, watching: Watching = bar, *, recall: Recall | None = None, fresh: bool = False) -> None:
    """Train the run described by <run>/config.json to its last step, from its newest checkpoint if there is one.

    Writes checkpoints/ (ves.training.checkpoint), log.jsonl (during training, a link to the log there) and, last,
    model.safetensors. `watching` opens what is called after every step, `recall` measures the model on tune (both:
    ves.training.hooks).

    Raises Stopped, after a checkpoint, when a signal asked it to stop; ValueError when there is an unfinished training
    with other settings (`fresh` archives it first); FloatingPointError when training has diverged.
    """
    config = run_config(run)
    with join_world() as world, lock(run / "train") if world.is_main else nullcontext(), on_signals() as stop:
        world.barrier()  # until the main process has the lock
        _train(run, config, watching, recall, fresh, stop, world)


def _new_model(config: RunConfig, patch_width: int, device: torch.device) -> VeS:
    """The model before its first step."""
    with weights_of(config.train.precision):
        model = new_model(config, patch_width).to(device).train()
    if config.train.gradient_checkpointing:
        model.recompute_layers()
    return model


def _resume(
    attempt: checkpoint.Attempt, fresh: bool, model: VeS, optimizer: torch.optim.Optimizer, world: World
) -> tuple[int, list[int]]:
    """Load the checkpoint that training continues from, if there is one; returns its step (or 0) and its counts.

    Raises ValueError when the processes do not see the same checkpoint, and as `checkpoint.choose` does.
    """
    chosen = checkpoint.choose(attempt, fresh=fresh) if world.is_main else None
    world.barrier()  # until the main process has archived what has to go
    if world.is_main:
        checkpoint.warn_of_other_processor(chosen, world.device)
    else:
        chosen = checkpoint.choose(attempt, fresh=False)
    step, counts = checkpoint.load(chosen, model, optimizer)
    if step != world.broadcast(step):
        raise ValueError(
            f"{attempt.run}: rank {world.rank} sees other checkpoints than rank 0; give all processes the same folder"
        )
    return step, counts


def _train(
    run: Path, config: RunConfig, watching: Watching, recall: Recall | None, fresh: bool, stop: Stop, world: World
) -> None:
    # Once, before the first step: data, model and optimiser, then the newest checkpoint into them.
    settings = config.train
    keep_freed_memory()
    checkpoint.seed_all(config.seed)
    reader = PairReader(config.data, config.audio.seconds)
    train_clips, tune_clips = to_read(config.data, "train"), to_read(config.data, "tune")
    steps = steps_of(settings, len(train_clips))
    check(settings, steps)
    attempt = checkpoint.Attempt(run, config, steps, recipe(config))
    model = _new_model(config, reader.features.width, world.device)
    share_cores(model, settings)
    optimizer = make_optimizer(model, settings)
    done, counts = _resume(attempt, fresh, model, optimizer, world)
    divergence, times = Divergence(run, settings, steps, counts), Times()
    rows, device = own_rows(settings, world), world.device
    stream = batches(reader, train_clips, settings, seed=config.seed, first=done, last=steps, device=device, rows=rows)
    numbers = (steps, settings.batch_size, done, world.size)
    log.info("%s: %d steps of %d clips, from %d, on %d x %s", config.run, *numbers, device)
    if world.is_main:
        warn_of_few_steps(run, settings, steps, len(train_clips))

    with reports(attempt, done, watching, world) as report:
        if world.is_main:
            divergence.look_back(attempt.folder / "log.jsonl")

        for step in range(done + 1, steps + 1):
            # Each step: a batch, its gradient, the weights.
            times.start()
            batch = next(stream)
            entry: dict[str, float] = {"step": step, "data_wait": times.waited()}
            entry |= set_pace(model, optimizer, settings, step - 1, steps)
            entry |= optimise(model, optimizer, batch, settings, world)
            times.stepped()
            entry["skipped"] = divergence.see(step, entry)

            # Every evaluate_every steps, and at the last: retrieval on tune.
            if recall is not None and world.is_main and (step % settings.evaluate_every == 0 or step == steps):
                entry |= recall(model, reader, tune_clips, settings, device)

            # Each step: the log, the progress bar and whatever else watches.
            entry["seconds"] = times.since_start()
            report(entry, model, reader)

            # Every checkpoint_every steps, at the last, and when a signal came; not while steps fail.
            stopping = world.any(bool(stop.asked))  # the signal may have reached one process only
            due = stopping or step % settings.checkpoint_every == 0
            if world.is_main and (step == steps or (due and divergence.in_a_row == 0)):
                checkpoint.save(attempt, step, model, optimizer, divergence.counts)
            if stopping and step < steps:
                raise Stopped(f"{run}: stopped by {stop.asked or 'a signal'} after step {step} of {steps}; run again")

    # Once, after the last step: the log and the model into the run's folder.
    log.info("%s: waiting for data took %.2f %% of the time of the steps", config.run, 100 * times.share())
    if world.is_main:
        checkpoint.publish(attempt, model)
