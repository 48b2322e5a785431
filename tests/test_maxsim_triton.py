"""The Triton kernels against plain torch: in Triton's interpreter on any Linux machine, and on a GPU where one is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton", reason="torch brings Triton on Linux alone")


def test_interpreted():
    """In a process of its own: the interpreter is chosen where kernels are declared, for good."""
    script = Path(__file__).parent / "interpreted_maxsim.py"
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": str(script.parents[1])}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["nan"]
    for case, differences in found["differences"].items():
        assert max(differences.values()) < 1e-6, (case, differences)


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 89, 90])
def test_compiles_for_real_devices(capability):
    """Down to machine code, without a device: types that the interpreter does not check, and tensor cores in use."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from ves import maxsim_triton

    numbers = dict.fromkeys("QNKMD", "i32")
    tokens = {"query": "*bf16", "weight": "*fp32", "key": "*bf16"}
    blocks = {"ROWS": maxsim_triton.ROWS, "DEPTH": maxsim_triton.DEPTH}
    sizes = {name: getattr(maxsim_triton, name) for name in ("GROUP", "TOKENS", "PATCHES", "DEPTH")}
    kernels = {
        maxsim_triton._forward: (
            {**tokens, "key_mask": "*u8", "scores": "*fp32", "winners": "*u8", **numbers},
            {"KEEP": True, "MASKED": True, "EXACT": "tf32", **sizes},
        ),
        maxsim_triton._gather: (
            {"gradient": "*fp32", "weight": "*fp32", "key": "*bf16", "winners": "*u8", "of_query": "*fp32", **numbers},
            blocks,
        ),
        maxsim_triton._scatter: (
            {"gradient": "*fp32", "weight": "*fp32", "query": "*bf16", "order": "*i64", "begin": "*i64",
             "of_key": "*fp32", "first_key": "i32", **numbers},
            blocks,
        ),
    }  # fmt: skip
    for kernel, (types, constants) in kernels.items():
        signature = types | dict.fromkeys(constants, "constexpr")
        places = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
        made = triton.compile(ASTSource(kernel, signature, places), target=GPUTarget("cuda", capability, 32))
        assert made.metadata.shared <= 100 * 1024, "24 GB cards have 100 KB"
        if kernel is maxsim_triton._forward:
            assert "mma" in made.asm["ptx"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_the_device():
    """The interpreter's cases and bfloat16, compiled, against plain torch on the same device; and a NaN."""
    import interpreted_maxsim

    cases = interpreted_maxsim.CASES | {
        "bfloat16": (3, 9, 4, 20, 64, True, torch.bfloat16),
        "the paper's shapes": (8, 125, 12, 256, 256, False, torch.bfloat16),
    }
    for name, case in cases.items():
        assert max(interpreted_maxsim.differences(case, "cuda").values()) < 1e-6, name
    assert interpreted_maxsim.nan_wins("cuda")
