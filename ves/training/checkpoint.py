"""Checkpoints: whole or absent, the last few kept, and everything that a bitwise resume on the same machine needs.

    <run>/checkpoints/              one attempt: all of it is of one recipe (ves.training.recipe)
        step-<n>/                   written by ves.base.files.atomic
            model.safetensors       trainable weights
            state.pt                optimiser, random generators, count of skipped steps
            config.json             the configuration, so that any checkpoint can be scored
            checkpoint.json         written last: step of how many, the recipe, what computed it, sha256 of the above
        log.jsonl                   what was logged up to now
    <run>/checkpoints-archive-<n>/  an attempt that was put aside, as it was

A damaged checkpoint is never used: the one before it is, and that is said. Nothing here deletes an attempt: a changed
recipe is refused while the old one is unfinished, and a finished or given up one is moved aside by one rename. Another
processor (ves.training.processor) is no other recipe: the run goes on, and it is said that its weights are the same to
rounding.
"""

import logging
import random
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
    """One training of a run, from its first step to its last: what its checkpoints have in common."""

    run: Path
    config: RunConfig
    steps: int
    recipe: Recipe

    @property
    def folder(self) -> Path:
        """Where checkpoints and log lie, and whatever else belongs to this attempt alone."""
        return self.run / "checkpoints"


Found = tuple[Path, dict[str, Any]]  # a checkpoint, and what its checkpoint.json says
FILES = ("model.safetensors", "state.pt", "config.json")


def seed_all(seed: int) -> None:
    """Seed whatever anyone may draw from: weights, and the key of each step's draws (ves.training.randomness)."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def contiguous(model: VeS) -> dict[str, torch.Tensor]:
    """Trainable weights as safetensors wants them."""
    return {name: tensor.contiguous() for name, tensor in model.trainable().items()}


def save(attempt: Attempt, step: int, model: VeS, optimizer: torch.optim.Optimizer, counts: list[int]) -> None:
    """Write the checkpoint of a step, then delete what is older than the newest `keep_checkpoints` sound ones.

    The newest is whole before an older one goes. `counts` is given back by `resume`. The log of the steps up to here is
    on disk before it.
    """
    if (lines := attempt.folder / "log.jsonl").exists():
        sync_tree(lines)
    state = {"optimizer": optimizer.state_dict(), "random": torch.get_rng_state(), "counts": counts}
    written = attempt.folder / f"step-{step:08d}"
    with atomic(written) as temporary:
        temporary.mkdir()
        save_file(contiguous(model), temporary / "model.safetensors")
        torch.save(state, temporary / "state.pt")
        (temporary / "config.json").write_text(attempt.config.model_dump_json(indent=2) + "\n", encoding="utf-8")
        content: dict[str, Any] = {"step": step, "steps": attempt.steps, "recipe": attempt.recipe}
        content["processor"] = processor(model.log_scale.device)
        content["sha256"] = {name: digest(temporary / name) for name in FILES}
        write_json(temporary / "checkpoint.json", content)
    kept = 0
    for path in sorted(attempt.folder.glob("step-*"), reverse=True):
        if kept == attempt.config.train.keep_checkpoints:
            remove(path)
        elif path == written or _sound(path):
            kept += 1


def _read(path: Path) -> dict[str, Any]:
    """checkpoint.json of a checkpoint whose files are all whole. Raises ValueError that names one that is not."""
    try:
        content = read_json(path / "checkpoint.json")
        for name, expected in content["sha256"].items():
            if digest(path / name) != expected:
                raise ValueError(f"{path / name}: damaged: not what was written")
    except (OSError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: damaged: {error!r}") from error
    return content


def _sound(path: Path) -> bool:
    """Whether a checkpoint could be gone on from. Says what is damaged."""
    try:
        _read(path)
    except ValueError as error:
        log.warning("%s; it is not counted among those that are kept", error)
        return False
    return True


def newest(run: Path) -> Found | None:
    """The newest whole checkpoint and its checkpoint.json; None when there is none at all.

    Raises ValueError when there are some and every one is damaged.
    """
    found = sorted((run / "checkpoints").glob("step-*"), reverse=True)
    for path in found:
        try:
            return path, _read(path)
        except ValueError as error:
            log.warning("%s; going on without this checkpoint", error)
    if found:
        raise ValueError(
            f"{run / 'checkpoints'}: every checkpoint there is damaged; `ves train --fresh {run}` puts them aside and "
            "starts anew"
        )
    return None


def put_aside(run: Path, why: str) -> None:
    """Move the whole attempt to a new archive, in one step."""
    folder = run / "checkpoints"
    archive = next(path for n in count(1) if not (path := run / f"checkpoints-archive-{n}").exists())
    folder.rename(archive)
    log.warning("%s: %s; what was there is now %s, and training starts anew", folder, why, archive)


def settle(attempt: Attempt, *, fresh: bool) -> Found | None:
    """See to it that what lies in the attempt's folder may be gone on from.

    Returns the checkpoint to go on from, as `newest` does. `fresh` puts everything aside. Of another recipe, a finished
    attempt is put aside (its model is to be made anew), and an unfinished one is refused with ValueError that names
    what differs and the ways out.
    """
    run, folder = attempt.run, attempt.folder
    if fresh:
        if folder.is_dir() and any(folder.iterdir()):
            put_aside(run, "asked to start anew")
        return None
    if (found := newest(run)) is None or not (changed := differences(found[1]["recipe"], attempt.recipe)):
        return found
    path, content = found
    if content["step"] == content["steps"]:
        put_aside(run, f"finished with other settings ({'; '.join(changed)})")
        return None
    lines = [f"{path}: an unfinished training with other settings (step {content['step']} of {content['steps']}):"]
    lines += [f"  {line}" for line in changed]
    lines += [f"put these back to go on with it, or `ves train --fresh {run}` puts it aside and starts anew"]
    raise ValueError("\n".join(lines))


def tell_other_processor(found: Found | None, device: torch.device) -> None:
    """Say so where a checkpoint that keeps what it was computed on was written on something else."""
    if found is None or (before := found[1].get("processor")) is None:
        return
    if changed := differences(before, processor(device)):
        log.warning(
            "%s: written on another processor (%s); the run goes on, and its weights will equal those of a run that "
            "was never stopped to rounding only",
            found[0],
            "; ".join(changed),
        )


def resume(found: Found | None, model: VeS, optimizer: torch.optim.Optimizer) -> tuple[int, list[int]]:
    """Load a checkpoint into model, optimiser and generators.

    Returns the step to go on from and the counts saved with it; 0 and none when there is no checkpoint.
    """
    if found is None:
        return 0, []
    path, content = found
    model.load_trainable(load_file(path / "model.safetensors"), path / "model.safetensors")
    state = torch.load(path / "state.pt", weights_only=True, map_location=str(model.log_scale.device))
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"].cpu())  # all that training draws hangs on it (ves.training.randomness)
    return content["step"], state["counts"]
