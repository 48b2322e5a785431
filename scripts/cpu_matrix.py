#!/usr/bin/env python3
"""The tests that compare numbers, under settings that make torch, oneDNN and MKL take the kernels of other processors.

    .venv/bin/python scripts/cpu_matrix.py          every variable at each of its values, the others as they are;
                                                    then all lowest, all AVX2, and none set
                     scripts/cpu_matrix.py --full   every combination
                     scripts/cpu_matrix.py --other  one setting that differs from this processor's own (.ci/run)

Each with one thread and with two; --other with two. The libraries choose their kernels apart from each other, and no
operation goes through two of them: one variable at a time meets every kernel, and the joint settings are for what adds
up. Ends with 1 where a setting has a failure.
"""

import argparse
import itertools
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOLD = "mark.numbers"  # modules that do not, need not be imported
MODULES = sorted(path for path in (ROOT / "tests").rglob("test_*.py") if HOLD in path.read_text(encoding="utf-8"))
TESTS = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "numbers and not slow", *MODULES]
VALUES = {
    "ATEN_CPU_CAPABILITY": ("default", "avx2", "avx512"),
    "ONEDNN_MAX_CPU_ISA": ("SSE41", "AVX2", "AVX512_CORE", "ALL"),
    "MKL_ENABLE_INSTRUCTIONS": ("SSE4_2", "AVX2", "AVX512"),
}
LOWEST = {name: values[0] for name, values in VALUES.items()}
AVX2 = {name: values[1] for name, values in VALUES.items()}
Setting = dict[str, str]


def one_by_one() -> list[Setting]:
    """Each value alone, then the joint settings."""
    return [{name: value} for name, values in VALUES.items() for value in values] + [LOWEST, AVX2, {}]


def product() -> list[Setting]:
    """Every combination, and nothing set."""
    return [dict(zip(VALUES, values, strict=True)) for values in itertools.product(*VALUES.values())] + [{}]


def capability(setting: Setting) -> str:
    """Which kernels torch takes under a setting."""
    asked = [sys.executable, "-c", "import torch; print(torch.backends.cpu.get_cpu_capability())"]
    return subprocess.check_output(asked, env=_environment(setting, 1), text=True).strip()


def _environment(setting: Setting, threads: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in VALUES}
    return kept | setting | {"OMP_NUM_THREADS": str(threads)}


def run(setting: Setting, threads: int) -> bool:
    """Print one row of the table, and below it what failed; whether all passed."""
    started, kernels = time.monotonic(), capability(setting)
    tests = subprocess.run(TESTS, cwd=ROOT, env=_environment(setting, threads), capture_output=True, text=True)
    said = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|errors?)\b", tests.stdout)}
    passed, failed = said.get("passed", 0), sum(said.values()) - said.get("passed", 0)
    name = " ".join(f"{key}={value}" for key, value in setting.items()) or "(none)"
    seconds = time.monotonic() - started
    print(f"| {name} | {kernels} | {threads} | {passed} | {failed} | {seconds:.0f} |", flush=True)
    if tests.returncode:
        lines = tests.stdout.splitlines()
        print("\n".join([line for line in lines if line.startswith(("FAILED", "ERROR"))] or lines[-20:]), flush=True)
    return tests.returncode == 0


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--full", action="store_true")
    which.add_argument("--other", action="store_true")
    asked = parser.parse_args()
    if asked.other:
        rows = [(AVX2 if capability({}) == "AVX512" else LOWEST, 2)]
    else:
        rows = list(itertools.product(product() if asked.full else one_by_one(), (1, 2)))
    print("| setting | kernels of torch | threads | passed | failed | s |\n|---|---|---|---|---|---|", flush=True)
    passed = [run(setting, threads) for setting, threads in rows]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
