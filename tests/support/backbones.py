"""Backbones of a few thousand random weights, of every kind that VeS reads, saved as transformers saves them."""

from pathlib import Path
from typing import Any

import torch
import transformers

from tests.support import towers
from ves.base.files import write_json
from ves.config.experiment import AudioConfig, VisionConfig

SIZE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
PICTURE = {**SIZE, "patch_size": 4, "image_size": 16}
SOUND: dict[str, Any] = {
    **SIZE,
    "conv_dim": (8, 8),
    "conv_kernel": (40, 16),
    "conv_stride": (20, 16),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "apply_spec_augment": False,
    "hidden_dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "feat_proj_dropout": 0.0,
    "layerdrop": 0.0,
    "mask_time_prob": 0.0,
    "mask_feature_prob": 0.0,
}
LAYER = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}

VISION: dict[str, tuple[str, dict[str, Any], int]] = {  # class, its settings, tokens that are no patches
    "dinov2": ("Dinov2", {"mlp_ratio": 2}, 1),
    "dinov2_with_registers": ("Dinov2WithRegisters", {"num_register_tokens": 3, "mlp_ratio": 2}, 4),
    "dinov3_vit": ("DINOv3ViT", {"num_register_tokens": 4}, 5),
    "clip_vision_model": ("CLIPVision", {}, 1),
    "vit": ("ViT", {}, 1),
    "vit_msn": ("ViTMSN", {}, 1),
    "beit": ("Beit", {"use_relative_position_bias": True}, 1),
    "data2vec-vision": ("Data2VecVision", {"use_absolute_position_embeddings": True}, 1),
}
CONVOLUTIONS: dict[str, tuple[str, dict[str, Any]]] = {  # each makes a map of 4 x 4 places, 16 wide, of 64 x 64 pixels
    "resnet": ("ResNet", {"embedding_size": 8, "hidden_sizes": [8, 8, 16], "depths": [1, 1, 1], "layer_type": "basic"}),
    "efficientnet": (
        "EfficientNet",
        {
            "width_coefficient": 1.0,
            "depth_coefficient": 1.0,
            "in_channels": [32, 8, 8],
            "out_channels": [8, 8, 16],
            "kernel_sizes": [3, 3, 5],
            "strides": [2, 2, 2],
            "num_block_repeats": [1, 2, 1],
            "expand_ratios": [1, 2, 2],
            "hidden_dim": 1280,
        },
    ),
}
SPEECH: dict[str, tuple[str, dict[str, Any]]] = {
    "hubert, group norm": ("Hubert", {}),
    "hubert, layer norm": ("Hubert", LAYER),
    "wav2vec2, group norm": ("Wav2Vec2", {}),
    "wav2vec2, layer norm": ("Wav2Vec2", LAYER),
    "wavlm, group norm": ("WavLM", {}),
    "wavlm, layer norm": ("WavLM", LAYER),
    "unispeech": ("UniSpeech", LAYER),
    "unispeech-sat": ("UniSpeechSat", LAYER),
    "wav2vec2-conformer": ("Wav2Vec2Conformer", {"position_embeddings_type": "relative", "conv_bias": True}),
}


def random_model(name: str, settings: dict[str, Any]) -> Any:
    """A model of a class of transformers, all its weights random and none of them zero or one."""
    torch.manual_seed(0)
    model: Any = getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")(**settings)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def vision_model(kind: str) -> Any:
    name, own, _ = VISION[kind]
    return random_model(name, PICTURE | own)


def convolutional_model(kind: str) -> Any:
    """Random weights, and statistics of batches as if it had seen some."""
    name, settings = CONVOLUTIONS[kind]
    model = random_model(name, settings)
    for buffer in model.buffers():
        if buffer.dtype.is_floating_point:
            buffer.add_(0.5 * torch.rand_like(buffer))
    return model


def speech_model(kind: str, **changes: Any) -> Any:
    name, own = SPEECH[kind]
    return random_model(name, SOUND | own | changes)


def as_bin(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    """The weights of a saved model, in the older format."""
    (folder / "model.safetensors").unlink(missing_ok=True)
    torch.save(weights, folder / "pytorch_model.bin")


def preprocessor(folder: Path, **settings: Any) -> None:
    write_json(folder / "preprocessor_config.json", settings)


def vision_config(folder: Path | str, **changes: Any) -> VisionConfig:
    chosen = {"backbone": str(folder), "revision": None, "image_size": 16, "fit": "stretch", "batch_size": 2}
    return VisionConfig(**{**chosen, "compression": None, "compile": False, "class_token": False, **changes})


def audio_config(folder: Path | str, **changes: Any) -> AudioConfig:
    return towers.audio_config(str(folder), **changes)
