"""Which folder a path to a checkpoint means: known from the names of files alone, before anything is loaded.

A checkpoint is a folder with model.safetensors; its configuration is the nearest config.json upwards from there.
"""

from pathlib import Path

WEIGHTS = "model.safetensors"


def find(checkpoint: Path) -> tuple[Path, Path]:
    """(folder of config.json, folder of the weights) for a step-<n>/ folder, a run, or a folder of checkpoints.

    A run stands for its model or, without one, for its newest checkpoint; a folder of checkpoints for its newest.
    Raises ValueError that says what is missing.
    """
    above = [checkpoint.absolute(), *checkpoint.absolute().parents]
    if not (runs := [folder for folder in above if (folder / "config.json").is_file()]):
        raise ValueError(f"{checkpoint}: no checkpoint: neither it nor a folder above it has the config.json of a run")
    if (checkpoint / WEIGHTS).is_file():
        return runs[0], checkpoint
    folder = checkpoint / "checkpoints" if checkpoint.absolute() == runs[0] else checkpoint
    steps = [path.parent for path in folder.glob(f"**/step-*/{WEIGHTS}")]
    if not steps:
        raise ValueError(f"{checkpoint}: no checkpoint: it has no {WEIGHTS}, and there is no {folder}/**/step-*/")
    newest = max(steps, key=lambda path: (path.stat().st_mtime_ns, path.name))  # of all attempts, the last one
    return find(newest)
