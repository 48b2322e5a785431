"""Contrastive training of the speech tower and the visual adapter on cached patch tokens.

The loop at the bottom fits on a screen; ves.contrast has the gradient of a step.
"""

import json
import logging
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TextIO

import polars as pl
import torch
from safetensors.torch import save_file

from ves import checkpoint
from ves.allocation import keep_freed_memory
from ves.config import RunConfig, TrainConfig
from ves.contrast import autocast, gradient, rows
from ves.dataset import Batch, PairReader, batches, to_read
from ves.divergence import Divergence
from ves.files import atomic, lock, remove
from ves.model import VeS
from ves.optimiser import make_optimizer, set_learning_rate, steps_of
from ves.precision import weights_of
from ves.ranks import ALONE, Ranks, joined
from ves.recipe import recipe
from ves.retrieval import ranks, summary
from ves.similarity import score
from ves.stopping import Stop, Stopped, on_signals
from ves.watcher import Watching, bar

log = logging.getLogger(__name__)


@torch.no_grad()
def recall(
    model: VeS, reader: PairReader, frame: pl.DataFrame, train: TrainConfig, device: torch.device
) -> dict[str, float]:
    """A2V retrieval on `tune`, on which choices are made: R@10 in percent and the median rank.

    Scores are fp32 at least, as evaluation's: in bfloat16 short clips tie, in the model's favour (half the time,
    3 s of a run).
    """
    model.eval()
    sound, masks, images = [], [], []
    rows = frame["image_row"].to_numpy(writable=True)
    for start in range(0, len(frame), train.batch_size):
        part = slice(start, start + train.batch_size)
        waveform, valid = reader.waveforms(frame[part])
        patches, mask = reader.patches(rows[part])
        with autocast(train, device):
            tokens, audible = model.audio_tokens(waveform.to(device), valid.to(device))
            image = model.image_tokens(patches.to(device), None if mask is None else mask.to(device))
        sound.append(tokens)
        masks.append(audible)
        images.append(image)
    image_mask = None if reader.masks is None else reader.masks[rows].to(device)
    scores = score(train.objective, torch.cat(sound), torch.cat(masks), torch.cat(images), image_mask)
    image_of = torch.from_numpy(rows)
    found = summary(ranks(scores.cpu(), image_of[:, None] == image_of[None, :]))
    model.train()
    return {"tune/R@10": found["R@10"], "tune/median_rank": found["median_rank"]}


def open_log(run: Path, folder: Path, step: int) -> TextIO:
    """The log beside the checkpoints of an attempt, cut after `step`; a link shows it as <run>/log.jsonl."""
    folder.mkdir(parents=True, exist_ok=True)
    cut_log(folder / "log.jsonl", step)
    link = run / "log.jsonl.link"
    remove(link)
    link.symlink_to((folder / "log.jsonl").relative_to(run))
    link.replace(run / "log.jsonl")  # in one step: there always is a log to read
    return open(folder / "log.jsonl", "a", buffering=1, encoding="utf-8")


def publish(run: Path, folder: Path, model: VeS) -> None:
    """Put the finished log, as a file that outlives the checkpoints, and last the model into the run's directory."""
    with atomic(run / "log.jsonl") as temporary:
        shutil.copyfile(folder / "log.jsonl", temporary)
    with atomic(run / "model.safetensors") as temporary:
        save_file(checkpoint.contiguous(model), temporary)


def cut_log(path: Path, step: int) -> None:
    """Drop the lines of steps after the checkpoint: they will be made again. Warns of steps that it should have.

    Raises ValueError that names a line which is damaged; the last one may be cut off.
    """
    if not path.exists():
        return
    kept = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(keepends=True), 1):
        if not line.endswith("\n"):
            break
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(f"{path}: line {number} is damaged ({error!r}); delete that line and go on") from error
    if len(kept) != step:
        log.warning("%s: it has %d of the %d steps up to the checkpoint; the others were lost", path, len(kept), step)
    with atomic(path) as temporary:
        temporary.write_text("".join(kept), encoding="utf-8")


class Times:
    """How long steps take, evaluation aside, and how much of that is waiting for data (seconds)."""

    def __init__(self) -> None:
        self._started = self._waiting = self._steps = 0.0

    def start(self) -> None:
        """A step begins."""
        self._started = time.perf_counter()

    def since_start(self) -> float:
        """Since the step began."""
        return time.perf_counter() - self._started

    def waited(self) -> float:
        """Its data are there; how long that took."""
        self._waiting += (wait := self.since_start())
        return wait

    def stepped(self) -> None:
        """The weights have moved."""
        self._steps += self.since_start()

    def share(self) -> float:
        """Of the time of all steps, what was waiting."""
        return self._waiting / self._steps if self._steps else 0.0


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


def train(run: Path, watching: Watching = bar, *, fresh: bool = False) -> None:
    """Train the run described by <run>/config.json to its last step; goes on from its newest checkpoint.

    Writes checkpoints/ (ves.checkpoint), log.jsonl (while it trains, a link to the log there) and, last,
    model.safetensors. Raises Stopped, after a checkpoint, when a signal asked it to stop; ValueError when an unfinished
    training with other settings is there (`fresh` puts it aside first); FloatingPointError when it has diverged.
    `watching` is told of every step (ves.watcher).
    """
    config = RunConfig.model_validate_json((run / "config.json").read_text(encoding="utf-8"))
    with joined() as ranks, lock(run / "train") if ranks.first else nullcontext(), on_signals() as stop:
        ranks.wait()  # for the lock
        _train(run, config, watching, fresh, stop, ranks)


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


def _train(run: Path, config: RunConfig, watching: Watching, fresh: bool, stop: Stop, ranks: Ranks) -> None:
    settings, device = config.train, ranks.device
    torch.set_num_threads(settings.threads)
    keep_freed_memory()
    checkpoint.seed_all(config.seed)
    reader = PairReader(config.data, config.audio.seconds)
    frame, tune = to_read(config.data, "train"), to_read(config.data, "tune")
    attempt = checkpoint.Attempt(run, config, steps := steps_of(settings, len(frame)), recipe(config))
    with weights_of(settings):
        model = VeS(config.audio, config.model, reader.features.width, settings.temperature).to(device).train()
    if settings.gradient_checkpointing:
        model.recompute_layers()
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
            if ranks.first and (step % settings.evaluate_every == 0 or step == steps):
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
