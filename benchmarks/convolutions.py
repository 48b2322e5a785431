"""Patch tokens of a convolutional backbone on one core: batch norms folded into the weights or apart, by batch size.

    python benchmarks/convolutions.py [--backbone ves/standins/efficientnet-lite0] [--side 320] [--pictures 32]

Each way computes the tokens of the same number of random pictures in bfloat16, as features do
(ves.models.vision.patch_tokens), in batches of its size. The baseline is the network as transformers loads it, 32
pictures at once. Ways take turns.
"""

from collections.abc import Callable
from pathlib import Path

import harness
import torch
from torch import Tensor, nn

from ves.models.pretrained import load_pretrained
from ves.models.vision import fold_norms, patch_tokens

SIZES = (1, 2, 4, 8, 16, 32)
BASELINE = ("apart", 32)


def network(folder: Path, *, folded: bool) -> nn.Module:
    """The backbone, channels last, as features use it; or with its batch norms apart."""
    model: nn.Module = load_pretrained(folder, dtype=torch.float32).eval()
    if folded:
        fold_norms(model)
    return model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def way(model: nn.Module, size: int) -> Callable[[Tensor], object]:
    """The tokens of pictures [n, 3, side, side], `size` at a time."""
    return lambda pictures: [patch_tokens(model, part) for part in pictures.split(size)]


def main() -> None:
    """Print the table of medians."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--backbone", type=Path, default=Path("ves/standins/efficientnet-lite0"))
    parser.add_argument("--side", type=int, default=320)
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    settings = parser.parse_args()
    torch.set_num_threads(1)
    networks = {name: network(settings.backbone, folded=name == "folded") for name in ("apart", "folded")}
    ways = {(name, size): way(model, size) for name, model in networks.items() for size in SIZES}
    pictures = torch.randn(settings.pictures, 3, settings.side, settings.side)
    with harness.session(f"{settings.backbone.name} at {settings.side} pixels, one of {harness.machine()}"):
        harness.turns({str(key): one for key, one in ways.items()}, lambda: (pictures,), 1)  # warm
        spent = harness.turns({str(key): one for key, one in ways.items()}, lambda: (pictures,), settings.repeats)
        harness.header("batch norms", "pictures at once", "time, of the baseline's", "ms a picture")
        for (name, size), median in zip(ways, harness.medians(spent).values(), strict=True):
            share = harness.ratio(spent[str((name, size))], spent[str(BASELINE)])
            harness.row(name, size, f"{share:.2f}", f"{1000 * median / settings.pictures:.1f}")


if __name__ == "__main__":
    main()
