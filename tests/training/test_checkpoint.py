"""Which checkpoint training resumes from: one of the same recipe, intact, and never another's."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.support.training_log import log_of
from ves.base.files import write_json
from ves.config.experiment import Config, DataPaths, RunConfig
from ves.config.train import TrainConfig
from ves.models.towers import VeS
from ves.training import checkpoint, train
from ves.training.objective import Pairs, objective
from ves.training.recipe import BOOKKEEPING, differences, recipe

STRAIGHT = {"epochs": 1, "checkpoint_every": 2}
FILES = ("manifest.parquet", "splits.parquet", "audio.zarr.manifest.json", "features.zarr.manifest.json")


def write(run: Path, settings: TrainConfig, config: Config, data: DataPaths) -> None:
    """The configuration of a run on the first second of each clip: what it learns does not matter here."""
    audio = config.audio.model_copy(update={"seconds": 1.0})
    made = RunConfig(run="dense", seed=0, data=data, audio=audio, vision=None, model=config.model, train=settings)
    write_json(run / "config.json", made.model_dump(mode="json"))


@pytest.fixture
def short_run(tiny, tmp_path):
    """Makes run folders: short_run(name, **changes to train)."""
    config, data = tiny

    def make(name: str = "dense", **changes) -> Path:
        write(tmp_path / name, config.train_of("dense").model_copy(update=changes), config, data)
        return tmp_path / name

    return make


@pytest.fixture
def experiment(tiny, tmp_path) -> RunConfig:
    """A run whose data are only the files that the recipe reads."""
    config = tiny[0]
    for name in FILES:
        (tmp_path / name).write_text(name)
    return RunConfig(
        vision=None,
        run="dense-s0",
        seed=0,
        data=paths(tmp_path),
        audio=config.audio,
        model=config.model,
        train=config.train,
    )


def paths(folder: Path) -> DataPaths:
    names = {"manifest": "manifest.parquet", "splits": "splits.parquet", "images": "images.parquet"}
    names |= {"audio": "audio.zarr", "features": "features.zarr"}
    return DataPaths(corpus="tiny", input="store", **{key: str(folder / name) for key, name in names.items()})


@pytest.mark.parametrize("name", FILES)
def test_other_data_are_another_recipe(experiment, name, tmp_path):
    before = recipe(experiment)
    (tmp_path / name).write_text("changed")
    assert differences(before, recipe(experiment)) == [f"data.{name.partition('.')[0]}: content changed"]


def test_settings_that_decide_weights_are_named_with_both_values(experiment):
    def recipe_changes(section: str, **values) -> list[str]:
        inner = getattr(experiment, section).model_copy(update=values)
        return differences(recipe(experiment), recipe(experiment.model_copy(update={section: inner})))

    old = experiment.train
    assert recipe_changes("train", batch_size=8) == [f"train.batch_size: {old.batch_size} -> 8"]
    assert recipe_changes("train", objective={"mean_mean": 1.0}) == [
        'train.objective: {"max_mean": 1.0} -> {"mean_mean": 1.0}'
    ]
    assert recipe_changes("train", augment=old.augment.model_copy(update={"gain_db": [-6.0, 6.0]})) == [
        "train.augment.gain_db: (none) -> [-6.0, 6.0]"
    ]
    assert recipe_changes("train", threads=1, epochs=9.0) == [
        f"train.epochs: {old.epochs} -> 9.0",
        f"train.threads: {old.threads} -> 1",
    ]
    assert recipe_changes("audio", seconds=2.0) == ["audio.seconds: 3.0 -> 2.0"]
    assert recipe_changes("model", dim=16) == ["model.dim: 32 -> 16"]
    other_seed = recipe(experiment.model_copy(update={"seed": 1}))
    assert differences(recipe(experiment), other_seed) == ["seed: 0 -> 1"]


def test_a_key_that_came_or_went_is_a_difference():
    assert differences({"a": 1}, {"b": 2}) == ["a: 1 -> (none)", "b: (none) -> 2"]


def test_bookkeeping_and_places_are_the_same_recipe(experiment, tmp_path):
    before = recipe(experiment)
    train_settings = experiment.train.model_copy(update=dict.fromkeys(BOOKKEEPING, 7))
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in FILES:
        (tmp_path / name).rename(moved / name)
    update = {"run": "renamed-s0", "data": paths(moved), "train": train_settings}
    assert recipe(experiment.model_copy(update=update)) == before


def test_edited_bookkeeping_resumes_and_finishes(short_run, monkeypatch):
    run = short_run(epochs=1)
    train.train(run)
    model, log = (run / "model.safetensors").read_bytes(), log_of(run)
    monkeypatch.setattr(train, "optimise", lambda *_: pytest.fail("it is trained already"))
    short_run(epochs=1, keep_checkpoints=3, checkpoint_every=2, evaluate_every=4, max_skipped=3)
    train.train(run)
    assert (run / "model.safetensors").read_bytes() == model
    assert log_of(run) == log


def interrupt_at(monkeypatch, step: int) -> None:
    """Let every training end with KeyboardInterrupt in this step."""
    optimise, steps = train.optimise, []

    def interrupt(*arguments):
        steps.append(1)
        if len(steps) == step:
            raise KeyboardInterrupt
        return optimise(*arguments)

    monkeypatch.setattr(train, "optimise", interrupt)


def test_an_unfinished_training_with_other_settings_is_refused_until_it_is_archived(short_run, tiny, monkeypatch):
    straight = short_run("straight", epochs=1, rates=tiny[0].train.rates | {"scale": 5e-4})
    train.train(straight)
    run = short_run(epochs=1)
    with monkeypatch.context() as patched:
        interrupt_at(patched, 5)
        with pytest.raises(KeyboardInterrupt):
            train.train(run)
    assert (run / "log.jsonl").is_symlink(), "during training the log is a link"
    before = {path: path.read_bytes() for path in (run / "checkpoints").rglob("*") if path.is_file()}
    short_run(epochs=1, rates=tiny[0].train.rates | {"scale": 5e-4})
    old = tiny[0].train.rates["scale"]
    with pytest.raises(ValueError, match="an unfinished training with other settings") as refused:
        train.train(run)
    assert f"  train.rates.scale: {old} -> 0.0005\n" in str(refused.value)
    assert f"`ves train --fresh {run}`" in str(refused.value)
    assert before == {path: path.read_bytes() for path in before}, "a refusal changes nothing"
    train.train(run, fresh=True)
    assert (run / "model.safetensors").read_bytes() == (straight / "model.safetensors").read_bytes()
    assert log_of(run) == log_of(straight)
    assert not (run / "log.jsonl").is_symlink(), "the published log outlives the checkpoints"
    archive = run / "checkpoints-archive-1"
    assert {path.relative_to(run / "checkpoints"): content for path, content in before.items()} == {
        path.relative_to(archive): path.read_bytes() for path in archive.rglob("*") if path.is_file()
    }


def test_a_finished_training_with_other_settings_is_archived_and_trained_again(short_run, tiny, caplog):
    """As in the workflow after a setting was edited: the model follows, and nothing is lost."""
    run = short_run(epochs=0.5)
    train.train(run)
    first = (run / "model.safetensors").read_bytes()
    for number, rate in enumerate((5e-4, 4e-4), 1):
        short_run(epochs=0.5, rates=tiny[0].train.rates | {"scale": rate})
        with caplog.at_level("WARNING"):
            train.train(run)
        assert f"train.rates.scale: {[7e-4, 5e-4][number - 1]} -> {rate}" in caplog.text
        assert (run / f"checkpoints-archive-{number}").is_dir()
    newest = max((run / "checkpoints-archive-1").glob("step-*"))
    assert (newest / "model.safetensors").read_bytes() == first != (run / "model.safetensors").read_bytes()
    assert json.loads((newest / "config.json").read_text())["train"]["rates"]["scale"] == 7e-4


@pytest.fixture(scope="module")
def half_run_template(tiny, tmp_path_factory) -> Path:
    """A run with the settings of `straight` that ended in its sixth step, with checkpoints of steps 2 and 4."""
    config, data = tiny
    run = tmp_path_factory.mktemp("stopped") / "dense"
    write(run, config.train_of("dense").model_copy(update=STRAIGHT), config, data)
    with pytest.MonkeyPatch.context() as patched:
        interrupt_at(patched, 6)
        with pytest.raises(KeyboardInterrupt):
            train.train(run)
    return run


@pytest.fixture
def half_run(half_run_template, tmp_path) -> Path:
    """A copy of it."""
    return shutil.copytree(half_run_template, tmp_path / "stopped", symlinks=True)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(("name", "damage"), [
    ("model.safetensors", cut), ("state.pt", cut), ("model.safetensors", flip), ("state.pt", Path.unlink),
    ("checkpoint.json", cut), ("checkpoint.json", Path.unlink),
])  # fmt: skip
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(half_run, caplog, name, damage):
    found = checkpoint.newest(half_run)
    assert found is not None and found[0].name == "step-00000004"
    damage(half_run / "checkpoints" / "step-00000004" / name)
    with caplog.at_level("WARNING"):
        found = checkpoint.newest(half_run)
    assert found is not None and found[0].name == "step-00000002"
    assert "step-00000004" in caplog.text and "damaged" in caplog.text
    damage(half_run / "checkpoints" / "step-00000002" / name)
    with pytest.raises(ValueError, match="every checkpoint there is damaged; `ves train --fresh"):
        train.train(half_run)


def test_a_damaged_checkpoint_does_not_count_towards_keep_checkpoints(half_run, caplog):
    """Steps 2 and 4 lie there, 4 is damaged and 5 is written: with two to keep, 2 is one of them."""
    run = half_run
    flip(run / "checkpoints" / "step-00000004" / "state.pt")
    config = RunConfig.model_validate_json((run / "config.json").read_text())
    model, attempt = VeS(config.audio, config.model, 24, 0.07), checkpoint.Attempt(run, config, 9, recipe(config))
    found = []
    for step in (5, 7):
        checkpoint.save(attempt, step, model, torch.optim.AdamW(model.parameters()), [])
        found.append([int(path.name[5:]) for path in sorted((run / "checkpoints").glob("step-*"))])
    assert found == [[2, 4, 5], [5, 7]]
    assert caplog.text.count("step-00000004/state.pt: damaged") == 1


def test_each_file_of_the_checkpoint_is_hashed_once_at_the_start(half_run, monkeypatch):
    read: list[str] = []
    digest = checkpoint.digest
    monkeypatch.setattr(checkpoint, "digest", lambda path: read.append(path.parent.name) or digest(path))
    monkeypatch.setattr(train, "optimise", lambda *_: pytest.fail("the first step"))
    with pytest.raises(pytest.fail.Exception):
        train.train(half_run)
    assert read == ["step-00000004"] * 3


def test_from_the_checkpoint_before_the_damaged_one_comes_the_same_model(short_run, half_run):
    straight = short_run("straight", **STRAIGHT)
    train.train(straight)
    cut(half_run / "checkpoints" / "step-00000004" / "state.pt")
    train.train(half_run)
    assert (half_run / "model.safetensors").read_bytes() == (straight / "model.safetensors").read_bytes()
    assert log_of(half_run) == log_of(straight)


@pytest.mark.parametrize(("images", "known"), [([0, 0], False), ([0, 1], True)])
def test_a_batch_without_negatives_has_no_effective_scale(tiny, images, known):
    """Two clips about one picture are not negatives of each other; NaN would not be JSON."""
    config = tiny[0]

    generator = torch.Generator().manual_seed(0)
    audio, image = (torch.randn(shape, generator=generator) for shape in ((2, 1, 4), (2, 3, 4)))
    pairs = Pairs(audio, torch.ones(2, 1, dtype=torch.bool), image, None, torch.tensor(images), None, 0)
    _, metrics = objective(pairs, torch.zeros(()), config.train)
    assert ("max_mean/effective_scale" in metrics) == known
    assert all(value.isfinite() for value in metrics.values())
