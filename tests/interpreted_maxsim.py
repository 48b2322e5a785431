"""Run by test_maxsim_triton.py under TRITON_INTERPRET=1: the Triton kernels against the tiles, in JSON on stdout."""

import json
import sys
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from triton.runtime import interpreter

from ves import maxsim_tiles, maxsim_triton

CASES = {  # queries, tokens, keys, patches, dimensions, masked, type
    "more keys than a group": (3, 5, 9, 6, 40, False, torch.float32),
    "several tiles": (2, 20, 3, 40, 17, False, torch.float32),
    "masks, ragged": (4, 9, 5, 12, 17, True, torch.float32),
    "more patches than a byte numbers": (2, 4, 1, 260, 8, False, torch.float32),
    "float16": (3, 9, 4, 12, 20, True, torch.float16),  # of bfloat16 the interpreter multiplies the bits
}


def inputs(case: tuple, device: str) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Tokens of both sides, weights of which some are 0, a mask of which one row is empty; equal tokens among them."""
    queries, tokens, keys, patches, width, masked, dtype = case
    torch.manual_seed(0)
    query = F.normalize(torch.randn(queries, tokens, width), dim=-1).to(dtype)
    key = F.normalize(torch.randn(keys, patches, width), dim=-1).to(dtype)
    key[:, patches // 2] = key[:, patches // 2 - 1]
    query[:, 0] = key[0, patches // 2]  # what both of the equal ones win
    weight = torch.ones(queries, tokens) / tokens
    mask = None
    if masked:
        weight[0, tokens // 2 :] = 0
        weight[1] = 0
        mask = torch.rand(keys, patches) > 0.3
        mask[1] = False
    return tuple(None if one is None else one.to(device) for one in (query, weight, key, mask))  # type: ignore[return-value]


def differences(case: tuple, device: str) -> dict[str, float]:
    """Largest differences to the tiles in fp32 of the same tokens, relative to the largest value; and of a repeat."""
    query, weight, key, mask = inputs(case, device)
    gradient = torch.randn(len(query), len(key), generator=torch.Generator().manual_seed(1)).to(device)
    found = {}
    for name, module, dtype in (("triton", maxsim_triton, query.dtype), ("tiles", maxsim_tiles, torch.float32)):
        given = query.to(dtype), weight, key.to(dtype), mask
        scores, winners = module.forward(*given, keep=True)
        found[name] = (scores, *module.backward(gradient, *given, winners))
        again = module.backward(gradient, *given, winners)
        assert all(torch.equal(one, two) for one, two in zip(found[name][1:], again, strict=True)), name
        assert torch.equal(module.forward(*given, keep=False)[0], scores), name
    return {
        name: ((one - two).abs().max() / two.abs().max()).item()
        for name, one, two in zip(("scores", "of_query", "of_key"), found["triton"], found["tiles"], strict=True)
    }


def nan_wins(device: str) -> bool:
    """A NaN in a key that counts shows in its score, and in no other."""
    query, weight, key, _ = inputs(CASES["masks, ragged"], device)
    key[2, 3] = torch.nan
    scores = maxsim_triton.forward(query, weight, key, None, keep=True)[0]
    return bool(scores[0, 2].isnan() and not scores[:, [0, 1, 3, 4]].isnan().any())


def numpy_scalars(patch: Callable[..., None]) -> Callable[..., None]:
    """Triton 3.6 makes loop bounds of arrays of one element by int(), which numpy 2.5 refuses."""

    def patched(tensor: type, scope: Any) -> None:
        patch(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: self.handle.data.item())

    return patched


if __name__ == "__main__":
    maxsim_triton.TOKENS = maxsim_triton.PATCHES = maxsim_triton.DEPTH = 16  # several tiles of little
    interpreter._patch_lang_tensor = numpy_scalars(interpreter._patch_lang_tensor)
    result = {name: differences(case, "cpu") for name, case in CASES.items()}
    json.dump({"differences": result, "nan": nan_wins("cpu")}, sys.stdout)
