"""Memory of the paper's configuration on a GPU, computed: what a step keeps, counted on a CPU, times the batch.

    python benchmarks/memory.py

Models of the paper's shapes with random weights (DistilHuBERT: 2 layers of 768; 2 visual layers of 1,024 over 256
tokens) run forward on 2 and on 4 clips of 5 s and pictures under bfloat16 autocast; every tensor that autograd keeps
is counted once, parameters apart. The difference is that of 2 more, the rest casts of the weights. Weights, gradients
and AdamW's moments are fp32: 16 bytes a parameter that is trained. Not counted: the allocator's waste, the libraries'
workspace, the CUDA context, the batch itself, and what a layer needs only while it runs, of which the front end's first
normalisation is the largest (in fp32, 65 MB a clip). So this is a lower bound; attention is as torch runs it on a CPU.
"""

import harness
import torch
import torch.nn.functional as F
from torch import nn
from transformers import HubertConfig, HubertModel

from ves.config.experiment import ModelConfig
from ves.models.heads import projection
from ves.models.image_tower import ImageTower

FRAMES, DIM, WIDTH, PATCHES = 80_000, 256, 1024, 256


def kept(model: nn.Module, *inputs: torch.Tensor) -> float:
    """Bytes that autograd keeps for a batch, without parameters and inputs."""
    known = {one.untyped_storage().data_ptr() for one in (*model.parameters(), *inputs)}
    sizes: dict[int, int] = {}
    alive = []  # so that no address is used twice

    def count(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            sizes[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", dtype=torch.bfloat16):
        out = model(*inputs)
    del out
    return sum(sizes.values())


class Speech(nn.Module):
    """DistilHuBERT's shape and the head."""

    def __init__(self, *, freeze: bool) -> None:
        super().__init__()
        self.backbone = HubertModel(HubertConfig(num_hidden_layers=2, apply_spec_augment=False))
        self.head = projection("mlp", 768, DIM)
        if freeze:
            self.backbone.feature_extractor._freeze_parameters()

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Tokens of clips."""
        hidden = self.backbone(waveform).last_hidden_state
        return F.normalize(self.head(F.avg_pool1d(hidden.transpose(1, 2), 2).transpose(1, 2)).float(), dim=-1)


def line(model: nn.Module, *shape: int) -> tuple[float, float]:
    """Bytes kept whatever the batch, and for each of it."""
    two, four = (kept(model, torch.randn(batch, *shape)) for batch in (2, 4))
    return 2 * two - four, (four - two) / 2


def gigabytes(value: float) -> str:
    """With two digits after the point."""
    return f"{value / 1e9:.2f}"


def main() -> None:
    """A row with the convolutional front end trained, and one with it frozen."""
    harness.arguments(__doc__).parse_args()
    torch.manual_seed(0)
    settings = ModelConfig(dim=DIM, visual_layers=2, visual_heads=8, dropout=0.1, visual_head="mlp")
    visual = ImageTower(settings, WIDTH).train()
    casts, picture = line(visual, PATCHES, WIDTH)
    print("Computed, not measured on a GPU; GB = 1e9 bytes. A lower bound (see the script).")
    harness.header("front end", "weights, casts, gradients, AdamW", "a clip", "a picture", "step of 92",
                   "1,024 as 16 x 64, cached", "512 as 8 x 64, cached")  # fmt: skip
    for freeze in (False, True):
        speech = Speech(freeze=freeze).train()
        more, clip = line(speech, FRAMES)
        parameters = [one for model in (speech, visual) for one in model.parameters()]
        fixed = casts + more + sum((16 if one.requires_grad else 4) * one.numel() for one in parameters)
        tokens = (124 + PATCHES) * DIM * 4  # bytes of a pair's tokens in fp32, and as much for their gradients
        cached = [fixed + 64 * (clip + picture) + batch * 2 * tokens + batch * batch * 124 for batch in (1024, 512)]
        cells = (fixed, clip, picture, fixed + 92 * (clip + picture), *cached)
        harness.row("frozen" if freeze else "trained", *map(gigabytes, cells))


if __name__ == "__main__":
    main()
