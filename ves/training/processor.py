"""What a training computes on, as far as the last bits of its numbers depend on it.

Libraries choose their kernels by the processor they meet, each kernel adds in an order of its own, and what is to equal
the same run elsewhere to the bit must have met the same. A checkpoint keeps this, so that going on elsewhere is said.
"""

import os
import platform
from collections.abc import Mapping
from pathlib import Path

import torch

CPUINFO = Path("/proc/cpuinfo")
VECTORS = ("avx", "amx", "fma")  # instructions that a choice of kernels goes by begin with these
SWITCHES = (  # of oneDNN and MKL; torch's own shows in `kernels`
    *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE"),
    *("MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR"),
)


def processor(device: torch.device, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Name of the GPU; or name and vector instructions of the CPU, the kernels that torch takes there, and switches."""
    if device.type == "cuda":
        return {"name": torch.cuda.get_device_name(device)}
    able = sorted(name for name, has in torch.cpu.get_capabilities().items() if has and name.startswith(VECTORS))
    return {
        "name": cpu_name(CPUINFO),
        "instructions": " ".join(able),
        "kernels": torch.backends.cpu.get_cpu_capability(),
        **{name: environment[name] for name in SWITCHES if name in environment},
    }


def cpu_name(cpuinfo: Path) -> str:
    """The first processor's name, family, model and stepping, where there is such a file; else the architecture."""
    if not cpuinfo.exists():
        return platform.machine()
    first = cpuinfo.read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    numbers = [f"{key.split()[-1]} {said[key]}" for key in ("cpu family", "model", "stepping") if key in said]
    return ", ".join([said.get("model name", platform.machine()), *numbers])
