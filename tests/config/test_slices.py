"""Slices of the configuration: each changes with every setting that decides its step's result, and with no other.

So the tables below are what a user pays for editing a key.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from snakemake.utils import update_config

from ves.config import slices
from ves.config.check import load, read_yaml, validate
from ves.config.corpus import KINDS
from ves.config.experiment import features_name
from ves.config.fields import StrictModel
from ves.sources.kinds import settings_files
from ves.sources.vaani.settings import plan

SCENES = {
    "corpus",
    "split",
    "features",
    "table",
    "dense-s0/config",
    "hybrid-s0/config",
    "dense-s0/watch",
    "hybrid-s0/watch",
}
RUNS = {"dense-s0/config", "hybrid-s0/config"}
WATCHED = {"dense-s0/watch", "hybrid-s0/watch"}


def readable(argument: object) -> str:
    """The name of a test; a set is sorted, so that all processes of pytest-xdist call the test the same."""
    return ", ".join(sorted(argument)) if isinstance(argument, set) else str(argument)


def short_slices(kind: str, *changes: dict[str, Any]) -> dict[str, StrictModel]:
    """The slices of the toy experiment, of config/vaani.yaml, of own pairs or films, by short names; two runs only."""
    own = {"scenes": "toy", "video": "films"}.get(kind, kind)
    files = [Path("config.yaml"), Path(f"config/{own}.yaml")]
    content = read_yaml(files[0])
    update_config(content, read_yaml(files[1]))
    content["runs"] = {"dense": {}, "hybrid": {"objective": {"max_mean": 0.7, "mean_mean": 0.3}}}
    content["table"] = ["dense", "hybrid"]
    for change in changes:
        update_config(content, change)
    config = validate(content, files)
    features = features_name(config.vision)
    found = slices.files(config, features) | settings_files(config, features, downloads=4)
    folder = config.corpus.name
    names = {f"data/{folder}/features/{features}.json": "features"}
    return {names.get(path, path.split(f"/{folder}/")[1].removesuffix(".json")): part for path, part in found.items()}


def files_that_change(kind: str, change: dict[str, Any], *before: dict[str, Any]) -> set[str]:
    """The settings files whose text another setting changes."""
    old, new = short_slices(kind, *before), short_slices(kind, *before, change)
    assert old.keys() == new.keys()
    return {name for name in old if old[name].model_dump_json() != new[name].model_dump_json()}


def test_every_settings_file_comes_back_as_it_was() -> None:
    for kind in KINDS:
        found = short_slices(kind)
        assert len(found) >= len(SCENES)
        for part in found.values():
            assert type(part).model_validate(json.loads(part.model_dump_json())) == part


def test_what_is_surveyed_and_planned_has_files_of_its_own() -> None:
    assert short_slices("scenes").keys() == short_slices("pairs").keys() == short_slices("video").keys() == SCENES
    assert short_slices("vaani").keys() == SCENES | {"survey_config", "plan_settings"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"corpus": {"keep_source": True}}, set()),
        ({"corpus": {"scenes": {"seed": 7}}}, {"corpus"}),
        ({"corpus": {"max_refused": 0.5}}, {"corpus"}),
        ({"corpus": {"vaani": read_yaml(Path("config/vaani.yaml"))["corpus"]["vaani"]}}, set()),  # of another kind
        ({"split": {"seed": 7}}, {"split"}),
        ({"vision": {"batch_size": 7}}, {"features"}),
        ({"audio": {"mask": "non_silent"}}, RUNS),
        ({"model": {"dropout": 0.5}}, RUNS),
        ({"train": {"epochs": 0.1}}, RUNS),
        ({"runs": {"hybrid": {"epochs": 0.1}}}, {"hybrid-s0/config"}),
        ({"log": {"tensorboard": True}}, WATCHED),
        ({"visualise": {"samples": 7}}, WATCHED),
        ({"table": ["hybrid"]}, {"table"}),
        (
            {"figure1": {"clips": 7}, "heatmaps": {"clips": 7}, "explorer": {"clips": 7}},
            set(),
        ),  # `params` of their rules
        ({"plan": {"features_s": 7.0}}, set()),  # there is nothing to plan
    ],
    ids=readable,
)
def test_a_setting_is_in_the_slices_that_depend_on_it(change: dict[str, Any], expected: set[str]) -> None:
    assert files_that_change("scenes", change) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"clips": 7}, {"corpus"}),
        ({"clips_per_image": 7}, {"corpus"}),
        ({"languages": ["Hindi"]}, {"corpus"}),
        ({"districts": ["Goa"]}, {"corpus"}),
        ({"seed": 7}, {"corpus"}),
        ({"revision": "0" * 40}, {"corpus", "survey_config"}),
        ({"shards_per_district": 7}, {"corpus", "survey_config"}),
        ({"audio": ["x/*"]}, {"corpus", "survey_config"}),
    ],
    ids=readable,
)
def test_what_is_chosen_of_vaani_is_surveyed_once(change: dict[str, Any], expected: set[str]) -> None:
    assert files_that_change("vaani", {"corpus": {"vaani": change}}) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"corpus": {"keep_source": True}}, {"plan_settings"}),
        ({"corpus": {"keep_seconds": None}}, {"corpus", "plan_settings"}),
        ({"corpus": {"labels": None}}, {"corpus", "plan_settings"}),
        ({"corpus": {"max_refused": 0.5}}, {"corpus"}),
        ({"plan": {"features_s": 7.0}}, {"plan_settings"}),
        ({"split": {"mid": 0.9}}, {"split", "plan_settings"}),
        ({"split": {"val": 7}}, {"split", "plan_settings"}),  # so many pictures are needed
        ({"split": {"seed": 7, "held_out_speakers": 0.4, "near_duplicate_bits": 0}}, {"split"}),
        ({"vision": {"batch_size": 7, "compile": True}}, {"features"}),
        ({"vision": {"image_size": 448}}, {"features", "plan_settings", *RUNS}),
    ],
    ids=readable,
)
def test_a_plan_depends_on_sizes_and_rates(change: dict[str, Any], expected: set[str]) -> None:
    assert files_that_change("vaani", change) == expected


def test_the_plan_says_how_many_pictures_val_and_tune_need() -> None:
    config = load(Path("config.yaml"), [Path("config/vaani.yaml")])
    assert plan(config, "f", 4).pairs == config.split.val + config.split.tune > 2


def test_a_run_is_called_by_its_name_and_seed() -> None:
    config = load(Path("config.yaml"), [Path("config/toy.yaml")]).model_copy(update={"seeds": [3, 5]})
    assert slices.runs(config)["hybrid-s5"] == ("hybrid", 5)
    assert len(slices.runs(config)) == 2 * len(config.runs)
    run = slices.training(config, "hybrid", 5, "f")
    assert (run.run, run.seed, run.train) == ("hybrid-s5", 5, config.train_of("hybrid"))
    assert (run.data.features, run.data.input) == ("data/toy/features/f.zarr", "store")


def test_live_features_are_a_field_of_the_run() -> None:
    config = load(Path("config.yaml"), [Path("config/toy.yaml")])
    live = config.model_copy(update={"train": config.train.model_copy(update={"features": "live"})})
    run = slices.training(live, "dense", 0, "f")
    assert (run.data.features, run.data.input) == ("data/toy/features/f.json", "live")
