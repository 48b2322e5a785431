"""The Triton kernels against plain torch: in Triton's interpreter on any Linux machine, and on a GPU where one is.

Each in a process of its own: the interpreter is chosen where kernels are declared, for good, and the checks of shapes
that pytest adds to functions are no language for a kernel.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("triton", reason="torch brings Triton on Linux alone")


def results_of(mode: str, **environment: str) -> Any:
    """What tests/support/triton_kernels.py finds."""
    script = Path(__file__).parents[1] / "support/triton_kernels.py"
    variables = os.environ | {"PYTHONPATH": str(script.parents[1])} | environment
    done = subprocess.run([sys.executable, script, mode], capture_output=True, text=True, env=variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check(results: dict[str, Any], cases: int) -> None:
    """Within 1e-6 of plain torch, relative to the largest value, and a NaN shows."""
    assert results["nan"]
    assert len(results["differences"]) == cases
    for case, differences in results["differences"].items():
        assert max(differences.values()) < 1e-6, (case, differences)


def test_interpreted():
    check(results_of("interpret", TRITON_INTERPRET="1"), cases=5)


@pytest.mark.slow
@pytest.mark.parametrize("capability", ["80", "89", "90"])
def test_compiles_for_real_devices(capability):
    """Down to machine code, without a device: types that the interpreter does not check, and tensor cores in use."""
    assert results_of(capability)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_the_device():
    """The interpreter's cases, bfloat16 and the paper's shapes."""
    check(results_of("cuda"), cases=7)
