"""The processor that a training runs on, as far as the last bits of its numbers depend on it.

Libraries choose their kernels by the processor, and each kernel adds in an order of its own. So two runs are equal to
the bit only on the same processor. A checkpoint records it, and a run that resumes on another one logs a warning.
"""

import os
import platform
from collections.abc import Mapping
from pathlib import Path

import torch

CPUINFO = Path("/proc/cpuinfo")
VECTORS = ("avx", "amx", "fma")  # how instructions that decide the choice of kernels begin
SWITCHES = (  # of oneDNN and MKL; torch's own shows in `kernels`
    *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE"),
    *("MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR"),
)


def processor(device: torch.device, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Name of the GPU; or name and vector instructions of the CPU, the kernels that torch takes there, and switches."""
    if device.type == "cuda":
        return {"name": torch.cuda.get_device_name(device)}
    instructions = sorted(
        name for name, has in torch.cpu.get_capabilities().items() if has and name.startswith(VECTORS)
    )
    return {
        "name": cpu_name(CPUINFO),
        "instructions": " ".join(instructions),
        "kernels": torch.backends.cpu.get_cpu_capability(),
        **{name: environment[name] for name in SWITCHES if name in environment},
    }


def cpu_name(cpuinfo: Path) -> str:
    """The first processor's name, family, model and stepping; without such a file the architecture."""
    if not cpuinfo.exists():
        return platform.machine()
    first = cpuinfo.read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    numbers = [f"{key.split()[-1]} {fields[key]}" for key in ("cpu family", "model", "stepping") if key in fields]
    return ", ".join([fields.get("model name", platform.machine()), *numbers])
