"""The files of a backbone: its folder, local or in the hub's cache, and whether VeS reads this kind of model.

This module needs no torch, since the configuration is checked against local folders before any job starts.

A backbone of the hub is downloaded and then loaded like any folder. So the hash is that of the weights in use, and
transformers cannot ask the hub to convert weights that are no safetensors, which it does when it downloads by itself.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ves.base.checksums import weight_files
from ves.base.files import read_json

# model types of transformers; tests/models/test_backbones.py compares each with its own forward pass
KINDS = {
    "vision.backbone": (
        *("dinov2", "dinov2_with_registers", "dinov3_vit", "clip_vision_model"),
        *("vit", "vit_msn", "beit", "data2vec-vision"),
        *("resnet", "efficientnet"),  # convolutions: a token is a place of the last map
    ),
    "audio.backbone": ("hubert", "wav2vec2", "wav2vec2-conformer", "wavlm", "unispeech", "unispeech-sat"),
}
CONVOLUTIONS: dict[str, dict[str, Any]] = {  # with transformers' own defaults of what decides their last map
    "resnet": {
        "depths": [3, 4, 6, 3],
        "hidden_sizes": [256, 512, 1024, 2048],
        "downsample_in_first_stage": False,
    },
    "efficientnet": {
        "strides": [1, 2, 2, 2, 1, 2, 1],
        "out_channels": [16, 24, 40, 80, 112, 192, 320],
        "width_coefficient": 2.0,
        "depth_divisor": 8,
    },
}
PREPROCESSING = ("preprocessor_config.json", "processor_config.json")  # of one model; of several together
SETTINGS = ("config.json", *PREPROCESSING)
FORMATS = (  # patterns of weight files; the second format is downloaded only when there is none of the first
    ("*.safetensors", "*.safetensors.index.json"),
    ("pytorch_model*.bin", "pytorch_model.bin.index.json"),
)


def backbone_folder(key: str, backbone: str, revision: str | None) -> Path:
    """The folder of a backbone: a local one, or one in the hub's cache (downloaded if it is not there).

    `key`, of KINDS, is the setting that names the backbone. Raises ValueError that names the key when there is neither,
    or when the folder has no weights or another kind of model.
    """
    folder = Path(backbone)
    if not folder.is_dir():
        if backbone.count("/") != 1:
            raise ValueError(f"{key}: {backbone!r} is neither a folder nor an owner/name of the hub")
        from huggingface_hub import snapshot_download

        for weights in FORMATS:
            folder = Path(snapshot_download(backbone, revision=revision, allow_patterns=[*SETTINGS, *weights]))
            if weight_files(folder):
                break
    if not weight_files(folder):
        raise ValueError(f"{key}: no *.safetensors in {folder} that transformers loads, and no pytorch_model.bin")
    check_kind(key, folder)
    return folder


def check_kind(key: str, folder: Path) -> dict[str, Any]:
    """config.json of a backbone's folder. Raises ValueError that names the key unless VeS reads this kind of model."""
    if not (path := folder / "config.json").is_file():
        raise ValueError(f"{key}: the folder {str(folder)!r} has no config.json, so it is not a backbone")
    config = read_json(path)
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind not in KINDS[key]:
        known = ", ".join(KINDS[key])
        raise ValueError(f"{key}: {path} has model_type {kind!r}; VeS reads {known}")
    if config.get("add_adapter"):
        raise ValueError(f"{key}: {path} has add_adapter: VeS would leave out the layers after the encoder")
    return config


def token_cell(config: Mapping[str, Any]) -> tuple[int, int]:
    """Height and width in pixels of what one token stands for: a patch, or the stride of a network's last map.

    `config` is config.json of a vision backbone.
    """
    kind = config["model_type"]
    if kind not in CONVOLUTIONS:
        patch = config["patch_size"]
        return (patch, patch) if isinstance(patch, int) else (patch[0], patch[1])
    own = CONVOLUTIONS[kind] | dict(config)
    if kind == "resnet":  # its stem halves twice, and each stage after the first once
        side = 4 * 2 ** (len(own["depths"]) - 1 + bool(own["downsample_in_first_stage"]))
    else:
        side = 2 * math.prod(own["strides"])
    return side, side


def token_width(config: Mapping[str, Any]) -> int:
    """Channels of one token of a vision backbone, from its config.json."""
    kind = config["model_type"]
    if kind not in CONVOLUTIONS:
        return config["hidden_size"]
    own = CONVOLUTIONS[kind] | dict(config)
    if kind == "resnet":
        return own["hidden_sizes"][-1]
    return _rounded(own["out_channels"][-1] * own["width_coefficient"], own["depth_divisor"])


def _rounded(channels: float, divisor: int) -> int:
    """To a multiple of the divisor, and never down by more than a tenth (Tan & Le 2019, EfficientNet)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


def local_files(backbone: str) -> list[Path]:
    """The files that decide what a backbone in a local folder computes; none for one of the hub."""
    folder = Path(backbone)
    settings = [path for name in PREPROCESSING if (path := folder / name).is_file()]
    return [*weight_files(folder), *settings]
