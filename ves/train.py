"""Contrastive training of the speech tower and the visual adapter on cached patch tokens.

The loop at the bottom fits on a screen. `losses` is given a matrix, `model` returns tokens; only here do they meet.
"""

import json
import logging
import math
import time
from pathlib import Path

import polars as pl
import torch
from safetensors.torch import save_file
from torch import Tensor

from ves import checkpoint
from ves.config import RunConfig, TrainConfig
from ves.dataset import Batch, PairReader, batches, clips
from ves.files import atomic, lock
from ves.losses import LOSSES
from ves.model import VeS
from ves.optimiser import learning_rate_at, make_optimizer, steps_of
from ves.progress import track
from ves.retrieval import ranks, summary
from ves.similarity import SIMILARITIES, score

log = logging.getLogger(__name__)


def objective(model: VeS, batch: Batch, train: TrainConfig) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum of the run's losses over one micro-batch, and what to log of each term.

    All terms share one temperature, as in the reference code. `effective_scale` of a term is the standard deviation of
    its logits over the negatives: what the softmax of that term really sees of the shared scale.
    """
    audio, mask = model.audio_tokens(batch.waveform, batch.valid)
    image = model.image_tokens(batch.patches, batch.image_mask)
    scale = model.log_scale.exp()
    total, logged = torch.zeros((), device=audio.device), {}
    for name, weight in train.objective.items():
        logits = scale * SIMILARITIES[name](audio, mask, image, batch.image_mask).float()
        loss = LOSSES[train.loss](logits, batch.same_image)
        total = total + weight * loss
        logged[f"{name}/loss"] = loss.detach()
        logged[f"{name}/effective_scale"] = logits.detach()[~batch.same_image].std()
    return total, logged


@torch.no_grad()
def recall(
    model: VeS, reader: PairReader, frame: pl.DataFrame, train: TrainConfig, device: torch.device
) -> dict[str, float]:
    """A2V retrieval on `tune`, on which choices are made: R@10 in percent and the median rank."""
    model.eval()
    sound, masks, images = [], [], []
    rows = frame["image_row"].to_numpy()
    reader_mask = reader.patches(rows)[1]
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
    image_mask = None if reader_mask is None else reader_mask.to(device)
    scores = score(train.objective, torch.cat(sound), torch.cat(masks), torch.cat(images), image_mask)
    image_of = torch.from_numpy(rows.copy())
    found = summary(ranks(scores.cpu(), image_of[:, None] == image_of[None, :]))
    model.train()
    return {"tune/R@10": found["R@10"], "tune/median_rank": found["median_rank"]}


def autocast(train: TrainConfig, device: torch.device) -> torch.autocast:
    """bfloat16 where it is safe, or nothing for fp32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=train.precision == "bf16")


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


def optimise(model: VeS, optimizer: torch.optim.Optimizer, micro: list[Batch], train: TrainConfig) -> dict[str, float]:
    """One step over its micro-batches. Raises FloatingPointError before applying what is not finite."""
    device, entry = model.log_scale.device, {}
    optimizer.zero_grad(set_to_none=True)
    for batch in micro:
        with autocast(train, device):
            loss, logged = objective(model, batch.to(device), train)
        (loss / len(micro)).backward()
        for name, value in {"loss": loss.detach(), **logged}.items():
            entry[name] = entry.get(name, 0.0) + value.item() / len(micro)
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

    Writes log.jsonl, checkpoints/<identity>/ and, last, model.safetensors.
    """
    config = RunConfig.model_validate_json((run / "config.json").read_text(encoding="utf-8"))
    with lock(run / "train"):
        _train(run, config)


def _train(run: Path, config: RunConfig) -> None:
    settings = config.train
    torch.set_num_threads(settings.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    checkpoint.seed_all(config.seed)
    reader = PairReader(config.data, config.audio.seconds)
    frame, tune = clips(config.data, "train"), clips(config.data, "tune")
    steps = steps_of(settings, len(frame))
    model = VeS(config.audio, config.model, reader.features.width, settings.temperature).to(device).train()
    optimizer = make_optimizer(model, settings)
    folder = run / "checkpoints" / checkpoint.identity(config)
    first = checkpoint.resume(folder, model, optimizer)
    cut_log(run / "log.jsonl", first)
    log.info(
        "%s: %d steps of %d x %d clips, from step %d, on %s",
        config.run,
        steps,
        settings.accumulate,
        settings.batch_size,
        first,
        device,
    )
    stream = batches(
        reader,
        frame,
        batch_size=settings.batch_size,
        seed=config.seed,
        first=first * settings.accumulate,
        last=steps * settings.accumulate,
    )

    with open(run / "log.jsonl", "a", buffering=1) as lines:
        for step in track(range(first + 1, steps + 1), label=f"train {config.run}", unit="step"):
            started = time.perf_counter()
            micro = [next(stream) for _ in range(settings.accumulate)]
            waited = time.perf_counter() - started
            factor = learning_rate_at(step - 1, steps, settings.warmup)
            for group in optimizer.param_groups:
                group["lr"] = factor * group["initial_lr"]

            try:
                entry = {"step": step} | optimise(model, optimizer, micro, settings)
            except FloatingPointError as error:
                raise FloatingPointError(
                    f"{run}: step {step} is not finite ({error}); the last checkpoint is kept"
                ) from error

            # once in a while: recall on tune
            if step % settings.evaluate_every == 0 or step == steps:
                entry |= recall(model, reader, tune, settings, device)
            entry |= {
                "learning_rate": factor * settings.learning_rate,
                "seconds": time.perf_counter() - started,
                "data_wait": waited,
            }
            lines.write(json.dumps(entry) + "\n")

            # once in a while: a checkpoint
            if step % settings.checkpoint_every == 0 or step == steps:
                checkpoint.save(folder, step, model, optimizer, settings.keep_checkpoints)

    with atomic(run / "model.safetensors") as temporary:
        save_file(checkpoint.contiguous(model), temporary)
