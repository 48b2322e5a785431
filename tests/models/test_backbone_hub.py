"""A backbone of the hub: what is fetched of it, and that nothing else is asked of the hub."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.backbones import as_bin, audio_config, preprocessor, speech_model, vision_config, vision_model
from tests.support.model_hub import MODEL, ModelHub, model_hub
from ves.base.checksums import file_sha256
from ves.models import features
from ves.models.audio_tower import AudioTower

pytestmark = pytest.mark.numbers


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelHub]:
    with model_hub(tmp_path / "cache", monkeypatch) as served:
        yield served


def downloads(hub: ModelHub) -> set[str]:
    return {path.rpartition("/")[2] for path in hub.requests if path.startswith("GET /owner/model/resolve/")}


def test_weights_that_are_no_safetensors_start_no_conversion(hub: ModelHub, tmp_path: Path) -> None:
    """transformers would ask for one, in a thread, of any model of the hub that has none."""
    model = speech_model("wav2vec2, layer norm")
    model.save_pretrained(tmp_path / "model")
    as_bin(tmp_path / "model", model.state_dict())
    preprocessor(tmp_path / "model", do_normalize=True)
    (tmp_path / "model" / "tf_model.h5").write_bytes(b"of another library")
    hub.take(tmp_path / "model")
    tower = AudioTower(audio_config(MODEL), 8)
    assert tower.origin["weight_hash"] == file_sha256(tmp_path / "model" / "pytorch_model.bin")
    assert tower.origin["unit_variance"]
    assert tower.folder.name == hub.commit
    assert downloads(hub) == {"config.json", "preprocessor_config.json", "pytorch_model.bin"}
    assert not any(thread.name == "Thread-auto_conversion" for thread in threading.enumerate())
    assert not [path for path in hub.requests if "discussions" in path or "spaces" in path or "POST" in path]


def test_of_a_vision_backbone_its_preprocessing_is_fetched(hub: ModelHub, tmp_path: Path) -> None:
    model = vision_model("clip_vision_model")
    model.save_pretrained(tmp_path / "model")
    preprocessor(tmp_path / "model", image_mean=[0.5, 0.4, 0.3], image_std=[0.25, 0.5, 1.0])
    (tmp_path / "model" / "pytorch_model.bin").write_bytes(b"the same once more")
    hub.take(tmp_path / "model")
    attrs = features.attributes(vision_config(MODEL))
    assert attrs["normalisation"] == {"mean": [0.5, 0.4, 0.3], "std": [0.25, 0.5, 1.0], "resample": "bicubic"}
    assert attrs["revision"] == hub.commit
    assert downloads(hub) == {"config.json", "preprocessor_config.json", "model.safetensors"}


def test_a_hub_that_has_moved_gives_other_weights_and_another_hash(hub: ModelHub, tmp_path: Path) -> None:
    """`revision: null` is whatever the hub has today."""
    hashes = []
    for change in (0.0, 1.0):
        model = speech_model("hubert, group norm")
        model.feature_extractor.conv_layers[0].conv.weight.data += change
        model.save_pretrained(tmp_path / f"{change}")
        hub.take(tmp_path / f"{change}")
        hashes.append(AudioTower(audio_config(MODEL), 8).origin["weight_hash"])
    assert hashes[0] != hashes[1]


def test_a_model_without_weights_of_either_format_is_refused(hub: ModelHub, tmp_path: Path) -> None:
    speech_model("hubert, group norm").save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").rename(tmp_path / "model" / "weights.msgpack")
    hub.take(tmp_path / "model")
    with pytest.raises(ValueError, match=r"audio\.backbone: no \*\.safetensors in .* that transformers loads, and no"):
        AudioTower(audio_config(MODEL), 8)
