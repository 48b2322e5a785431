"""Checkpoints: whole or absent, the last few kept, with all that a bitwise resume on the same machine needs; and last,
the model.

    <run>/checkpoints/              one attempt: all of it has one recipe (ves.training.recipe)
        step-<n>/                   written by ves.base.files.atomic
            model.safetensors       trainable weights
            state.pt                optimiser, random generator, counts of skipped steps
            config.json             the configuration, so that any checkpoint can be scored
            checkpoint.json         written last: the step, the number of steps, the recipe, the processor, and sha256
                                    of the files above
        log.jsonl                   the log up to now
    <run>/checkpoints-archive-<n>/  an earlier attempt, as it was

A damaged checkpoint is never used: a warning names it, and training resumes from the one before. Nothing here deletes
an attempt. With another recipe, an unfinished attempt is refused and a finished one is archived, by one rename. Another
processor (ves.training.processor) is not another recipe: training resumes, and a warning says that weights will be the
same to rounding only.
"""

import logging
import random
import shutil
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from ves.base.files import atomic, read_json, remove, sync_tree, write_json
from ves.config.experiment import RunConfig
from ves.models.towers import VeS
from ves.training.processor import processor
from ves.training.recipe import Recipe, differences, digest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """One training of a run, from its first step to its last: what all its checkpoints have in common."""

    run: Path
    config: RunConfig
    steps: int
    recipe: Recipe

    @property
    def folder(self) -> Path:
        """The folder of checkpoints, log and whatever else belongs to this attempt alone."""
        return self.run / "checkpoints"


type Checkpoint = tuple[Path, dict[str, Any]]  # its folder, and the content of its checkpoint.json
FILES = ("model.safetensors", "state.pt", "config.json")


def seed_all(seed: int) -> None:
    """Seed every global generator. New weights and the key of each step (ves.training.randomness) come from torch's."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def contiguous(model: VeS) -> dict[str, torch.Tensor]:
    """Trainable weights, contiguous in memory as safetensors requires."""
    return {name: tensor.contiguous() for name, tensor in model.trainable().items()}


def save_weights(model: VeS, path: Path) -> None:
    """Write the trainable weights, with the hash of the speech backbone in the header."""
    save_file(contiguous(model), path, metadata=model.header)


def save(attempt: Attempt, step: int, model: VeS, optimizer: torch.optim.Optimizer, counts: list[int]) -> None:
    """Write the checkpoint of a step, then delete those older than the newest `keep_checkpoints` intact ones.

    The new one is whole before an old one is deleted, and the log up to this step is on disk before the checkpoint.
    `load` returns `counts` as they are here.
    """
    if (lines := attempt.folder / "log.jsonl").exists():
        sync_tree(lines)
    state = {"optimizer": optimizer.state_dict(), "random": torch.get_rng_state(), "counts": counts}
    newest = attempt.folder / f"step-{step:08d}"
    with atomic(newest) as temporary:
        temporary.mkdir()
        save_weights(model, temporary / "model.safetensors")
        torch.save(state, temporary / "state.pt")
        (temporary / "config.json").write_text(attempt.config.model_dump_json(indent=2) + "\n", encoding="utf-8")
        content: dict[str, Any] = {"step": step, "steps": attempt.steps, "recipe": attempt.recipe}
        content["processor"] = processor(model.log_scale.device)
        content["sha256"] = {name: digest(temporary / name) for name in FILES}
        write_json(temporary / "checkpoint.json", content)
    intact = 0
    for path in sorted(attempt.folder.glob("step-*"), reverse=True):
        if intact == attempt.config.train.keep_checkpoints:
            remove(path)
        elif path == newest or _intact(path):
            intact += 1


def publish(attempt: Attempt, model: VeS) -> None:
    """Put the finished log into the run's folder, as a file that outlives the checkpoints, and last the model."""
    with atomic(attempt.run / "log.jsonl") as temporary:
        shutil.copyfile(attempt.folder / "log.jsonl", temporary)
    with atomic(attempt.run / "model.safetensors") as temporary:
        save_weights(model, temporary)


def _read(path: Path) -> dict[str, Any]:
    """checkpoint.json of a checkpoint whose files are all intact. Raises ValueError that names one that is not."""
    try:
        content = read_json(path / "checkpoint.json")
        for name, expected in content["sha256"].items():
            if digest(path / name) != expected:
                raise ValueError(f"{path / name}: damaged: its sha256 is not the one in checkpoint.json")
    except (OSError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: damaged: {error!r}") from error
    return content


def _intact(path: Path) -> bool:
    """Whether training could resume from a checkpoint. Logs what is damaged."""
    try:
        _read(path)
    except ValueError as error:
        log.warning("%s; it does not count towards train.keep_checkpoints", error)
        return False
    return True


def newest(run: Path) -> Checkpoint | None:
    """The newest intact checkpoint; None when there is no checkpoint at all.

    Raises ValueError when there are some and every one is damaged.
    """
    folders = sorted((run / "checkpoints").glob("step-*"), reverse=True)
    for path in folders:
        try:
            return path, _read(path)
        except ValueError as error:
            log.warning("%s; this checkpoint is not used", error)
    if folders:
        raise ValueError(
            f"{run / 'checkpoints'}: every checkpoint there is damaged; `ves train --fresh {run}` archives them and "
            "starts over"
        )
    return None


def archive(run: Path, why: str) -> None:
    """Rename the folder of the whole attempt to that of a new archive."""
    folder = run / "checkpoints"
    target = next(path for n in count(1) if not (path := run / f"checkpoints-archive-{n}").exists())
    folder.rename(target)
    log.warning("%s: %s; that training is now in %s, and a new one starts", folder, why, target)


def choose(attempt: Attempt, *, fresh: bool) -> Checkpoint | None:
    """The checkpoint that training must resume from, once the attempt's folder has none of another recipe.

    Returns None where training starts from its first step. `fresh` archives whatever is there. With another recipe, a
    finished attempt is archived, since its model has to be trained again. An unfinished one raises ValueError that
    names what differs and the ways out.
    """
    run, folder = attempt.run, attempt.folder
    if fresh:
        if folder.is_dir() and any(folder.iterdir()):
            archive(run, "--fresh")
        return None
    if (last := newest(run)) is None or not (changed := differences(last[1]["recipe"], attempt.recipe)):
        return last
    path, content = last
    if content["step"] == content["steps"]:
        archive(run, f"finished with other settings ({'; '.join(changed)})")
        return None
    lines = [f"{path}: an unfinished training with other settings (step {content['step']} of {content['steps']}):"]
    lines += [f"  {line}" for line in changed]
    lines += [f"put these back to resume it, or `ves train --fresh {run}` archives it and starts over"]
    raise ValueError("\n".join(lines))


def warn_of_other_processor(checkpoint: Checkpoint | None, device: torch.device) -> None:
    """Log a warning where the checkpoint says that another processor wrote it."""
    if checkpoint is None or (before := checkpoint[1].get("processor")) is None:
        return
    if changed := differences(before, processor(device)):
        log.warning(
            "%s: written on another processor (%s); training resumes, but its weights will equal those of an "
            "uninterrupted run to rounding only",
            checkpoint[0],
            "; ".join(changed),
        )


def load(checkpoint: Checkpoint | None, model: VeS, optimizer: torch.optim.Optimizer) -> tuple[int, list[int]]:
    """Load a checkpoint into model, optimiser and generator.

    Returns its step and the counts saved with it; 0 and none when there is no checkpoint.
    """
    if checkpoint is None:
        return 0, []
    path, content = checkpoint
    model.load_trainable(load_file(path / "model.safetensors"), path / "model.safetensors")
    state = torch.load(path / "state.pt", weights_only=True, map_location=str(model.log_scale.device))
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"].cpu())  # every step's key comes from it (ves.training.randomness)
    return content["step"], state["counts"]
