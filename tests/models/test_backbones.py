"""Every kind of backbone gives the tokens of its own forward pass; what is no such backbone is refused by name."""

import shutil
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers
from torch import nn
from transformers import Wav2Vec2FeatureExtractor

from tests.support.backbones import (
    CONVOLUTIONS,
    SPEECH,
    VISION,
    as_bin,
    audio_config,
    convolutional_model,
    preprocessor,
    speech_model,
    vision_config,
    vision_model,
)
from ves.base.files import read_json, write_json
from ves.media.audio import POOL
from ves.models.audio_tower import AudioTower
from ves.models.backbone import KINDS, check_kind, token_cell, token_width
from ves.models.speech import unit_variance
from ves.models.vision import load_backbone, patch_grid, patch_tokens

pytestmark = [
    pytest.mark.numbers,
    pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask:UserWarning"),  # WavLM's own pass
]

LENGTHS = (16_000, 9_000, 12_345)
WITHOUT_GROUP_NORM = [kind for kind, (_, settings) in SPEECH.items() if settings.get("feat_extract_norm") == "layer"]


def test_each_kind_that_is_read_is_tested_here() -> None:
    assert set(KINDS["vision.backbone"]) == set(VISION) | set(CONVOLUTIONS)
    assert set(KINDS["audio.backbone"]) == {kind.partition(",")[0] for kind in SPEECH}


@pytest.mark.parametrize("kind", VISION)
def test_patch_tokens_are_those_of_the_own_forward_pass(kind: str, tmp_path: Path) -> None:
    """And a patch that is changed moves the token in its place the most: rows come one after another."""
    model = vision_model(kind)
    model.save_pretrained(tmp_path)
    assert check_kind("vision.backbone", tmp_path)["model_type"] == kind
    loaded = load_backbone(vision_config(tmp_path))
    pictures = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model(pixel_values=pictures).last_hidden_state[:, VISION[kind][2] :]
    tokens = patch_tokens(loaded, pictures).float()
    assert tokens.shape == (2, 16, 16)
    assert (tokens - expected).abs().max() < 0.03 * expected.abs().max()
    pictures[:, :, 4:8, 8:12] += 3
    moved = (patch_tokens(loaded, pictures).float() - tokens).norm(dim=-1)
    assert moved.argmax(1).tolist() == [6, 6]


def last_map(model: Any, pictures: torch.Tensor) -> torch.Tensor:
    """[V, 16, 4, 4], layer by layer: what enters the classifier's part of the network."""
    hidden = model.embedder(pictures) if hasattr(model, "embedder") else model.embeddings(pictures)
    for block in model.encoder.stages if hasattr(model.encoder, "stages") else model.encoder.blocks:
        hidden = block(hidden)
    return hidden


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_tokens_of_convolutions_are_places_of_the_last_map(kind: str, tmp_path: Path) -> None:
    """Row by row."""
    model = convolutional_model(kind)
    model.save_pretrained(tmp_path)
    config = check_kind("vision.backbone", tmp_path)
    assert (token_cell(config), token_width(config)) == ((16, 16), 16)
    loaded = load_backbone(vision_config(tmp_path, image_size=64))
    assert not any(isinstance(part, nn.BatchNorm2d) for part in loaded.modules()), "norms are folded into weights"
    assert patch_grid(loaded.config, 64) == (4, 4)
    pictures = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = last_map(model, pictures)
    assert expected.shape == (2, 16, 4, 4)
    tokens = patch_tokens(loaded, pictures).float()
    by_place = torch.stack([expected[:, :, row, column] for row in range(4) for column in range(4)], 1)
    assert (tokens - by_place).abs().max() < 0.03 * by_place.abs().max()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ResNet", {"downsample_in_first_stage": True}),
        ("ResNet", {"depths": [2, 2], "hidden_sizes": [8, 24], "layer_type": "basic"}),
        ("EfficientNet", {}),
        ("EfficientNet", {"width_coefficient": 1.1, "depth_coefficient": 1.2, "hidden_dim": 1408}),
    ],
)
def test_cell_and_width_are_those_of_the_real_map(name: str, settings: dict[str, Any]) -> None:
    config = getattr(transformers, f"{name}Config")(**settings)
    saved = config.to_diff_dict() | {"model_type": config.model_type}
    with torch.device("meta"):
        model = getattr(transformers, f"{name}Model")(config)
        maps = model(pixel_values=torch.empty(1, 3, 128, 128), output_hidden_states=True).hidden_states[-1]
    assert maps.shape[1] == token_width(saved)
    assert token_cell(saved) == (128 // maps.shape[2], 128 // maps.shape[3])


def own_tokens(model: Any, tower: AudioTower, clips: list[np.ndarray], do_normalize: bool) -> torch.Tensor:
    """Audio tokens from the model's own forward pass of what its own feature extractor makes of the clips."""
    extractor = Wav2Vec2FeatureExtractor(do_normalize=do_normalize)
    longest = {"padding": "max_length", "max_length": 16_000, "return_attention_mask": True}
    inputs = extractor(clips, sampling_rate=16_000, return_tensors="pt", **longest)
    hidden = model(inputs["input_values"], attention_mask=inputs["attention_mask"]).last_hidden_state
    pooled = F.avg_pool1d(hidden.transpose(1, 2), POOL).transpose(1, 2)
    return F.normalize(tower.head(pooled), dim=-1)


def audio_tower(backbone: Path, do_normalize: bool) -> AudioTower:
    Wav2Vec2FeatureExtractor(do_normalize=do_normalize).save_pretrained(backbone)
    return AudioTower(audio_config(backbone), 8).eval()


def offset_clips() -> tuple[list[np.ndarray], torch.Tensor]:
    """Clips of noise about 0.3, not 0, which layer norm does not undo; and the waveforms [A, L] of them."""
    draw = np.random.default_rng(0)
    clips = [(0.1 * draw.standard_normal(length) + 0.3).astype(np.float32) for length in LENGTHS]
    waveform = torch.zeros(len(clips), 16_000)
    for row, clip in enumerate(clips):
        waveform[row, : len(clip)] = torch.from_numpy(clip)
    return clips, waveform


@pytest.mark.parametrize("do_normalize", [True, False])
@pytest.mark.parametrize("kind", SPEECH)
def test_audio_tokens_are_those_of_the_own_forward_pass(kind: str, do_normalize: bool, tmp_path: Path) -> None:
    model = speech_model(kind)
    model.save_pretrained(tmp_path)
    tower, (clips, waveform) = audio_tower(tmp_path, do_normalize), offset_clips()
    with torch.no_grad():
        expected = own_tokens(model, tower, clips, do_normalize)
        found, mask = tower(waveform, torch.tensor(LENGTHS))
    assert mask[0].all() and 0 < mask[1].sum() < mask[2].sum()
    torch.testing.assert_close(found[mask], expected[mask], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", WITHOUT_GROUP_NORM)
def test_the_clips_of_that_test_tell_normalisation_from_none(kind: str, tmp_path: Path) -> None:
    """Group norm, in the other kinds, takes level and scale out by itself."""
    model = speech_model(kind)
    model.save_pretrained(tmp_path)
    tower, (clips, waveform) = audio_tower(tmp_path, do_normalize=True), offset_clips()
    with torch.no_grad():
        _, mask = tower(waveform, torch.tensor(LENGTHS))
        one, other = (own_tokens(model, tower, clips, do_normalize) for do_normalize in (True, False))
    assert (one[mask] - other[mask]).abs().max() > 1e-3


def test_silence_stays_silence() -> None:
    assert not unit_variance(torch.zeros(2, 100), torch.tensor([100, 0])).any()


@pytest.mark.parametrize("kind", ["sew", "sew-d", "data2vec-audio", "whisper", "moonshine", "wav2vec2-bert", None])
def test_speech_models_whose_own_pass_differs_are_refused_by_name(kind: str | None, tmp_path: Path) -> None:
    """SEW runs, to other numbers: it squeezes time before its encoder."""
    speech_model("hubert, group norm").save_pretrained(tmp_path)
    write_json(tmp_path / "config.json", read_json(tmp_path / "config.json") | {"model_type": kind})
    with pytest.raises(ValueError, match=rf"audio\.backbone: .*config\.json has model_type {kind!r}; VeS reads"):
        AudioTower(audio_config(tmp_path), 8)


@pytest.mark.parametrize("kind", ["vit_mae", "ijepa", "siglip_vision_model", "clip", "dinov3_convnext", "deit"])
def test_vision_models_with_other_tokens_are_refused_by_name(kind: str, tmp_path: Path) -> None:
    """MAE shuffles its patches: their number alone would not tell."""
    vision_model("vit").save_pretrained(tmp_path)
    write_json(tmp_path / "config.json", read_json(tmp_path / "config.json") | {"model_type": kind})
    with pytest.raises(ValueError, match=rf"vision\.backbone: .*config\.json has model_type '{kind}'; VeS reads"):
        load_backbone(vision_config(tmp_path))


def test_layers_behind_the_encoder_are_refused(tmp_path: Path) -> None:
    speech_model("wav2vec2, layer norm", add_adapter=True, num_adapter_layers=1).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"audio\.backbone: .*add_adapter"):
        AudioTower(audio_config(tmp_path), 8)


def test_sound_of_another_rate_is_refused(tmp_path: Path) -> None:
    speech_model("hubert, group norm").save_pretrained(tmp_path)
    preprocessor(tmp_path, do_normalize=True, sampling_rate=8000)
    with pytest.raises(ValueError, match=r"preprocessor_config\.json: sampling_rate: 8000"):
        AudioTower(audio_config(tmp_path), 8)


def damage(folder: Path, saved: str, change: str) -> Any:
    """Change the weights of a saved model, in one of the formats that are loaded."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    name = next(name for name in sorted(weights) if "layer_norm.weight" in name or "norm1.weight" in name)
    if change == "missing":
        del weights[name]
    elif change == "shape":
        weights[name] = weights[name][:-1].clone()
    elif change == "prefix":
        weights = {f"wrapped.{key}": value for key, value in weights.items()}
    if saved == "safetensors":
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    elif saved == "bin":
        as_bin(folder, weights)
    else:
        save_file(weights, folder / "part.safetensors", metadata={"format": "pt"})
        (folder / "model.safetensors").unlink()
        write_json(
            folder / "model.safetensors.index.json",
            {"metadata": {}, "weight_map": dict.fromkeys(weights, "part.safetensors")},
        )
    file = next(
        file for file in ("model.safetensors", "pytorch_model.bin", "part.safetensors") if (folder / file).exists()
    )
    if change == "cut":
        (folder / file).write_bytes((folder / file).read_bytes()[:-500])
    return file, name


@pytest.mark.parametrize("part", ["vision", "audio"])
@pytest.mark.parametrize("saved", ["safetensors", "bin", "index"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", r"{file}: 1 of the model's tensors are missing: {name}$"),
        ("prefix", r"{file}: \d\d of the model's tensors are missing: \S+, \S+, \S+, \S+, \S+ and \d+ more$"),
        ("shape", r"{file}: other shapes than \S+config\.json asks for: {name} is \[\d+\], not \[\d+\]$"),
        ("cut", r"{file}: these weights cannot be loaded"),
    ],
)
def test_weights_that_are_not_all_of_the_model_are_refused(
    part: str, saved: str, change: str, message: str, tmp_path: Path
) -> None:
    (vision_model("dinov2") if part == "vision" else speech_model("hubert, layer norm")).save_pretrained(tmp_path)
    preprocessor(tmp_path, do_normalize=False)
    file, name = damage(tmp_path, saved, change)
    with pytest.raises(ValueError, match=message.format(file=file, name=name.replace(".", r"\."))):
        load_backbone(vision_config(tmp_path)) if part == "vision" else AudioTower(audio_config(tmp_path), 8)


def test_what_no_token_depends_on_may_be_missing(tmp_path: Path) -> None:
    """A pooler, and what stands for what is masked: published checkpoints of either kind come without."""
    from safetensors.torch import load_file, save_file

    vision_model("vit").save_pretrained(tmp_path / "vit")
    speech_model("hubert, layer norm", mask_time_prob=0.1).save_pretrained(tmp_path / "hubert")
    preprocessor(tmp_path / "hubert", do_normalize=False)
    for folder, idle in ((tmp_path / "vit", "pooler."), (tmp_path / "hubert", "masked_spec_embed")):
        weights = load_file(folder / "model.safetensors")
        kept = {name: value for name, value in weights.items() if not name.startswith(idle)}
        assert len(kept) < len(weights)
        save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    load_backbone(vision_config(tmp_path / "vit"))
    AudioTower(audio_config(tmp_path / "hubert", mask_time_prob=0.05), 8)


def test_both_formats_give_the_same_tokens_and_each_has_its_hash(tmp_path: Path) -> None:
    model = speech_model("hubert, group norm")
    model.save_pretrained(tmp_path / "safe")
    shutil.copytree(tmp_path / "safe", tmp_path / "bin")
    as_bin(tmp_path / "bin", model.state_dict())
    safe, older = (AudioTower(audio_config(tmp_path / name), 8).eval() for name in ("safe", "bin"))
    older.head = safe.head
    waveform, valid = torch.randn(2, 16_000), torch.tensor([16_000, 8_000])
    with torch.no_grad():
        assert torch.equal(safe(waveform, valid)[0], older(waveform, valid)[0])
    hashes = {tower.origin["weight_hash"] for tower in (safe, older)}
    assert len(hashes) == 2


def test_a_folder_never_makes_transformers_ask_a_hub(tmp_path: Path) -> None:
    model = speech_model("hubert, group norm")
    model.save_pretrained(tmp_path)
    as_bin(tmp_path, model.state_dict())
    with patch("transformers.modeling_utils.auto_conversion") as conversion, patch("socket.socket") as socket:
        AudioTower(audio_config(tmp_path), 8)
    assert not conversion.called and not socket.called
