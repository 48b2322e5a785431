"""The towers: shapes, masks, padding, what is trained, and loading by the same call as real backbones."""

from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import Dinov2Config, Dinov2Model, HubertConfig, HubertModel

from tests.support.backbones import vision_config
from tests.support.towers import audio_config
from ves.config.experiment import ModelConfig
from ves.models.towers import VeS

pytestmark = pytest.mark.numbers

MODEL = ModelConfig(dim=16, visual_layers=1, visual_heads=2, dropout=0.0, visual_head="mlp")


@pytest.fixture(scope="module")
def model() -> VeS:
    torch.manual_seed(0)
    return VeS(audio_config(), MODEL, 24, 0.07).eval()


def test_tokens_are_unit_vectors_with_a_mask_of_the_speech(model):
    waveform = torch.zeros(2, 32_000)
    waveform[:, :16_000] = torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        tokens, mask = model.audio_tokens(waveform, torch.tensor([16_000, 32_000]))
    assert tokens.shape == (2, model.grid.tokens(32_000), 16) and mask.shape == tokens.shape[:2]
    torch.testing.assert_close(tokens.norm(dim=-1), torch.ones(tokens.shape[:2]))
    assert mask[1].all()
    assert mask[0].sum() == pytest.approx(mask.shape[1] / 2, abs=1)
    assert mask[0].sum() == mask[0].long().cumprod(0).sum(), "valid tokens come first"


def test_non_silent_drops_the_pause():
    torch.manual_seed(0)
    model = VeS(audio_config(mask="non_silent"), MODEL, 24, 0.07).eval()
    waveform = torch.randn(1, 32_000, generator=torch.Generator().manual_seed(0))
    waveform[:, 8_000:24_000] *= 1e-4
    with torch.no_grad():
        _, mask = model.audio_tokens(waveform, torch.tensor([32_000]))
    middle = slice(mask.shape[1] // 4 + 1, 3 * mask.shape[1] // 4 - 1)
    assert not mask[0, middle].any() and mask[0, :2].all() and mask[0, -2:].all()


def test_image_tokens_ignore_padding_patches(model):
    patches = torch.randn(2, 9, 24, generator=torch.Generator().manual_seed(0)).bfloat16()
    mask = torch.ones(2, 9, dtype=torch.bool)
    mask[0, 6:] = False
    with torch.no_grad():
        tokens = model.image_tokens(patches, mask)
        patches[0, 6:] = 7.0
        torch.testing.assert_close(model.image_tokens(patches, mask)[0, :6], tokens[0, :6])
    torch.testing.assert_close(tokens.norm(dim=-1), torch.ones(2, 9))


def test_frozen_conv_is_neither_trained_nor_stored(model):
    names = set(model.trainable())
    assert not any("feature_extractor" in name for name in names)
    assert {"log_scale", "audio.head.0.weight", "visual.head.2.weight"} <= names
    thawed = VeS(audio_config(freeze_conv=False), MODEL, 24, 0.07)
    assert any("feature_extractor" in name for name in thawed.trainable())


def test_weights_of_another_configuration_are_refused(model, tmp_path):
    save_file({"log_scale": torch.zeros(())}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="model.safetensors: not weights of this configuration"):
        model.load_trainable({"log_scale": torch.zeros(())}, tmp_path / "model.safetensors")


def test_masking_and_layer_drop_are_set_not_inherited(tmp_path):
    HubertModel(
        HubertConfig(
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            conv_dim=(8,),
            conv_kernel=(400,),
            conv_stride=(320,),
            num_conv_pos_embeddings=4,
            num_conv_pos_embedding_groups=2,
            mask_time_prob=0.5,
            layerdrop=0.5,
        )
    ).save_pretrained(tmp_path)
    quiet: Any = VeS(audio_config(str(tmp_path)), MODEL, 24, 0.07).audio.backbone.config
    assert (quiet.apply_spec_augment, quiet.mask_time_prob, quiet.layerdrop) == (False, 0.0, 0.0)
    loud: Any = VeS(
        audio_config(str(tmp_path), mask_time_prob=0.05, layer_drop=0.1), MODEL, 24, 0.07
    ).audio.backbone.config
    assert (loud.apply_spec_augment, loud.mask_time_prob, loud.layerdrop) == (True, 0.05, 0.1)


@pytest.mark.slow
def test_real_architectures_load_by_the_same_call(tmp_path):
    """Full-size DINOv2-Large and DistilHuBERT, random weights on disk: 256 x 1024 patch tokens, 124 audio tokens.

    124 and not 125: HuBERT's convolutions have no padding, so 80,000 samples give 249 frames, not 250, and pooling
    by two drops the last of them.
    """
    from ves.models.features import load_backbone, patch_tokens

    Dinov2Model(
        Dinov2Config(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, patch_size=14, image_size=518)
    ).save_pretrained(tmp_path / "dinov2-large")
    HubertModel(HubertConfig(num_hidden_layers=2)).save_pretrained(tmp_path / "distilhubert")
    vision = vision_config(tmp_path / "dinov2-large", image_size=224)
    with torch.no_grad():
        patches = patch_tokens(load_backbone(vision), torch.randn(2, 3, 224, 224))
        assert patches.shape == (2, 256, 1024)
        model = VeS(
            audio_config(str(tmp_path / "distilhubert"), seconds=5.0, freeze_conv=False),
            ModelConfig(dim=256, visual_layers=2, visual_heads=8, dropout=0.1, visual_head="mlp"),
            1024,
            0.07,
        ).eval()
        tokens, mask = model.audio_tokens(torch.randn(2, 80_000), torch.tensor([80_000, 40_000]))
        assert tokens.shape == (2, 124, 256) and mask[0].all() and mask[1].sum() == 62
        assert model.image_tokens(patches).shape == (2, 256, 256)
    assert sum(p.numel() for p in model.audio.backbone.parameters()) == pytest.approx(23.49e6, rel=0.01)
