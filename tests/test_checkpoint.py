"""What makes an experiment another one, whose checkpoints and log never mix with those of the first."""

import json
from pathlib import Path

import pytest
import torch

from ves import checkpoint, contrast, train
from ves.config import DataPaths, RunConfig

TIMES = {"seconds", "data_wait"}
FILES = ("manifest.parquet", "splits.parquet", "audio.zarr.manifest.json", "features.zarr.manifest.json")


def log_of(run: Path) -> list[dict]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


@pytest.fixture
def experiment(tiny, tmp_path) -> RunConfig:
    """A run on data of which there is what the identity reads."""
    config = tiny[0]
    for name in FILES:
        (tmp_path / name).write_text(name)
    return RunConfig(
        run="dense-s0", seed=0, data=paths(tmp_path), audio=config.audio, model=config.model, train=config.train
    )


def paths(folder: Path) -> DataPaths:
    names = {"manifest": "manifest.parquet", "splits": "splits.parquet", "images": "images.parquet"}
    names |= {"audio": "audio.zarr", "features": "features.zarr"}
    return DataPaths(corpus="tiny", **{key: str(folder / name) for key, name in names.items()})


@pytest.mark.parametrize("name", FILES)
def test_other_data_are_another_experiment(experiment, name, tmp_path):
    before = checkpoint.identity(experiment)
    (tmp_path / name).write_text("changed")
    assert checkpoint.identity(experiment) != before


def test_settings_that_decide_weights_are_another_experiment(experiment):
    changed = [
        experiment.model_copy(update={"seed": 1}),
        *(
            experiment.model_copy(update={"train": experiment.train.model_copy(update={key: value})})
            for key, value in (("batch_size", 8), ("threads", 1), ("epochs", 9.0), ("objective", {"mean_mean": 1.0}))
        ),
        experiment.model_copy(update={"audio": experiment.audio.model_copy(update={"seconds": 2.0})}),
        experiment.model_copy(update={"model": experiment.model.model_copy(update={"dim": 16})}),
    ]
    identities = {checkpoint.identity(config) for config in [experiment, *changed]}
    assert len(identities) == 1 + len(changed)


def test_bookkeeping_and_places_are_the_same_experiment(experiment, tmp_path):
    before = checkpoint.identity(experiment)
    bookkeeping = {"keep_checkpoints": 7, "checkpoint_every": 11, "evaluate_every": 13}
    train_settings = experiment.train.model_copy(update=bookkeeping)
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in FILES:
        (tmp_path / name).rename(moved / name)
    update = {"run": "renamed-s0", "data": paths(moved), "train": train_settings}
    assert checkpoint.identity(experiment.model_copy(update=update)) == before


def test_edited_bookkeeping_goes_on_and_finishes(tiny_run, monkeypatch):
    run = tiny_run(epochs=1)
    train.train(run)
    model, log = (run / "model.safetensors").read_bytes(), log_of(run)
    monkeypatch.setattr(train, "optimise", lambda *_: pytest.fail("it was trained already"))
    tiny_run(epochs=1, keep_checkpoints=3, checkpoint_every=2, evaluate_every=4)
    train.train(run)
    assert (run / "model.safetensors").read_bytes() == model
    assert log_of(run) == log


def test_each_experiment_has_a_log_of_its_own(tiny_run, monkeypatch):
    """A is stopped after its checkpoint at step 3, B is trained a little, then A goes on, without a line of B."""
    straight = tiny_run("straight", epochs=1)
    train.train(straight)
    run, optimise, steps = tiny_run(epochs=1), train.optimise, []

    def interrupted(*given):
        steps.append(1)
        if len(steps) == 5:
            raise KeyboardInterrupt
        return optimise(*given)

    for changes in ({}, {"learning_rate": 5e-4}):
        steps.clear()
        tiny_run(epochs=1, **changes)
        monkeypatch.setattr(train, "optimise", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train.train(run)
        assert (run / "log.jsonl").is_symlink(), "while it trains, the log of this experiment is read through a link"
        assert [line["step"] for line in log_of(run)] == [1, 2, 3, 4]
    monkeypatch.setattr(train, "optimise", optimise)
    tiny_run(epochs=1)
    train.train(run)
    assert log_of(run) == log_of(straight)
    assert not (run / "log.jsonl").is_symlink(), "what is published outlives the checkpoints"
    assert len(list((run / "checkpoints").glob("*/log.jsonl"))) == 2


@pytest.mark.parametrize(("images", "known"), [([0, 0], False), ([0, 1], True)])
def test_a_batch_without_negatives_has_no_effective_scale(tiny, images, known):
    """Two clips about one picture are not negatives of each other; NaN would not be JSON."""
    config = tiny[0]

    generator = torch.Generator().manual_seed(0)
    audio, image = (torch.randn(shape, generator=generator) for shape in ((2, 1, 4), (2, 3, 4)))
    pairs = contrast.Pairs(audio, torch.ones(2, 1, dtype=torch.bool), image, None, torch.tensor(images), 0)
    _, logged = contrast.objective(pairs, torch.zeros(()), config.train)
    assert ("max_mean/effective_scale" in logged) == known
    assert all(value.isfinite() for value in logged.values())
