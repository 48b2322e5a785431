"""Contrastive training of the speech tower and the visual adapter on cached patch tokens.

The loop at the bottom fits on a screen; ves.contrast has the gradient of a step.
"""

import json
import logging
import math
import os
import shutil
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TextIO

import polars as pl
import torch
from safetensors.torch import save_file

from ves import checkpoint
from ves.config import RunConfig, TrainConfig
from ves.contrast import autocast, gradient, rows
from ves.dataset import Batch, PairReader, batches, clips
from ves.files import atomic, lock, remove
from ves.model import VeS
from ves.optimiser import make_optimizer, set_learning_rate, steps_of
from ves.progress import track
from ves.ranks import ALONE, Ranks, joined
from ves.retrieval import ranks, summary
from ves.similarity import score

log = logging.getLogger(__name__)


@torch.no_grad()
def recall(
    model: VeS, reader: PairReader, frame: pl.DataFrame, train: TrainConfig, device: torch.device
) -> dict[str, float]:
    """A2V retrieval on `tune`, on which choices are made: R@10 in percent and the median rank."""
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
    """The log beside the checkpoints of one identity, cut after `step`; a link shows it as <run>/log.jsonl."""
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
    """Drop the lines of steps after the checkpoint: they will be made again."""
    if path.exists():
        kept = [
            line
            for line in path.read_text().splitlines(keepends=True)
            if line.endswith("\n") and json.loads(line)["step"] <= step
        ]
        with atomic(path) as temporary:
            temporary.write_text("".join(kept))


def optimise(
    model: VeS, optimizer: torch.optim.Optimizer, batch: Batch, train: TrainConfig, ranks: Ranks = ALONE
) -> dict[str, float]:
    """One step over a batch; what to log of it. Raises FloatingPointError before applying what is not finite."""
    optimizer.zero_grad(set_to_none=True)
    entry = gradient(model, batch, train, ranks)
    norm = torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], train.clip_norm)
    entry["gradient_norm"] = norm.item()
    if not math.isfinite(entry["loss"] + entry["gradient_norm"]):
        raise FloatingPointError(f"loss {entry['loss']}, gradient norm {entry['gradient_norm']}")
    optimizer.step()
    with torch.no_grad():  # the parameter itself is clamped: a clamp in the forward would leave it stuck above
        model.log_scale.clamp_(max=math.log(train.max_scale))
    return entry | {"temperature": model.log_scale.detach().neg().exp().item()}


def train(run: Path) -> None:
    """Train the run described by <run>/config.json to its last step; goes on from its newest checkpoint.

    Writes checkpoints/<identity>/, log.jsonl (while it trains, a link to the log there) and, last, model.safetensors.
    """
    config = RunConfig.model_validate_json((run / "config.json").read_text(encoding="utf-8"))
    with joined() as ranks, lock(run / "train") if ranks.first else nullcontext():
        ranks.wait()  # for the lock
        _train(run, config, ranks)


def _train(run: Path, config: RunConfig, ranks: Ranks) -> None:
    settings, device = config.train, ranks.device
    torch.set_num_threads(settings.threads)
    checkpoint.seed_all(config.seed)
    reader = PairReader(config.data, config.audio.seconds)
    frame, tune = clips(config.data, "train"), clips(config.data, "tune")
    steps, size = steps_of(settings, len(frame)), settings.batch_size
    model = VeS(config.audio, config.model, reader.features.width, settings.temperature).to(device).train()
    if settings.gradient_checkpointing:
        model.recompute_layers()
    optimizer = make_optimizer(model, settings)
    folder = run / "checkpoints" / checkpoint.identity(config)
    first = checkpoint.resume(folder, model, optimizer)
    if first != ranks.of_first(first):
        raise ValueError(f"{folder}: rank {ranks.rank} finds other checkpoints than rank 0: all must see one folder")
    log.info("%s: %d steps of %d clips, from %d, on %d x %s", config.run, steps, size, first, ranks.size, device)
    own = rows(settings, ranks)
    stream = batches(reader, frame, batch_size=size, seed=config.seed, first=first, last=steps, rows=own)

    with open_log(run, folder, first) if ranks.first else open(os.devnull, "w") as lines:
        numbers = range(first + 1, steps + 1)
        for step in track(numbers, label=f"train {config.run}", unit="step") if ranks.first else numbers:
            started = time.perf_counter()
            batch = next(stream)
            entry: dict[str, float] = {"step": step, "data_wait": time.perf_counter() - started}
            entry["learning_rate"] = set_learning_rate(optimizer, settings, step - 1, steps)
            try:
                entry |= optimise(model, optimizer, batch, settings, ranks)
            except FloatingPointError as error:
                message = f"{run}: step {step} is not finite ({error}); the last checkpoint is kept"
                raise FloatingPointError(message) from error
            if ranks.first and (step % settings.evaluate_every == 0 or step == steps):
                entry |= recall(model, reader, tune, settings, device)
            lines.write(json.dumps(entry | {"seconds": time.perf_counter() - started}) + "\n")
            if ranks.first and (step % settings.checkpoint_every == 0 or step == steps):
                checkpoint.save(folder, step, model, optimizer, settings.keep_checkpoints)
    if ranks.first:
        publish(run, folder, model)
