"""A trained run says behind which speech weights it was trained, and is refused behind others."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.support.backbones import as_bin, audio_config, preprocessor, speech_model
from tests.support.tiny_corpus import tiny_config
from ves.base.files import write_json
from ves.config.experiment import DataPaths, RunConfig
from ves.models import towers
from ves.training.checkpoint import contiguous, save_weights

pytestmark = pytest.mark.numbers


@pytest.fixture
def backbone(tmp_path: Path) -> Path:
    speech_model("wav2vec2, layer norm").save_pretrained(tmp_path / "speech")
    preprocessor(tmp_path / "speech", do_normalize=False)
    return tmp_path / "speech"


def exchange(backbone: Path, saved: str = "safetensors") -> None:
    """Other weights of the frozen front end; the rest stays."""
    weights = load_file(backbone / "model.safetensors")
    for name in weights:
        if name.startswith("feature_extractor"):
            weights[name] = weights[name] + 1
    save_file(weights, backbone / "model.safetensors", metadata={"format": "pt"})
    if saved == "bin":
        as_bin(backbone, weights)


def write_training(backbone: Path, run: Path, **audio) -> RunConfig:
    """What a training leaves in a run's folder, as far as its model is concerned."""
    config = tiny_config()
    names = dict.fromkeys(("corpus", "manifest", "splits", "images", "audio", "features"), "none")
    data = DataPaths(input="store", **names)
    audio = audio_config(backbone, **audio)
    settings = RunConfig(
        run="a-s0", seed=0, data=data, audio=audio, vision=None, model=config.model, train=config.train
    )
    write_json(run / "config.json", settings.model_dump(mode="json"))
    torch.manual_seed(0)
    save_weights(towers.VeS(audio, config.model, 192, 0.07), run / "model.safetensors")
    return settings


def tokens(run: Path) -> torch.Tensor:
    waveform = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0)) + 0.5
    with torch.no_grad():
        return towers.load(run)[0].audio_tokens(waveform, torch.tensor([16_000]))[0]


@pytest.mark.parametrize("saved", ["safetensors", "bin"])
def test_a_run_whose_frozen_front_end_was_exchanged_is_refused(backbone: Path, saved: str, tmp_path) -> None:
    if saved == "bin":
        shutil.copytree(backbone, tmp_path / "kept")
        as_bin(backbone, load_file(backbone / "model.safetensors"))
    write_training(backbone, tmp_path / "run")
    before = tokens(tmp_path / "run")
    assert torch.equal(tokens(tmp_path / "run"), before)
    if saved == "bin":
        shutil.copy(tmp_path / "kept" / "model.safetensors", backbone)
    exchange(backbone, saved)
    with pytest.raises(
        ValueError, match=r"speech: its weights are not those that .*model\.safetensors was trained with"
    ):
        towers.load(tmp_path / "run")


def test_where_nothing_is_frozen_the_run_has_all_weights(backbone: Path, tmp_path) -> None:
    write_training(backbone, tmp_path / "run", freeze_conv=False)
    before = tokens(tmp_path / "run")
    exchange(backbone)
    assert torch.equal(tokens(tmp_path / "run"), before)


@pytest.mark.parametrize("normalised", [True, False])
def test_a_run_hears_what_it_was_trained_on_whatever_the_folder_says_by_now(
    backbone: Path, normalised: bool, tmp_path
) -> None:
    preprocessor(backbone, do_normalize=normalised)
    write_training(backbone, tmp_path / "run")
    before = tokens(tmp_path / "run")
    preprocessor(backbone, do_normalize=not normalised)
    assert torch.equal(tokens(tmp_path / "run"), before)


def test_an_older_run_says_nothing_of_it_and_was_never_normalised(backbone: Path, tmp_path, caplog) -> None:
    write_training(backbone, tmp_path / "run")
    before = tokens(tmp_path / "run")
    weights = tmp_path / "run" / "model.safetensors"
    save_file(load_file(weights), weights)
    preprocessor(backbone, do_normalize=True)
    assert torch.equal(tokens(tmp_path / "run"), before)
    assert f"{weights}: does not say which weights {backbone} had in training" in caplog.text


def test_the_same_model_gives_the_same_file(backbone: Path, tmp_path) -> None:
    model = towers.VeS(audio_config(backbone), tiny_config().model, 192, 0.07)
    for name in ("one", "two"):
        save_weights(model, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with safe_open(tmp_path / "one", "pt") as opened:
        assert opened.metadata() == model.header
    assert all(torch.equal(value, contiguous(model)[name]) for name, value in load_file(tmp_path / "one").items())
