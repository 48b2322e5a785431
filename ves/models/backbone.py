"""A backbone as files: its folder, or that of the hub's cache, and whether it is of a kind that VeS reads.

No torch here: a configuration is checked against the folders that are there before any job starts.

A backbone of the hub is downloaded first and then loaded as any folder. So what is hashed is what is loaded, and
transformers, which asks the hub to convert weights that are no safetensors, has nobody to ask.
"""

from pathlib import Path
from typing import Any

from ves.base.checksums import weight_files
from ves.base.files import read_json

# model types of transformers; tests/models/test_backbones.py holds each against its own forward pass
KINDS = {
    "vision.backbone": (
        *("dinov2", "dinov2_with_registers", "dinov3_vit", "clip_vision_model"),
        *("vit", "vit_msn", "beit", "data2vec-vision"),
    ),
    "audio.backbone": ("hubert", "wav2vec2", "wav2vec2-conformer", "wavlm", "unispeech", "unispeech-sat"),
}
PREPROCESSING = ("preprocessor_config.json", "processor_config.json")  # of a model alone; of several in one
SETTINGS = ("config.json", *PREPROCESSING)
FORMATS = (  # of weights, the second only where there is none of the first
    ("*.safetensors", "*.safetensors.index.json"),
    ("pytorch_model*.bin", "pytorch_model.bin.index.json"),
)


def backbone_folder(key: str, backbone: str, revision: str | None) -> Path:
    """The folder of a backbone: a local one, or that of the hub's cache (downloaded if need be).

    `key` is the setting that names it, one of KINDS. Raises ValueError that names the key where there is neither, no
    weights in it, or another kind of model.
    """
    folder = Path(backbone)
    if not folder.is_dir():
        if backbone.count("/") != 1:
            raise ValueError(f"{key}: {backbone!r} is no folder and no owner/name of the hub")
        from huggingface_hub import snapshot_download

        for weights in FORMATS:
            folder = Path(snapshot_download(backbone, revision=revision, allow_patterns=[*SETTINGS, *weights]))
            if weight_files(folder):
                break
    if not weight_files(folder):
        raise ValueError(f"{key}: no *.safetensors in {folder}, and no pytorch_model.bin: neither model nor index")
    check_kind(key, folder)
    return folder


def check_kind(key: str, folder: Path) -> dict[str, Any]:
    """config.json of a backbone's folder. Raises ValueError that names the key unless its kind of model is read."""
    if not (path := folder / "config.json").is_file():
        raise ValueError(f"{key}: the folder {str(folder)!r} has no config.json, so it is not a backbone")
    config = read_json(path)
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind not in KINDS[key]:
        known = ", ".join(KINDS[key])
        raise ValueError(f"{key}: {path} is of a model of type {kind!r}; what is read is {known}")
    if config.get("add_adapter"):
        raise ValueError(f"{key}: {path} has add_adapter: layers behind the encoder, which VeS would leave out")
    return config


def local_files(backbone: str) -> list[Path]:
    """The files of a backbone in a local folder that decide what it computes; of one of the hub, none."""
    folder = Path(backbone)
    settings = [path for name in PREPROCESSING if (path := folder / name).is_file()]
    return [*weight_files(folder), *settings]
