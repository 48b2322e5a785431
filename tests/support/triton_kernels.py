"""Run by tests/similarity/test_triton.py: the Triton kernels against plain torch, in JSON on stdout.

TRITON_INTERPRET=1 python triton_kernels.py interpret      in Triton's interpreter, on a CPU
python triton_kernels.py cuda                              on a GPU
python triton_kernels.py 90                                compiled for a compute capability, without a device
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime import interpreter

from ves.similarity import tiles as maxsim_tiles
from ves.similarity import triton as maxsim_triton

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

    def patch_tensor(tensor: type, scope: Any) -> None:
        patch(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: self.handle.data.item())

    return patch_tensor


def compiles(capability: int) -> bool:
    """Whether bfloat16 reaches tensor cores; fails where a kernel does not compile or takes more than 100 KB."""
    numbers = dict.fromkeys("QNKMD", "i32")
    tokens = {"query": "*bf16", "weight": "*fp32", "key": "*bf16"}
    owned = {"gradient": "*fp32", "weight": "*fp32", "key": "*bf16", "winners": "*u8", "of_query": "*fp32"}
    sorted_ = {"gradient": "*fp32", "weight": "*fp32", "query": "*bf16", "order": "*i64", "begin": "*i64"}
    sizes = {name: getattr(maxsim_triton, name) for name in ("GROUP", "TOKENS", "PATCHES", "DEPTH")}
    blocks = {name: getattr(maxsim_triton, name) for name in ("ROWS", "DEPTH")}
    kernels: dict[Any, tuple[dict[str, str], dict[str, Any]]] = {
        maxsim_triton._forward: (
            {**tokens, "key_mask": "*u8", "scores": "*fp32", "winners": "*u8", **numbers},
            {"KEEP": True, "MASKED": True, "EXACT": "tf32", **sizes},
        ),
        maxsim_triton._gather: ({**owned, **numbers}, blocks),
        maxsim_triton._scatter: ({**sorted_, "of_key": "*fp32", "first_key": "i32", **numbers}, blocks),
    }
    cores = False
    for kernel, (types, constants) in kernels.items():
        signature = types | dict.fromkeys(constants, "constexpr")
        places = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
        made: Any = triton.compile(ASTSource(kernel, signature, places), target=GPUTarget("cuda", capability, 32))
        assert made.metadata.shared <= 100 * 1024, kernel
        cores |= "mma" in made.asm["ptx"]
    return cores


def compare_all(device: str) -> dict[str, Any]:
    """All cases on one device."""
    return {"differences": {name: differences(case, device) for name, case in CASES.items()}, "nan": nan_wins(device)}


if __name__ == "__main__":
    if sys.argv[1] == "interpret":
        maxsim_triton.TOKENS = maxsim_triton.PATCHES = maxsim_triton.DEPTH = 16  # several tiles of little
        interpreter._patch_lang_tensor = numpy_scalars(interpreter._patch_lang_tensor)
        json.dump(compare_all("cpu"), sys.stdout)
    elif sys.argv[1] == "cuda":
        CASES |= {
            "bfloat16": (3, 9, 4, 20, 64, True, torch.bfloat16),
            "the paper's shapes": (8, 125, 12, 256, 256, False, torch.bfloat16),
        }
        json.dump(compare_all("cuda"), sys.stdout)
    else:
        json.dump(compiles(int(sys.argv[1])), sys.stdout)
