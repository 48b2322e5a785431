"""Checks that what people name on the command line exists, before anything that takes seconds is loaded.

Each function takes a path and raises ValueError that says what is missing, what is spelt like it, and what to do.
"""

import difflib
from collections.abc import Callable
from pathlib import Path

from ves.evaluation.checkpoint_folder import find

MODEL, EMBEDDINGS = "model.safetensors", "embeddings/val.zarr"


def _is_run(folder: Path) -> bool:
    return (folder / "config.json").is_file()


def _near(path: Path, fits: Callable[[Path], bool]) -> str:
    """A question that names the entry of the same folder which is spelt most like a missing path; empty if there is
    none."""
    beside = [other.name for other in path.parent.iterdir() if fits(other)] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, sorted(beside), n=1)
    return f"; did you mean {path.parent / near[0]}?" if near else ""


def file(path: Path) -> None:
    """A file of any kind."""
    if path.is_dir():
        raise ValueError(f"{path}: this is a folder, not a file")
    if not path.exists():
        raise ValueError(f"{path}: no such file{_near(path, Path.is_file)}")


def folder(path: Path) -> None:
    """A folder of any kind."""
    if not path.exists():
        raise ValueError(f"{path}: no such folder{_near(path, Path.is_dir)}")
    if not path.is_dir():
        raise ValueError(f"{path}: this is a file, not a folder")


def store(path: Path) -> None:
    """A folder that may be a store, complete or not."""
    if not path.exists():
        raise ValueError(f"{path}: no such store{_near(path, Path.is_dir)}")


def run(path: Path) -> None:
    """A run, trained or not: a folder with config.json."""
    if _is_run(path):
        return
    what = "there is no config.json in it" if path.is_dir() else "there is no such folder"
    remedy = _near(path, _is_run) or "; the workflow makes the runs that config.yaml names, as results/<corpus>/<run>"
    raise ValueError(f"{path}: not a run: {what}{remedy}")


def trained(path: Path) -> None:
    """A run that has a model."""
    run(path)
    if not (path / MODEL).is_file():
        raise ValueError(
            f"{path}: its training is not finished: there is no {MODEL} in it; run first: ves train {path}"
        )


def embedded(path: Path) -> None:
    """A run that has embeddings of its validation clips."""
    run(path)
    manifest = path / f"{EMBEDDINGS}.manifest.json"
    if not manifest.is_file():
        raise ValueError(
            f"{path}: its validation clips are not embedded: there is no {manifest}; "
            f"run first: ves embed {path} --split val --out {path / EMBEDDINGS}"
        )


def checkpoint(path: Path) -> None:
    """A checkpoint, or a folder of checkpoints."""
    if not path.exists():
        raise ValueError(f"{path}: no checkpoint: there is no such folder{_near(path, Path.is_dir)}")
    find(path)
