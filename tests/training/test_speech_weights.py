"""Other weights of the speech backbone, or another normalisation of its sound, are another training."""

from pathlib import Path

import pytest

from tests.support.backbones import as_bin, audio_config, preprocessor, speech_model
from tests.support.tiny_corpus import tiny_config
from ves.config.experiment import DataPaths, RunConfig
from ves.training.recipe import SPEECH_WEIGHTS, differences, recipe

pytestmark = pytest.mark.numbers


@pytest.fixture
def backbone(tmp_path: Path) -> Path:
    speech_model("wav2vec2, group norm").save_pretrained(tmp_path / "speech")
    return tmp_path / "speech"


@pytest.fixture
def config(backbone: Path, tmp_path: Path) -> RunConfig:
    settings = tiny_config()
    names = {name: str(tmp_path / name) for name in ("manifest", "splits", "images", "audio", "features")}
    for name in ("manifest", "splits", "audio.manifest.json", "features.manifest.json"):
        (tmp_path / name).write_text(name)
    data = DataPaths(corpus="tiny", input="store", **names)
    return RunConfig(
        vision=None,
        run="a-s0",
        seed=0,
        data=data,
        audio=audio_config(backbone),
        model=settings.model,
        train=settings.train,
    )


@pytest.mark.parametrize("saved", ["model.safetensors", "pytorch_model.bin"])
def test_changed_weights_are_another_recipe_in_either_format(config, backbone: Path, saved: str) -> None:
    if saved == "pytorch_model.bin":
        as_bin(backbone, speech_model("wav2vec2, group norm").state_dict())
    before = recipe(config)
    (backbone / saved).write_bytes((backbone / saved).read_bytes() + b"changed")
    assert differences(before, recipe(config)) == ["audio.backbone weights: content changed"]


def test_a_recipe_that_is_older_than_the_hash_of_weights_is_known_again(config) -> None:
    """Of a backbone of the hub, or in a .bin; what else differs is said as ever."""
    now = recipe(config)
    older = {key: value for key, value in now.items() if key != SPEECH_WEIGHTS}
    assert differences(older, now) == []
    assert differences(now, older) == [f'audio.backbone weights: "{now[SPEECH_WEIGHTS]}" -> (none)']
    assert differences(older | {"seed": 1}, now) == ["seed: 1 -> 0"]


def test_sound_that_is_normalised_now_is_another_recipe_and_what_never_was_is_not(config, backbone: Path) -> None:
    before = recipe(config)
    preprocessor(backbone, do_normalize=False)
    assert recipe(config) == before
    preprocessor(backbone, do_normalize=True)
    assert differences(before, recipe(config)) == ["audio.backbone do_normalize: (none) -> true"]
