"""Run by test_maxsim.py: torch.compile around MaxSim, masks, autocast and backward included, in JSON on stdout."""

import json
import sys

import torch
from torch import Tensor

from ves.similarity.pairwise import bidirectional

torch.manual_seed(0)
AUDIO, IMAGE = torch.randn(3, 5, 8), torch.randn(4, 6, 8)
MASK = torch.arange(5) < torch.tensor([[5], [2], [0]])


def loss(audio: Tensor, image: Tensor) -> Tensor:
    """Work before and after, as a model has: the graph breaks at MaxSim, the result does not."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return (3 * bidirectional(2 * audio, MASK, image)).logsumexp(1).sum()


def gradients(backend: str | None) -> list[Tensor]:
    """Of both sides, compiled or not."""
    given = [tokens.clone().requires_grad_() for tokens in (AUDIO, IMAGE)]
    function = loss if backend is None else torch.compile(loss, backend=backend)
    return list(torch.autograd.grad(function(*given), given))


if __name__ == "__main__":
    plain = gradients(None)
    same = {
        backend: all(torch.equal(one, other) for one, other in zip(gradients(backend), plain, strict=True))
        for backend in ("eager", "aot_eager")
    }
    json.dump(same, sys.stdout)
