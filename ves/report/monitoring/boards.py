"""Where a training is shown besides log.jsonl: TensorBoard and Weights & Biases, each only on request.

After a resume the same run continues. TensorBoard discards what was logged after the checkpoint (purge_step).
Weights & Biases is not sent a step again that it has: the step is the same to the last bit. Offline it is unknown what
it has, possibly nothing after a kill, so the log up to the checkpoint is sent once more. The id of its run lies beside
the checkpoints (wandb.json), so that a training that starts anew is a new run there too.

Both are optional: their packages are the extra `watch` of pyproject.toml, and are imported only when they are used.
"""

import json
import secrets
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ves.base.files import read_json, write_json
from ves.config.display import LogConfig, WandbConfig
from ves.config.experiment import RunConfig


def _lacking(package: str, key: str, error: ImportError) -> ValueError:
    return ValueError(
        f"log.{key}: the package {package} is not installed here ({error}); install it (`pip install 'ves[watch]'`, or "
        f"all of requirements.lock), or switch log.{key} off in config.yaml"
    )


class TensorBoard:
    """Event files in `folder`, for `tensorboard --logdir results`."""

    def __init__(self, folder: Path, first: int) -> None:
        try:
            from torch.utils.tensorboard.writer import SummaryWriter  # takes seconds, and most runs do not need it
        except ImportError as error:
            raise _lacking("tensorboard", "tensorboard", error) from None
        self.writer = SummaryWriter(str(folder), purge_step=first + 1)

    def __enter__(self) -> "TensorBoard":
        return self

    def __exit__(self, *error: object) -> None:
        self.writer.close()

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def pictures(self, step: int, pages: Mapping[str, Image.Image]) -> None:
        for name, page in pages.items():
            self.writer.add_image(f"heatmaps/{name}", np.asarray(page), step, dataformats="HWC")


class Wandb:
    """A run of Weights & Biases; its files on this disk are in `folder`/wandb/."""

    def __init__(self, settings: WandbConfig, config: RunConfig, folder: Path) -> None:
        """Raises ValueError when the package is absent or the server refuses."""
        try:
            wandb: Any = import_module("wandb")
        except ImportError as error:
            raise _lacking("wandb", "wandb", error) from None
        self.picture = wandb.Image
        about: dict[str, Any] = {
            "project": settings.project,
            "name": settings.name or config.run,
            "group": config.data.corpus,
            "tags": settings.tags,
            "notes": settings.notes,
            "mode": settings.mode,
        }
        quiet = wandb.Settings(console="off", silent=True, save_code=False, disable_git=True)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self.run = wandb.init(
                **about,
                id=run_id(folder),
                resume="allow",
                dir=str(folder),
                config=config.model_dump(mode="json"),
                settings=quiet,
            )
        except wandb.Error as error:
            text = f"log.wandb: {error}; `wandb login` on this machine, or take `mode: offline` and `wandb sync` later"
            raise ValueError(" ".join(text.split())) from error

    def __enter__(self) -> "Wandb":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.run.finish(exit_code=0 if kind is None else 1)

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        if step >= self.run.step:  # earlier steps were sent before the run stopped
            self.run.log(dict(values), step=step)

    def pictures(self, step: int, pages: Mapping[str, Image.Image]) -> None:
        if step >= self.run.step:
            self.run.log({f"heatmaps/{name}": self.picture(page) for name, page in pages.items()}, step=step)

    def again(self, lines: Path, last: int) -> None:
        """Send the steps of a log.jsonl up to `last`."""
        for line in lines.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if (step := entry.pop("step")) <= last:
                self.scalars(step, entry)


def run_id(folder: Path) -> str:
    """The id of the run there, chosen once: it survives a resume, and moves with the checkpoints."""
    path = folder / "wandb.json"
    if not path.exists():
        write_json(path, {"id": secrets.token_hex(4)})
    return str(read_json(path)["id"])


Board = TensorBoard | Wandb  # each a context; `scalars` of a step come before its `pictures`


def boards(settings: LogConfig, config: RunConfig, folder: Path, first: int) -> list[Board]:
    """The boards that the settings ask for. `folder` is that of the checkpoints, `first` the steps done before."""
    active: list[Board] = []
    if settings.tensorboard:
        active.append(TensorBoard(folder / "tensorboard", first))
    if settings.wandb is not None:
        active.append(board := Wandb(settings.wandb, config, folder))
        if settings.wandb.mode == "offline" and (lines := folder / "log.jsonl").exists():
            board.again(lines, first)
    return active
