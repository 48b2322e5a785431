"""Losses of short trainings against recorded ones: the whole loop in fp64, on data of which no bit is computed.

So any x86-64 processor gives the recorded numbers (eight settings of torch's, oneDNN's and MKL's kernels: to 1e-15),
and a change of one part in a million of what decides them is seen. A change that is meant is recorded anew:
`VES_GOLDEN=write pytest tests/training/test_golden_curves.py`.
"""

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import golden_pairs
from tests.support.tiny_corpus import tiny_config
from ves.base.files import write_json
from ves.config.experiment import DataPaths, RunConfig
from ves.config.train import TrainConfig
from ves.losses.context import Pairs
from ves.losses.contrastive import LOSSES
from ves.media.audio import FrameGrid
from ves.similarity import pairwise as similarity
from ves.training.dataset import PairReader
from ves.training.train import train

pytestmark = pytest.mark.numbers

GOLDEN = Path(__file__).parents[1] / "golden"
CURVES = {"dense": 10, "hybrid": 5}  # steps of each
CLOSE = 1e-10  # relative
HAIR = 1 + 1e-6
BATCH = 12


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> DataPaths:
    """Read only."""
    return golden_pairs.write(tmp_path_factory.mktemp("golden"))


@pytest.fixture
def curve(data, tmp_path) -> Callable[..., np.ndarray]:
    """Losses [steps, 1 + terms] of a run of the configuration, its settings of training changed: whole, and by term."""

    def train_curve(name: str, **changes: Any) -> np.ndarray:
        config = tiny_config()
        epochs = (CURVES[name] + 0.5) * BATCH / (golden_pairs.CLIPS - 2 * golden_pairs.TUNE)
        fixed = {"precision": "fp64", "batch_size": BATCH, "micro_batch": BATCH, "epochs": epochs}
        fixed |= {"warmup": 0.3, "temperature": 0.05}
        run = RunConfig(
            vision=None,
            run=name,
            seed=0,
            data=data,
            audio=config.audio.model_copy(update={"seconds": 1.0, "attention_window": None}),
            model=config.model.model_copy(update={"dim": 16}),
            train=config.train_of(name).model_copy(update=fixed | changes),
        )
        write_json(tmp_path / name / "config.json", run.model_dump(mode="json"))
        train(tmp_path / name)
        log = [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        return np.array([[entry["loss"], *(entry[f"{term}/loss"] for term in run.train.objective)] for entry in log])

    return train_curve


def golden_curve(name: str) -> np.ndarray:
    return np.loadtxt(GOLDEN / f"{name}-{CURVES[name]}-steps.txt")[:, 1:]


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    return found.shape == expected.shape and np.allclose(found, expected, rtol=CLOSE, atol=0)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", CURVES)
def test_the_golden_curve(curve, name, threads):
    losses = curve(name, threads=threads)
    if os.environ.get("VES_GOLDEN") == "write":
        lines = [" ".join([str(step), *map(repr, row.tolist())]) for step, row in enumerate(losses, 1)]
        (GOLDEN / f"{name}-{CURVES[name]}-steps.txt").write_text("\n".join(lines) + "\n")
    assert losses.shape == golden_curve(name).shape
    off = np.abs(losses / golden_curve(name) - 1).max()
    assert close(losses, golden_curve(name)), f"off by {off:.1e}: the arithmetic changed; if meant so, VES_GOLDEN=write"


def _scale(similarity: Callable, factor: float) -> Callable:
    return lambda *tokens: factor * similarity(*tokens)


def _scale_loss(function: Callable, factor: float) -> Callable:
    """The loss with its metric, times a factor."""

    def scale(*logits):
        loss, metrics = function(*logits)
        return factor * loss, metrics | {"loss": factor * metrics["loss"]}

    return scale


def _count_more(function: Callable, extra: int) -> Callable:
    """FrameGrid.mask, of clips that are `extra` samples longer."""
    return lambda grid, valid, tokens: function(grid, valid + extra, tokens)


def _faster(train: TrainConfig, part: str) -> dict[str, float | None]:
    return train.rates | {part: (train.rates[part] or 0) * HAIR}


SETTINGS = {
    "temperature": lambda train: train.temperature * HAIR,
    **{f"rates {part}": partial(_faster, part=part) for part in ("audio.backbone", "audio.head", "image.head")},
    "objective": lambda train: train.objective | {"mean_mean": train.objective["mean_mean"] * HAIR},
    "weight_decay": lambda train: train.weight_decay * 1.001,  # which does little in five steps
}
PARTS = {
    "max_mean": lambda patch: patch.setitem(
        similarity.SIMILARITIES, "max_mean", _scale(similarity.SIMILARITIES["max_mean"], HAIR)
    ),
    "mean_mean": lambda patch: patch.setitem(
        similarity.SIMILARITIES, "mean_mean", _scale(similarity.SIMILARITIES["mean_mean"], HAIR)
    ),
    "loss": lambda patch: patch.setitem(LOSSES, "info_nce", _scale_loss(LOSSES["info_nce"], HAIR)),
    "padding of clips": lambda patch: patch.setattr(FrameGrid, "mask", _count_more(FrameGrid.mask, 1600)),
    "padding of pictures": lambda patch: patch.setattr(PairReader, "_image_masks", lambda *_: None),
    "two clips of a picture": lambda patch: patch.setattr(
        Pairs, "not_negative", property(lambda pairs: pairs.picture[:, None] < -pairs.picture[None, :])
    ),
}


@pytest.mark.parametrize("part", [*SETTINGS, *PARTS])
def test_a_hair_breaks_it(curve, monkeypatch, part):
    """A factor of 1 + 1e-6 on a number, or a mask less, and the curve is not the recorded one."""
    changes = {}
    if part in SETTINGS:
        changes[part.split()[0]] = SETTINGS[part](tiny_config().train_of("hybrid"))
    else:
        PARTS[part](monkeypatch)
    assert not close(curve("hybrid", threads=1, **changes), golden_curve("hybrid"))
