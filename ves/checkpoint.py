"""Checkpoints: whole or absent, the last few kept, and everything that a bitwise resume needs.

A checkpoint is a directory `step-<n>/` of weights (safetensors) and state (optimiser, random generators), written by
`ves.files.atomic`. It holds for one experiment only: checkpoints and their log live under `checkpoints/<identity>/`,
where the identity is a hash of what decides the weights. A changed experiment therefore starts anew and never touches
the checkpoints of the old one; changed back, it goes on from them. What is written how often changes no experiment.
"""

import hashlib
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from ves.config import TRAINING, RunConfig
from ves.files import atomic, remove
from ves.live import records
from ves.model import VeS

BOOKKEEPING = {"keep_checkpoints", "checkpoint_every", "evaluate_every"}  # of `train`; no weight depends on these


def identity(config: RunConfig) -> str:
    """Hash of what decides the weights: version of the code, configuration, data, a local backbone's weights.

    The data are the clips with their splits and the manifests of both stores, by content: where they lie, how the run
    is called and its bookkeeping are left out, so that editing these goes on from the newest checkpoint.
    """
    decisive = config.model_dump_json(exclude={"run": True, "data": True, "train": BOOKKEEPING})
    digest = hashlib.sha256(f"{TRAINING} {decisive}".encode())
    data, weights = config.data, Path(config.audio.backbone) / "model.safetensors"
    stores = (Path(f"{data.audio}.manifest.json"), *records(data))
    for path in (Path(data.manifest), Path(data.splits), *stores, weights):
        if path.exists() or path != weights:  # a backbone of the hub is named by its revision
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def seed_all(seed: int) -> None:
    """Seed every generator that `random_state` saves."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def random_state() -> dict[str, Any]:
    """State of every generator that training draws from (HuBERT's masking and layer drop use numpy's global one)."""
    _, keys, position, has_gauss, gauss = np.random.get_state()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [keys.tolist(), int(position), int(has_gauss), float(gauss)],  # lists load with weights_only
        "python": list(random.getstate()[1]),
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Put back what `random_state` took."""
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state(("MT19937", np.array(keys, dtype=np.uint32), position, has_gauss, gauss))
    random.setstate((3, tuple(state["python"]), None))


def save(folder: Path, step: int, model: VeS, optimizer: torch.optim.Optimizer, keep: int) -> None:
    """Write `step-<n>/`, then delete all but the `keep` newest: the newest is whole before an older one goes."""
    with atomic(folder / f"step-{step:08d}") as temporary:
        temporary.mkdir()
        save_file(contiguous(model), temporary / "model.safetensors")
        torch.save({"optimizer": optimizer.state_dict(), "random": random_state()}, temporary / "state.pt")
    for old in sorted(folder.glob("step-*"))[:-keep]:
        remove(old)


def contiguous(model: VeS) -> dict[str, torch.Tensor]:
    """Trainable weights as safetensors wants them."""
    return {name: tensor.contiguous() for name, tensor in model.trainable().items()}


def resume(folder: Path, model: VeS, optimizer: torch.optim.Optimizer) -> int:
    """Load the newest checkpoint into model, optimiser and generators; the step to go on from (0: there is none)."""
    if not (newest := max(folder.glob("step-*"), default=None)):
        return 0
    model.load_trainable(load_file(newest / "model.safetensors"), newest / "model.safetensors")
    device = str(model.log_scale.device)
    state = torch.load(newest / "state.pt", weights_only=True, map_location=device)
    optimizer.load_state_dict(state["optimizer"])
    state["random"]["torch"] = state["random"]["torch"].cpu()
    set_random_state(state["random"])
    return int(newest.name.removeprefix("step-"))
