"""Losses of a short training of AV-Align's kind against recorded ones, as tests/training/test_golden_curves.py does.

Pixels through a backbone that is trained, segments of films with a random picture of each, plain inner products with
their regularisers, one cycle of the rate, and both backbones unfrozen one after the other: in fp64, on films of which
no bit is computed.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import golden_pairs
from tests.support.tiny_corpus import tiny_config
from ves.base.files import write_json
from ves.config.experiment import ModelConfig, RunConfig
from ves.config.train import PARTS, TrainConfig
from ves.losses.context import Pairs
from ves.losses.regularisers import REGULARISERS
from ves.training.train import train

pytestmark = pytest.mark.numbers

GOLDEN = Path(__file__).parents[1] / "golden" / "av-align-9-steps.txt"
STEPS, BATCH = 9, 8
CLOSE = 1e-10  # relative
HAIR = 1 + 1e-6
SETTINGS: dict[str, Any] = {
    "features": "pixels",
    "normalise": "none",
    "rates": dict.fromkeys(PARTS, 8e-4) | {"audio.backbone": 1e-4, "image.backbone": 1e-4},
    "schedule": "one_cycle",
    "warmup": 0.3,
    "one_cycle": {"div": 10.0, "final_div": 1e4, "beta1": [0.85, 0.95]},
    "unfreeze": {"audio.backbone": {"step": 3, "warmup": 0.3}, "image.backbone": {"step": 5, "warmup": 0.3}},
    "regularisers": {"non_negativity_scaled": 0.15, "temperature_bounds": {"weight": 8.0, "low": 2.3, "high": 4.0}},
    "temperature": 2.0,
    "clip_norm": 0.5,
    "precision": "fp64",
    "batch_size": BATCH,
    "micro_batch": BATCH,
    "threads": 1,
}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Read only: the data, and the settings of the backbone."""
    vision = tiny_config().vision.model_copy(update={"image_size": golden_pairs.SIDE})
    return golden_pairs.write_films(tmp_path_factory.mktemp("films"), vision), vision


@pytest.fixture
def curve(films, tmp_path) -> Callable[..., np.ndarray]:
    """Losses [steps, 1 + terms], its settings of training changed: whole, and by term."""
    data, vision = films

    def train_curve(**changes: Any) -> np.ndarray:
        config = tiny_config()
        dense = config.train_of("dense").model_dump()
        values = dense | SETTINGS | {"augment": dense["augment"] | {"frame": "random"}} | changes
        values["epochs"] = (STEPS + 0.5) * BATCH / golden_pairs.trained(data)
        run = RunConfig(
            run="av-align",
            seed=0,
            data=data,
            audio=config.audio.model_copy(
                update={"seconds": 1.0, "attention_window": None, "pool": "none", "head": "linear"}
            ),
            vision=vision,
            model=ModelConfig(dim=16, visual_layers=0, visual_heads=1, dropout=0.0, visual_head="linear"),
            train=TrainConfig.model_validate(values),
        )
        folder = tmp_path / "av-align"
        write_json(folder / "config.json", run.model_dump(mode="json"))
        train(folder)
        log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        return np.array([[entry["loss"], *(entry[f"{term}/loss"] for term in run.train.weights)] for entry in log])

    return train_curve


def golden_curve() -> np.ndarray:
    return np.loadtxt(GOLDEN)[:, 1:]


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    return found.shape == expected.shape and np.allclose(found, expected, rtol=CLOSE, atol=1e-14)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_golden_curve(curve, threads):
    losses = curve(threads=threads)
    if os.environ.get("VES_GOLDEN") == "write":
        lines = [" ".join([str(step), *map(repr, row.tolist())]) for step, row in enumerate(losses, 1)]
        GOLDEN.write_text("\n".join(lines) + "\n")
    assert losses.shape == golden_curve().shape == (STEPS, 4)
    assert close(losses, golden_curve()), "the arithmetic changed; if meant so, VES_GOLDEN=write"


HAIRS = {
    "temperature": {"temperature": 2.0 * HAIR},
    "rate of the vision backbone": {"rates": SETTINGS["rates"] | {"image.backbone": 1e-4 * 1.001}},
    "rate of the speech backbone": {"rates": SETTINGS["rates"] | {"audio.backbone": 1e-4 * 1.001}},
    "warm-up": {"warmup": 0.31},
    "beta1": {"one_cycle": SETTINGS["one_cycle"] | {"beta1": [0.85, 0.951]}},
    "when a part moves": {"unfreeze": SETTINGS["unfreeze"] | {"image.backbone": {"step": 6, "warmup": 0.3}}},
    "middle pictures": {"augment": tiny_config().train.augment.model_dump() | {"frame": "middle"}},
}


@pytest.mark.parametrize("changed", HAIRS)
def test_a_setting_that_is_a_hair_off_breaks_it(curve, changed):
    assert not close(curve(**HAIRS[changed]), golden_curve())


def test_segments_of_a_film_that_are_negatives_break_it(curve, monkeypatch):
    monkeypatch.setattr(Pairs, "not_negative", property(lambda pairs: pairs.picture[:, None] == pairs.picture[None, :]))
    assert close(curve(), golden_curve()), "the order of clips has no film twice in a batch"


def test_a_regulariser_that_is_a_hair_off_breaks_it(curve, monkeypatch):
    real = REGULARISERS["non_negativity_scaled"]

    def larger(context):
        value, metrics = real(context)
        return value * HAIR, metrics | {"loss": metrics["loss"] * HAIR}

    monkeypatch.setitem(REGULARISERS, "non_negativity_scaled", larger)
    assert not close(curve(), golden_curve())
