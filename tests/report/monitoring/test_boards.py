"""TensorBoard and Weights & Biases, the real packages: what arrives there, and that one run goes on after a resume."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ves.config.display import LogConfig, WandbConfig
from ves.config.experiment import RunConfig, run_config
from ves.report.monitoring.boards import TensorBoard, Wandb, boards, run_id

PAGE = {"c4fa1ec8": Image.new("RGB", (30, 20), "red")}
OFFLINE = WandbConfig(project="ves", name=None, tags=["try"], notes="a note", mode="offline")


@pytest.fixture
def config(tiny_run) -> RunConfig:
    return run_config(tiny_run("dense-s0"))


def test_tensorboard_has_numbers_and_pictures_and_goes_on(tmp_path: Path) -> None:
    """What was logged after the checkpoint and lost is replaced by what is made again."""
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard (extra `watch`) is not installed"
    )
    with TensorBoard(tmp_path, 0) as board:
        for step in (1, 2, 3, 4):
            board.scalars(step, {"loss": float(step)})
        board.pictures(2, PAGE)
    with TensorBoard(tmp_path, 2) as board:  # the checkpoint was of step 2
        for step in (3, 4, 5):
            board.scalars(step, {"loss": 10.0 * step})
    found = accumulator.EventAccumulator(str(tmp_path))
    found.Reload()
    assert [(event.step, event.value) for event in found.Scalars("loss")] == [
        (1, 1),
        (2, 2),
        (3, 30),
        (4, 40),
        (5, 50),
    ]
    (picture,) = found.Images("heatmaps/c4fa1ec8")
    assert (picture.step, picture.width, picture.height) == (2, 30, 20)


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("wandb/offline-run-*/*.wandb"))


def test_wandb_offline_has_numbers_and_pictures_and_goes_on(config: RunConfig, tmp_path: Path) -> None:
    wandb = pytest.importorskip("wandb", reason="wandb (extra `watch`) is not installed")
    for first in (0, 2):
        with Wandb(OFFLINE, config, tmp_path) as board:
            assert (board.run.name, board.run.project, board.run.id) == ("dense-s0", "ves", run_id(tmp_path))
            assert (board.run.group, board.run.tags, board.run.notes) == (config.data.corpus, ("try",), "a note")
            for step in (first + 1, first + 2):
                board.scalars(step, {"loss": 0.5 * step})
                board.pictures(step, PAGE)
            assert board.run.step == first + 2
    wandb.teardown()  # its writer ends after a run does
    written = [path.read_bytes() for path in files_of(tmp_path)]
    assert {path.stem for path in files_of(tmp_path)} == {f"run-{run_id(tmp_path)}"}
    assert all(b"loss" in content and b"heatmaps/c4fa1ec8" in content for content in written)
    drawn = {path.name.rsplit("_", 1)[0] for path in tmp_path.rglob("media/images/heatmaps/*.png")}
    assert drawn == {f"c4fa1ec8_{step}" for step in (1, 2, 3, 4)}


class Run:
    """A run that the server knows up to step 3."""

    step = 3

    def __init__(self) -> None:
        self.logged: list[tuple[int, list[str]]] = []

    def log(self, values: Mapping[str, Any], step: int) -> None:
        self.logged.append((step, list(values)))


def test_what_the_server_has_is_not_sent_again() -> None:
    board = object.__new__(Wandb)
    board.run, board.picture = Run(), lambda page: page  # as after `resume="allow"` online
    for step in (1, 2, 3, 4):
        board.scalars(step, {"loss": 1.0})
        board.pictures(step, PAGE)
    assert board.run.logged == [(3, ["loss"]), (3, ["heatmaps/c4fa1ec8"]), (4, ["loss"]), (4, ["heatmaps/c4fa1ec8"])]


def test_offline_the_log_up_to_the_checkpoint_is_told_again(tmp_path: Path) -> None:
    """A process that was killed may have left nothing of it there."""
    (tmp_path / "log.jsonl").write_text("".join(f'{{"step": {step}, "loss": 1.0}}\n' for step in (1, 2, 3, 4, 5)))
    board = object.__new__(Wandb)
    board.run = Run()
    board.run.step = 0
    board.again(tmp_path / "log.jsonl", 4)
    assert board.run.logged == [(step, ["loss"]) for step in (1, 2, 3, 4)]


def test_a_training_that_starts_anew_is_another_run(tmp_path: Path) -> None:
    first = run_id(tmp_path / "checkpoints")
    assert run_id(tmp_path / "checkpoints") == first
    (tmp_path / "checkpoints").rename(tmp_path / "checkpoints-archive-1")
    assert run_id(tmp_path / "checkpoints") != first


@pytest.mark.parametrize(("module", "key"), [("torch.utils.tensorboard.writer", "tensorboard"), ("wandb", "wandb")])
def test_an_absent_package_is_named_with_the_way_out(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, key: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # an import of it fails
    asked = LogConfig(tensorboard=key == "tensorboard", wandb=OFFLINE if key == "wandb" else None)
    with pytest.raises(ValueError, match=rf"log.{key}: the package {key} is not installed here .*ves\[watch\]"):
        boards(asked, config, tmp_path, 0)


def test_nothing_is_made_that_is_not_asked_for(config: RunConfig, tmp_path: Path) -> None:
    assert boards(LogConfig(tensorboard=False, wandb=None), config, tmp_path, 0) == []
    assert list(tmp_path.glob("wandb*")) == []
